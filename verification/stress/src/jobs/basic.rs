//! Spawn, yield, join; values and stacks.
#![forbid(unsafe_code)]

use super::{Ctx, must_be};
use crate::book::{Life, Phase};
use crate::rng::Rng;
use selvedge::{Scope, scope};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Some that yield, for different times.
pub fn yields(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let counted = AtomicU64::new(0);
    let children = rng.within(1, 200);
    let mut total = 0;
    scope(|s| {
        for _ in 0..children {
            let times = rng.below(100);
            total += times;
            let counted = &counted;
            ctx.go(s, "yields", move |life| {
                life.yields(times);
                counted.fetch_add(times, Ordering::Relaxed);
            });
        }
        life.yields(rng.below(50));
    });
    must_be(counted.load(Ordering::Relaxed), total);
}

/// A tree of goroutines, each of which joins its children.
pub fn tree(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    let depth = rng.within(2, 9);
    let leaves = scope(|s| branch(ctx, s, depth));
    must_be(leaves, 1 << depth);
}

fn branch<'s>(ctx: &'s Ctx<'_>, s: &'s Scope<'s, '_>, depth: u64) -> u64 {
    if depth == 0 {
        return 1;
    }
    let left = ctx.go(s, "tree", move |life| {
        life.step(Phase::Joining);
        scope(|s| branch(ctx, s, depth - 1))
    });
    let right = ctx.go(s, "tree", move |_| scope(|s| branch(ctx, s, depth - 1)));
    left.join().unwrap_or(0) + right.join().unwrap_or(0)
}

/// So many at once that the deque overflows, and others steal.
pub fn burst(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let n = rng.within(300, 3000);
    let work = rng.below(3);
    let handles: Vec<_> = (0..n)
        .map(|i| {
            ctx.free("burst", move |life| {
                (0..work * 200).for_each(|n| _ = black_box(n));
                if i.is_multiple_of(64) {
                    life.yields(1);
                }
                i
            })
        })
        .collect();
    if rng.one_in(2) {
        life.spin(rng.below(3000));
    }
    life.step(Phase::Joining);
    let sum: u64 = handles.into_iter().map(|handle| handle.join().unwrap_or(0)).sum();
    must_be(sum, n * (n - 1) / 2);
}

/// Stacks keep what was written on them.
pub fn deep(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 60) {
            let seed = rng.next();
            let depth = rng.within(1, 20);
            let handle = ctx.go(s, "deep", move |life| descend(life, depth, seed));
            if rng.one_in(3) {
                must_be(handle.join().unwrap_or(0), check_sum(depth, seed));
            }
        }
    });
}

/// A KiB and more on each level; suspends at the bottom and on the way back.
#[inline(never)]
fn descend(life: &Life, depth: u64, seed: u64) -> u64 {
    let mut page = [0_u8; 1024];
    let fill = (seed ^ depth) as u8;
    black_box(&mut page).fill(fill);
    let below = if depth > 0 { descend(life, depth - 1, seed) } else { 0 };
    if depth.is_multiple_of(4) {
        life.yields(1);
    }
    if black_box(&page).iter().any(|byte| *byte != fill) {
        crate::violation(&format!("a stack has changed at depth {depth}"));
    }
    below + u64::from(fill)
}

fn check_sum(depth: u64, seed: u64) -> u64 {
    (0..=depth).map(|depth| u64::from((seed ^ depth) as u8)).sum()
}

/// Closures and results of all sizes, each dropped exactly once.
pub fn values(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let drops = Arc::new(AtomicU64::new(0));
    let n = rng.within(1, 100);
    for turn in 0..n {
        let (small, large) = (Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops)));
        let padding = [turn; 40];
        let handle = ctx.free("values", move |life| {
            let _small = small;
            if turn.is_multiple_of(3) {
                life.yields(1);
            }
            (large, padding)
        });
        match rng.below(4) {
            0 => drop(handle),
            1 => {
                life.yields(2);
                drop(handle);
            }
            2 => ctx.outside.send(move || drop(handle)),
            _ => match handle.join() {
                Ok((_, padding)) => must_be(padding, [turn; 40]),
                Err(error) => crate::violation(&format!("values: {error}")),
            },
        }
    }
    // The last may still run, or be on their way outside.
    let begin = std::time::Instant::now();
    while drops.load(Ordering::Acquire) < 2 * n {
        life.yields(1);
        if begin.elapsed().as_secs() > 15 {
            must_be(drops.load(Ordering::Acquire), 2 * n);
        }
    }
    must_be(drops.load(Ordering::Acquire), 2 * n);
}

struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}
