//! The latch: one holder at a time, who sees what the last one did [K12]; nobody sleeps on [K13].

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::latch::Latch;

fn everybody_counts(threads: usize, turns: usize, bound: Bound, name: &'static str) {
    Scenario { name, threads, operations: "each: lock, count, unlock" }.check(bound, move || {
        let latch = Arc::new(Latch::new(0));
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let latch = Arc::clone(&latch);
                spawn(move || (0..turns).for_each(|_| *latch.lock() += 1))
            })
            .collect();
        (0..turns).for_each(|_| *latch.lock() += 1);
        others.into_iter().for_each(join);
        assert_eq!(*latch.lock(), threads * turns, "K12: each has counted");
        let shown = format!("{latch:?}");
        assert!(shown.contains("waiting: 0"), "K13: nobody is woken for nothing: {shown}");
    });
}

/// 2 threads, 1 turn each, complete. Who sleeps for ever would be a deadlock.
#[test]
fn two_count() {
    everybody_counts(2, 1, Bound::Complete, "latch: two count");
}

/// 2 threads, 2 turns each. Who was woken meets the next holder.
#[test]
fn two_count_twice() {
    everybody_counts(2, 2, Bound::usual(), "latch: two count twice");
}

/// 3 threads, 1 turn each. Two sleep at a time.
#[test]
fn three_count() {
    everybody_counts(3, 1, Bound::usual(), "latch: three count");
}
