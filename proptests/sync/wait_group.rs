//! WaitGroup: what Go documents of its own, limits, and what is a mistake. [U3]

use crate::common::{everywhere, finish, panic_of};
use crate::{Body, go_ahead, in_order, mixture, on_one};
use selvedge::sync::{WaitError, WaitGroup};
use selvedge::{CancelToken, go, yield_now};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Everybody arrives at the first group, and leaves after the second.
#[test]
fn nobody_passes_a_group_before_it_is_done() {
    everywhere(|_, runtime| {
        for _ in 0..20 {
            let (arrived, released) = (WaitGroup::new(), WaitGroup::new());
            let left = Arc::new(AtomicUsize::new(0));
            arrived.add(16);
            released.add(1);
            let mut bodies: Vec<Body> = Vec::new();
            for _ in 0..16 {
                let (arrived, released) = (arrived.clone(), released.clone());
                let left = Arc::clone(&left);
                bodies.push(Box::new(move || {
                    arrived.done();
                    released.wait();
                    left.fetch_add(1, Ordering::SeqCst);
                }));
            }
            let seen = Arc::clone(&left);
            bodies.push(Box::new(move || {
                arrived.wait();
                assert_eq!(seen.load(Ordering::SeqCst), 0, "somebody left too early");
                released.done();
            }));
            mixture(&runtime, bodies);
            assert_eq!(left.load(Ordering::SeqCst), 16);
        }
        finish(runtime);
    });
}

#[test]
fn a_group_with_nothing_under_way_does_not_wait() {
    let group = WaitGroup::new();
    group.wait();
    group.add(0);
    group.wait();
    assert_eq!(group.wait_timeout(Duration::ZERO), Ok(()));
    assert_eq!(format!("{group:?}"), "WaitGroup { count: 0, .. }");
}

#[test]
fn below_zero_is_a_panic_that_says_what_to_do() {
    let group = WaitGroup::new();
    let why = panic_of(|| group.done());
    assert!(why.starts_with("WaitGroup: 0 under way, and 1 done: call `add` before"), "{why}");
    group.add(2);
    let why = panic_of(|| group.add(-3));
    assert!(why.starts_with("WaitGroup: 2 under way, and 3 done"), "{why}");
    assert_eq!(group.count(), 2, "and nothing was changed");
}

#[test]
fn more_than_there_can_be_is_a_panic_and_not_an_overflow() {
    let group = WaitGroup::new();
    group.add(isize::MAX);
    let why = panic_of(|| group.add(1));
    assert!(why.contains("no more than isize::MAX"), "{why}");
    group.add(-isize::MAX);
    group.wait();
    assert!(panic_of(|| group.add(isize::MIN)).contains("under way"));
}

#[test]
fn a_guard_is_done_when_it_is_dropped_also_by_a_panic() {
    in_order(|| {
        let group = WaitGroup::new();
        for n in 0..4 {
            let working = group.guard();
            go(move || {
                let _working = working;
                yield_now();
                if n % 2 == 0 {
                    resume_unwind(Box::new("on purpose"));
                }
            });
        }
        assert_eq!(group.count(), 4);
        group.wait();
    });
}

#[test]
fn all_who_wait_are_released_at_once_though_it_is_used_again() {
    in_order(|| {
        let group = WaitGroup::new();
        group.add(1);
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let group = group.clone();
                go_ahead(move || group.wait())
            })
            .collect();
        group.done();
        group.add(1);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(group.count(), 1, "they did not wait for the second round");
    });
}

#[test]
fn a_limited_wait_gives_up() {
    on_one(|| {
        let (group, token) = (WaitGroup::new(), CancelToken::new());
        group.add(1);
        assert_eq!(group.wait_timeout(Duration::from_millis(2)), Err(WaitError::TimedOut));
        assert_eq!(group.wait_deadline(Instant::now()), Err(WaitError::TimedOut));
        let (theirs, child) = (group.clone(), token.child());
        let waits = go_ahead(move || theirs.wait_cancel(&child));
        token.cancel();
        assert_eq!(waits.join().unwrap(), Err(WaitError::Cancelled));
        assert_eq!(group.wait_cancel(&token), Err(WaitError::Cancelled), "used again");
        group.done();
        assert_eq!(group.wait_timeout(Duration::MAX), Ok(()));
    });
}
