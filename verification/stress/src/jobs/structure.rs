//! Scopes, runtimes within runtimes, and sections that don't suspend or don't move.
#![forbid(unsafe_code)]

use super::{Ctx, expected, fail, must_be};
use crate::book::{Life, Phase, kernel_thread};
use crate::rng::Rng;
use crate::round::build;
use selvedge::{Runtime, Spawn, no_suspend, pinned, scope};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Children write to what their parent owns.
pub fn scopes(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    for _ in 0..rng.within(1, 6) {
        let mut cells = vec![0_u64; rng.within(1, 60) as usize];
        let yields = rng.below(3);
        let fails = rng.one_in(4);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                for (i, cell) in cells.iter_mut().enumerate() {
                    ctx.go(s, "scopes", move |life| {
                        life.yields(yields);
                        *cell = i as u64 + 1;
                    });
                }
                if fails {
                    fail(9);
                }
            });
        }));
        must_be(caught.err().and_then(expected), fails.then_some(9));
        let right = (1..=cells.len() as u64).collect::<Vec<_>>();
        must_be(cells, right);
    }
}

/// `run` in a goroutine: of this runtime, and of another one.
pub fn nested(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    for _ in 0..rng.within(1, 10) {
        let seed = rng.next();
        ctx.book.spawned.fetch_add(1, Ordering::Relaxed);
        life.step(Phase::Joining);
        let answer = ctx.runtime.run(|| {
            let life = ctx.book.ticket("nested").begin();
            life.yields(seed % 3);
            seed
        });
        must_be(answer, seed);
    }
    if rng.one_in(3) {
        another_runtime(ctx, rng);
    }
}

/// Its building and its end block the kernel thread, so say so.
fn another_runtime(ctx: &Ctx<'_>, rng: &mut Rng) {
    let builder = Runtime::builder().processors(2).max_threads(8).max_goroutines(500);
    let placement = ctx.book.placement;
    let other = selvedge::blocking(|| build(builder, placement));
    let n = rng.within(1, 100);
    let sum = other.run(|| {
        let spawn = |i| Spawn::new().go(move || i);
        let handles: Vec<_> = (1..=n).map(spawn).collect();
        handles.into_iter().map(|handle| handle.join().unwrap_or(0)).sum::<u64>()
    });
    must_be(sum, n * (n + 1) / 2);
    let ended = selvedge::blocking(|| other.shutdown(Duration::from_secs(10)));
    must_be(ended.is_ok(), true);
}

/// `pinned`, `no_suspend`, names.
pub fn sections(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    let refused = AtomicU64::new(0);
    let n = rng.within(1, 30);
    scope(|s| {
        let refused = &refused;
        for _ in 0..n {
            let yields = rng.below(20);
            ctx.go(s, "sections", move |life| {
                life.yields(yields % 4);
                pinned(|| stay(life, yields));
                life.yields(1);
                if let Some(_hold) = ctx.hold_thread() {
                    scope_in_place(ctx);
                }
                if catch_unwind(|| no_suspend(selvedge::yield_now)).is_err() {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
                life.yields(1);
            });
        }
    });
    must_be(refused.load(Ordering::Relaxed), n);
}

/// A scope that ends where nothing may suspend: the thread sleeps.
fn scope_in_place(ctx: &Ctx<'_>) {
    let done = AtomicU64::new(0);
    let child = |_: &Life| done.store(1, Ordering::Relaxed);
    no_suspend(|| scope(|s| drop(ctx.go(s, "sections", child))));
    must_be(done.load(Ordering::Relaxed), 1);
}

fn stay(life: &Life, times: u64) {
    let here = kernel_thread();
    for _ in 0..times {
        life.yields(1);
        must_be(kernel_thread(), here);
    }
}
