//! The latch: one holder at a time, who sees what the last one did [K12]; nobody sleeps on [K13].
//! In models the first worker to lock it owns it from then on, until another comes.

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::biased_lock::{BiasedLock, BiasedLockGuard};

fn lock(latch: &BiasedLock<usize>) -> BiasedLockGuard<'_, usize> {
    // SAFETY: no thread here has two guards, or runs goroutines.
    unsafe { latch.lock() }
}

fn everybody_counts(threads: usize, turns: usize, bound: Bound, name: &'static str) {
    Scenario { name, threads, operations: "each: lock, count, unlock" }.check(bound, move || {
        let latch = Arc::new(BiasedLock::new(0));
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let latch = Arc::clone(&latch);
                spawn(move || (0..turns).for_each(|_| *lock(&latch) += 1))
            })
            .collect();
        (0..turns).for_each(|_| *lock(&latch) += 1);
        others.into_iter().for_each(join);
        assert_eq!(*lock(&latch), threads * turns, "K12: each has counted");
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

/// Threads that lock as the workers with these addresses, so many times each; 0: as no worker.
fn workers_count(workers: &'static [(usize, usize)], bound: Bound, name: &'static str) {
    let operations = "each, as a worker: lock, count, unlock";
    Scenario { name, threads: workers.len(), operations }.check(bound, move || {
        let latch = Arc::new(BiasedLock::new(0));
        let count = |latch: &BiasedLock<usize>, (worker, turns): (usize, usize)| {
            // SAFETY: each thread has an address of its own, or none, and one guard at a time.
            (0..turns).for_each(|_| *unsafe { latch.lock_as(worker) } += 1);
        };
        let others: Vec<_> = workers[1..]
            .iter()
            .map(|&other| {
                let latch = Arc::clone(&latch);
                spawn(move || count(&latch, other))
            })
            .collect();
        count(&latch, workers[0]);
        others.into_iter().for_each(join);
        let all: usize = workers.iter().map(|worker| worker.1).sum();
        assert_eq!(*lock(&latch), all, "K12: each has counted");
        let shown = format!("{latch:?}");
        assert!(shown.contains("waiting: 0"), "K13: nobody is woken for nothing: {shown}");
    });
}

/// 2 threads: the owner, 2 turns | another, 1 turn; complete where there are minutes for it. Either may be
/// the one that comes to own it.
#[test]
fn another_comes_to_an_owned_one() {
    let name = "latch: another comes to an owned one";
    workers_count(&[(8, 2), (16, 1)], Bound::complete_if_long(), name);
}

/// 2 threads: the owner, 2 turns | no worker, 2 turns. What is spent stays so.
#[test]
fn a_plain_thread_comes_to_an_owned_one() {
    let name = "latch: a plain thread comes to an owned one";
    workers_count(&[(8, 2), (0, 2)], Bound::usual(), name);
}

/// 3 threads: the owner, 2 turns | another | a third. One of them waits for the owner, one for that one.
#[test]
fn two_come_to_an_owned_one() {
    workers_count(&[(8, 2), (16, 1), (24, 1)], Bound::usual(), "latch: two come to an owned one");
}
