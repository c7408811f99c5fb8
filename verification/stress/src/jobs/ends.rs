//! How goroutines end: by panics that are claimed or not, and by waiting while they unwind.
#![forbid(unsafe_code)]

use super::{Ctx, expected, fail, fail_aloud, must_be};
use crate::book::{Life, Phase};
use crate::rng::Rng;
use selvedge::scope;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

/// A panic travels to who joins.
pub fn panics(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 30) {
            let seed = rng.next();
            let child = ctx.go(s, "panics", move |life| {
                life.yields(seed % 3);
                if seed.is_multiple_of(4) {
                    fail_aloud(seed);
                }
                fail(seed)
            });
            let outcome: Result<(), _> = child.join();
            let payload = outcome.err().and_then(|error| error.into_panic().ok());
            must_be(payload.and_then(expected), Some(seed));
        }
    });
    if rng.one_in(2) {
        let seed = rng.next();
        let caught = catch_unwind(AssertUnwindSafe(|| scope(|_| fail(seed))));
        must_be(caught.err().and_then(expected), Some(seed));
    }
}

/// Nobody asks: it is counted. The handle goes before the panic comes.
pub fn unclaimed(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    for _ in 0..rng.within(1, 20) {
        let seed = rng.next();
        let ticket = ctx.book.ticket("unclaimed");
        let gate = ticket.early_gate();
        ctx.book.spawned.fetch_add(1, Ordering::Relaxed);
        ctx.book.unclaimed.fetch_add(1, Ordering::Relaxed);
        let child = selvedge::go(move || {
            let life = ticket.begin();
            life.wait(1);
            fail(seed)
        });
        let gate = gate(child.goroutine());
        drop(child);
        gate.give();
        life.yields(seed % 3);
    }
    // The same in a scope: it is the scope that says so.
    let caught = catch_unwind(AssertUnwindSafe(|| {
        scope(|s| {
            ctx.book.unclaimed.fetch_add(1, Ordering::Relaxed);
            let ticket = ctx.book.ticket("unclaimed");
            let gate = ticket.early_gate();
            ctx.book.spawned.fetch_add(1, Ordering::Relaxed);
            let child = s.go(move || {
                let life = ticket.begin();
                life.wait(1);
                fail(1)
            });
            let gate = gate(child.goroutine());
            drop(child);
            gate.give();
        });
    }));
    must_be(caught.is_err(), true);
}

/// Destructors that spawn, yield and wait while their goroutine unwinds.
pub fn unwinding(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    let ran = AtomicU64::new(0);
    let n = rng.within(1, 8);
    scope(|s| {
        for _ in 0..n {
            let mut rng = rng.fork();
            let ran = &ran;
            let child = ctx.go(s, "unwinding", move |life| {
                let seed = rng.next();
                let _last_will = LastWill { ctx, life, rng, ran };
                life.yields(seed % 2);
                fail(seed)
            });
            let outcome: Result<(), _> = child.join();
            must_be(outcome.is_err_and(|error| error.is_panic()), true);
        }
    });
    must_be(ran.load(Ordering::Relaxed), n);
}

struct LastWill<'a> {
    ctx: &'a Ctx<'a>,
    life: &'a Life,
    rng: Rng,
    ran: &'a AtomicU64,
}

impl Drop for LastWill<'_> {
    fn drop(&mut self) {
        let (ctx, life) = (self.ctx, self.life);
        life.step(Phase::Unwinding);
        let hold = ctx.hold_thread();
        let choices = if hold.is_some() { 5 } else { 2 };
        match self.rng.below(choices) {
            0 => selvedge::yield_now(),
            1 => {
                let gate = life.gate();
                ctx.outside.send(move || gate.give());
                life.wait(1);
            }
            2 => {
                // By a goroutine that has not begun: somebody else must run it.
                let gate = life.gate();
                ctx.free("unwinding", move |_| gate.give());
                life.wait(1);
            }
            3 => {
                let child = ctx.free("unwinding", |life| {
                    life.yields(2);
                    5
                });
                must_be(child.join().ok(), Some(5));
            }
            _ => {
                let counted = AtomicU64::new(0);
                scope(|s| {
                    for _ in 0..3 {
                        ctx.go(s, "unwinding", |life| {
                            life.yields(1);
                            counted.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
                must_be(counted.load(Ordering::Relaxed), 3);
            }
        }
        must_be(std::thread::panicking(), true);
        self.ran.fetch_add(1, Ordering::Relaxed);
    }
}
