//! Condvar: what `std` documents of its own, order, and limits. [U1] [U2]

use crate::common::{everywhere, finish};
use crate::{Body, go_ahead, in_order, mixture, on_one};
use selvedge::sync::{Condvar, Mutex, WaitError};
use selvedge::{CancelToken, go, yield_now};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

type Pair<T> = Arc<(Mutex<T>, Condvar)>;

fn pair<T>(value: T) -> Pair<T> {
    Arc::new((Mutex::new(value), Condvar::new()))
}

/// A queue of bounded length between producers and consumers, all goroutines and threads mixed.
#[test]
fn a_bounded_queue_passes_each_item_once() {
    const EACH: usize = 500;
    struct Queue {
        items: Mutex<VecDeque<usize>>,
        filled: Condvar,
        emptied: Condvar,
    }
    everywhere(|_, runtime| {
        let queue = Arc::new(Queue {
            items: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
        });
        let got = Arc::new(Mutex::new(Vec::new()));
        let producers = (0..3).map(|n| {
            let queue = Arc::clone(&queue);
            Box::new(move || {
                for item in n * EACH..(n + 1) * EACH {
                    let items = queue.items.lock().unwrap();
                    let mut items = queue.emptied.wait_while(items, |q| q.len() == 4).unwrap();
                    items.push_back(item);
                    queue.filled.notify_one();
                }
            }) as Body
        });
        let consumers = (0..3).map(|_| {
            let (queue, got) = (Arc::clone(&queue), Arc::clone(&got));
            Box::new(move || {
                for _ in 0..EACH {
                    let items = queue.items.lock().unwrap();
                    let mut items = queue.filled.wait_while(items, |q| q.is_empty()).unwrap();
                    let item = items.pop_front().unwrap();
                    drop(items);
                    queue.emptied.notify_one();
                    got.lock().unwrap().push(item);
                }
            }) as Body
        });
        mixture(&runtime, producers.chain(consumers).collect());
        let mut got = std::mem::take(&mut *got.lock().unwrap());
        got.sort_unstable();
        assert!(got.into_iter().eq(0..3 * EACH), "each item once");
        finish(runtime);
    });
}

#[test]
fn notify_one_wakes_in_order_and_one_alone() {
    in_order(|| {
        let pair = pair(Vec::new());
        let waiters: Vec<_> = (0..5)
            .map(|n| {
                let pair = Arc::clone(&pair);
                go_ahead(move || {
                    let guard = pair.0.lock().unwrap();
                    pair.1.wait(guard).unwrap().push(n);
                })
            })
            .collect();
        for woken in 0..5 {
            assert_eq!(pair.0.lock().unwrap().len(), woken);
            pair.1.notify_one();
            while pair.0.lock().unwrap().len() == woken {
                yield_now();
            }
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*pair.0.lock().unwrap(), [0, 1, 2, 3, 4]);
    });
}

#[test]
fn notify_all_wakes_everybody_who_waits_then() {
    everywhere(|_, runtime| {
        let pair = pair((0, false));
        let mut bodies: Vec<Body> = Vec::new();
        for _ in 0..10 {
            let pair = Arc::clone(&pair);
            bodies.push(Box::new(move || {
                let mut guard = pair.0.lock().unwrap();
                guard.0 += 1;
                pair.1.notify_all();
                let guard = pair.1.wait_while(guard, |(_, open)| !*open).unwrap();
                assert!(guard.1);
            }));
        }
        let theirs = Arc::clone(&pair);
        bodies.push(Box::new(move || {
            let guard = theirs.0.lock().unwrap();
            let mut guard = theirs.1.wait_while(guard, |(here, _)| *here < 10).unwrap();
            guard.1 = true;
            drop(guard);
            theirs.1.notify_all();
        }));
        mixture(&runtime, bodies);
        finish(runtime);
    });
}

#[test]
fn a_notify_without_waiters_is_not_kept() {
    on_one(|| {
        let pair = pair(());
        pair.1.notify_one();
        pair.1.notify_all();
        let guard = pair.0.lock().unwrap();
        let (_guard, ended) = pair.1.wait_timeout(guard, Duration::from_millis(2)).unwrap();
        assert!(ended.timed_out() && !ended.cancelled());
        assert_eq!(ended.ended(), Err(WaitError::TimedOut));
    });
}

#[test]
fn a_limited_wait_unlocks_meanwhile_and_locks_again() {
    on_one(|| {
        let pair = pair(0);
        let guard = pair.0.lock().unwrap();
        let theirs = Arc::clone(&pair);
        let other = go(move || *theirs.0.lock().unwrap() = 1);
        let start = Instant::now();
        let soon = Duration::from_millis(5);
        let (guard, ended) = pair.1.wait_deadline(guard, start + soon).unwrap();
        assert!(ended.timed_out() && start.elapsed() >= soon);
        assert_eq!(*guard, 1, "the other one had the lock meanwhile");
        assert!(pair.0.try_lock().is_err(), "and it is locked again");
        drop(guard);
        other.join().unwrap();
    });
}

#[test]
fn a_limited_wait_while_ends_by_the_condition_or_says_why_not() {
    on_one(|| {
        let (pair, token) = (pair(0), CancelToken::new());
        let soon = Duration::from_millis(2);
        let lock = || pair.0.lock().unwrap();
        let (guard, ended) = pair.1.wait_timeout_while(lock(), soon, |n| *n == 1).unwrap();
        assert!(!ended.timed_out(), "the condition did not hold in the first place");
        drop(guard);
        let (guard, ended) = pair.1.wait_timeout_while(lock(), soon, |n| *n == 0).unwrap();
        assert!(ended.timed_out());
        drop(guard);
        let past = Instant::now();
        let (guard, ended) = pair.1.wait_deadline_while(lock(), past, |n| *n == 0).unwrap();
        assert!(ended.timed_out());
        drop(guard);
        let theirs = Arc::clone(&pair);
        let sets = go(move || {
            *theirs.0.lock().unwrap() = 1;
            theirs.1.notify_one();
        });
        let (guard, ended) = pair.1.wait_timeout_while(lock(), Duration::MAX, |n| *n == 0).unwrap();
        assert_eq!((*guard, ended.ended()), (1, Ok(())));
        drop(guard);
        sets.join().unwrap();
        token.cancel();
        let (_guard, ended) = pair.1.wait_cancel_while(lock(), &token, |n| *n == 1).unwrap();
        assert!(ended.cancelled());
    });
}

#[test]
fn a_cancelled_token_ends_a_wait_and_is_refused_ever_after() {
    on_one(|| {
        let (pair, token) = (pair(()), CancelToken::new());
        let (theirs, child) = (Arc::clone(&pair), token.child());
        let waits = go_ahead(move || {
            let guard = theirs.0.lock().unwrap();
            theirs.1.wait_cancel(guard, &child).unwrap().1.cancelled()
        });
        token.cancel();
        assert!(waits.join().unwrap());
        let guard = pair.0.lock().unwrap();
        assert!(pair.1.wait_cancel(guard, &token).unwrap().1.cancelled(), "used again");
    });
}

/// `std` may panic here; the waiters of one condition variable need not share a mutex.
#[test]
fn two_mutexes_may_wait_for_one_condvar() {
    on_one(|| {
        let (one, other, changed) = (Mutex::new(()), Mutex::new(()), Condvar::new());
        let soon = Duration::from_millis(1);
        assert!(changed.wait_timeout(one.lock().unwrap(), soon).unwrap().1.timed_out());
        assert!(changed.wait_timeout(other.lock().unwrap(), soon).unwrap().1.timed_out());
    });
}
