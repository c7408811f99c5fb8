//! Park and unpark: between goroutines, and from plain threads.
#![forbid(unsafe_code)]

use super::{Ctx, must_be};
use crate::book::{Gate, Life, Phase};
use crate::rng::Rng;
use selvedge::scope;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pairs that wake each other in turn.
pub fn pairs(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 30) {
            let turns = rng.within(1, 300);
            let both_wait = rng.one_in(2);
            ctx.go(s, "pairs", move |life| {
                scope(|s| {
                    let mine = life.gate();
                    let ticket = ctx.book.ticket("pairs");
                    let gate = ticket.early_gate();
                    ctx.book.spawned.fetch_add(1, Ordering::Relaxed);
                    let other = s.go(move || {
                        let life = ticket.begin();
                        for turn in 1..=turns {
                            if both_wait {
                                life.wait(turn);
                            }
                            mine.give();
                        }
                    });
                    let theirs = gate(other.goroutine());
                    for turn in 1..=turns {
                        if both_wait {
                            theirs.give();
                        }
                        life.wait(turn);
                    }
                });
            });
        }
    });
}

/// A token goes round.
pub fn ring(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let members = rng.within(2, 100);
    let laps = rng.within(1, 60);
    let passed = AtomicU64::new(0);
    scope(|s| {
        let passed = &passed;
        let mut next = life.gate();
        for _ in 0..members {
            let ticket = ctx.book.ticket("ring");
            let gate = ticket.early_gate();
            let to = std::mem::replace(&mut next, life.gate());
            ctx.book.spawned.fetch_add(1, Ordering::Relaxed);
            let member = s.go(move || {
                let life = ticket.begin();
                for lap in 1..=laps {
                    life.wait(lap);
                    passed.fetch_add(1, Ordering::Relaxed);
                    to.give();
                }
            });
            next = gate(member.goroutine());
        }
        for lap in 1..=laps {
            next.give();
            life.wait(lap);
        }
    });
    must_be(passed.load(Ordering::Relaxed), members * laps);
}

/// One waits; many wake it, goroutines and plain threads at once.
pub fn crowd(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 8) {
            let mut rng = rng.fork();
            ctx.go(s, "crowd", move |life| {
                let wakers = rng.within(1, 40);
                let each = rng.within(1, 20);
                scope(|s| {
                    for waker in 0..wakers {
                        let gate = life.gate();
                        let yields = rng.below(2);
                        if waker % 5 == 4 {
                            ctx.outside.send(move || (0..each).for_each(|_| gate.give()));
                        } else {
                            ctx.go(s, "crowd", move |life| give(life, &gate, each, yields));
                        }
                    }
                    // In some steps, so that permits come before, while and after it parks.
                    for part in 1..=wakers {
                        life.wait(part * each);
                    }
                });
            });
        }
    });
}

fn give(life: &Life, gate: &Gate, times: u64, yields: u64) {
    for _ in 0..times {
        gate.give();
        life.yields(yields);
    }
}

/// Goroutines that end while others unpark them, again and again, and after their end.
pub fn strays(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 60) {
            let times = rng.within(1, 50);
            let waits = rng.below(4);
            let ticket = ctx.book.ticket("strays");
            let gate = ticket.early_gate();
            ctx.book.spawned.fetch_add(1, Ordering::Relaxed);
            let short = s.go(move || {
                let life = ticket.begin();
                life.yields(waits % 2);
                life.wait(waits);
            });
            let gate = gate(short.goroutine());
            // The counted permits come first: their slot is somebody else's after the end.
            for _ in 0..waits {
                gate.give();
            }
            for waker in 0..rng.within(1, 4) {
                let gate = gate.clone();
                if waker == 3 {
                    ctx.outside.send(move || (0..times).for_each(|_| gate.stray()));
                } else {
                    ctx.go(s, "strays", move |life| {
                        for turn in 0..times {
                            gate.stray();
                            life.yields(u64::from(turn.is_multiple_of(7)));
                        }
                    });
                }
            }
            if rng.one_in(2) {
                life.step(Phase::Joining);
                must_be(short.join().is_ok(), true);
            }
        }
    });
}

/// Plain threads join goroutines, and wake who waits for that.
pub fn outside(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let n = rng.within(1, 50);
    for turn in 1..=n {
        let child = ctx.free("outside", move |life| {
            life.yields(turn % 3);
            turn
        });
        let gate = life.gate();
        ctx.joiners.send(move || {
            must_be(child.join().ok(), Some(turn));
            gate.give();
        });
        if rng.one_in(3) {
            life.wait(turn);
        }
    }
    life.wait(n);
}
