//! Mutex: [M1], [M2], [M3], [M4]. Plain threads wait by blocking their kernel thread, so a lost wake-up
//! is a deadlock, and red. In a model a panic is seen by all model threads, so of poison only this is
//! checked: whoever comes after one that panicked finds it.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;
use selvedge::internals::raw_mutex::{MOST_PASSES, RawMutex};
use selvedge::internals::wait::{WaitLimit, limit_of};
use selvedge::sync::{LockError, Mutex, WaitError};
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// Adds one: reads and writes are two steps, and both are checked for races.
fn add(mutex: &Mutex<Payload>) {
    let guard = mutex.lock().expect("not poisoned");
    guard.write(guard.take() + 1);
}

/// Threads that lock a mutex `each` times; main is one of them. Each addition is kept.
fn adders(threads: usize, each: usize) {
    let mutex = Arc::new(Mutex::new(Payload::new(0)));
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let mutex = Arc::clone(&mutex);
            spawn(move || (0..each).for_each(|_| add(&mutex)))
        })
        .collect();
    (0..each).for_each(|_| add(&mutex));
    others.into_iter().for_each(join);
    let sum = mutex.lock().expect("not poisoned").take();
    assert_eq!(sum, threads * each, "an addition was lost");
}

/// 2 threads: each locks and unlocks once; every interleaving.
#[test]
fn two_threads_exclude_each_other_and_see_each_other() {
    Scenario {
        name: "mutex: two threads exclude and see each other [M1] [M2]",
        threads: 2,
        operations: "lock, add, unlock ×2",
    }
    .check(Bound::Complete, || adders(2, 1));
}

/// 2 threads: each locks and unlocks twice: passes, hand-offs, and a queue that fills again.
#[test]
fn two_threads_lock_twice_each() {
    Scenario {
        name: "mutex: two threads lock twice each [M1] [M2]",
        threads: 2,
        operations: "(lock, add, unlock)² ×2",
    }
    .check(Bound::complete_if_long(), || adders(2, 2));
}

/// 3 threads: each locks once: a queue of two.
#[test]
fn three_threads_exclude_each_other() {
    Scenario {
        name: "mutex: three threads exclude each other [M1] [M2]",
        threads: 3,
        operations: "lock, add, unlock ×3",
    }
    .check(Bound::usual(), || adders(3, 1));
}

/// 2 threads: one waits, the other unlocks and locks again and again. Once the waiter is seen, the
/// other passes it at most `MOST_PASSES` times.
#[test]
fn a_waiter_is_passed_a_bounded_number_of_times() {
    Scenario {
        name: "mutex: a waiter is passed a bounded number of times [M3]",
        threads: 2,
        operations: "lock, (unlock, lock)^(passes + 1), unlock | lock, unlock",
    }
    .check(Bound::Preemptions(3), || {
        let place = Location::caller();
        let (mutex, served) = (Arc::new(RawMutex::new()), Arc::new(Payload::new(0)));
        let lock = move |mutex: &RawMutex| mutex.lock(WaitLimit::NONE, place).expect("no limit");
        lock(&mutex);
        let other = {
            let (mutex, served) = (Arc::clone(&mutex), Arc::clone(&served));
            spawn(move || {
                lock(&mutex);
                served.write(1);
                mutex.unlock();
            })
        };
        let waits = mutex.is_waited_for();
        for _ in 0..=MOST_PASSES {
            mutex.unlock();
            lock(&mutex);
        }
        assert!(served.take() == 1 || !waits, "passed {} times", MOST_PASSES + 1);
        mutex.unlock();
        join(other);
    });
}

/// 3 threads: main holds the lock, cancels a waiter's token and unlocks; another waiter has no
/// token. Whoever is woken and gives up strands nobody.
#[test]
fn who_gives_up_passes_the_wake_up_on() {
    Scenario {
        name: "mutex: who gives up strands nobody [M1] [M2]",
        threads: 3,
        operations: "lock, cancel, unlock | lock_cancel, add | lock, add",
    }
    .check(Bound::usual(), || {
        let mutex = Arc::new(Mutex::new(Payload::new(0)));
        let token = CancelToken::new();
        let held = mutex.lock().expect("not poisoned");
        let (had, gives_up) = {
            let (mutex, token) = (Arc::clone(&mutex), token.clone());
            let had = Arc::new(Payload::new(0));
            let tell = Arc::clone(&had);
            let thread = spawn(move || match mutex.lock_cancel(&token) {
                Ok(guard) => {
                    guard.write(guard.take() + 1);
                    tell.write(1);
                }
                Err(LockError::Cancelled) => assert!(token.is_cancelled()),
                Err(other) => panic!("{other:?}"),
            });
            (had, thread)
        };
        let waits = {
            let mutex = Arc::clone(&mutex);
            spawn(move || add(&mutex))
        };
        token.cancel();
        drop(held);
        join(gives_up);
        join(waits);
        let sum = mutex.try_lock().expect("nobody holds it").take();
        assert_eq!(sum, 1 + had.take());
    });
}

/// 3 threads: one is woken, or handed the lock, while another gives up: that changes nothing for the
/// one on its way.
#[test]
fn who_gives_up_takes_nothing_from_the_one_on_its_way() {
    Scenario {
        name: "mutex: who gives up takes nothing from the one on its way [M2] [M3]",
        threads: 3,
        operations: "lock, (unlock, lock)^passes, unlock, cancel | lock, unlock | lock_cancel",
    }
    .check(Bound::usual(), || {
        let place = Location::caller();
        let mutex = Arc::new(RawMutex::new());
        let token = CancelToken::new();
        mutex.lock(WaitLimit::NONE, place).expect("no limit");
        let waits = {
            let mutex = Arc::clone(&mutex);
            spawn(move || {
                mutex.lock(WaitLimit::NONE, place).expect("no limit");
                mutex.unlock();
            })
        };
        let gives_up = {
            let (mutex, token) = (Arc::clone(&mutex), token.clone());
            spawn(move || {
                if mutex.lock(limit_of(&token), place).is_ok() {
                    mutex.unlock();
                }
            })
        };
        for _ in 0..MOST_PASSES {
            mutex.unlock();
            mutex.lock(WaitLimit::NONE, place).expect("no limit");
        }
        mutex.unlock();
        token.cancel();
        join(waits);
        join(gives_up);
        assert!(!mutex.is_waited_for() && mutex.try_lock(), "all have left");
    });
}

/// 2 threads: one waits under a token, main unlocks, cancels, and locks again: the waiter has the
/// lock, or leaves nothing behind.
#[test]
fn a_cancelled_waiter_has_the_lock_or_leaves_it() {
    Scenario {
        name: "mutex: a cancelled waiter has the lock or leaves it [M2]",
        threads: 2,
        operations: "lock, unlock, cancel, lock, unlock | lock_cancel, unlock",
    }
    .check(Bound::complete_if_long(), || {
        let place = Location::caller();
        let mutex = Arc::new(RawMutex::new());
        let token = CancelToken::new();
        mutex.lock(WaitLimit::NONE, place).expect("no limit");
        let other = {
            let (mutex, token) = (Arc::clone(&mutex), token.clone());
            spawn(move || match mutex.lock(limit_of(&token), place) {
                Ok(()) => mutex.unlock(),
                Err(error) => assert_eq!(error, WaitError::Cancelled),
            })
        };
        mutex.unlock();
        token.cancel();
        mutex.lock(WaitLimit::NONE, place).expect("no limit");
        mutex.unlock();
        join(other);
        assert!(!mutex.is_waited_for(), "nobody waits any more");
        assert!(mutex.try_lock(), "nobody holds it");
    });
}

/// 2 threads: one panics while it has the lock | the other locks: it finds the mark, and what was done
/// before the panic, or neither. [M4]
#[test]
fn who_locks_after_a_panic_finds_the_mark() {
    Scenario {
        name: "mutex: who locks after a panic finds the mark [M2] [M4]",
        threads: 2,
        operations: "lock, add | lock, add, panic",
    }
    .check(Bound::Complete, || {
        let mutex = Arc::new(Mutex::new(Payload::new(0)));
        let theirs = Arc::clone(&mutex);
        let other = spawn(move || {
            let fail = || {
                let guard = theirs.lock().expect("nobody else panics");
                guard.write(guard.take() + 1);
                resume_unwind(Box::new(()));
            };
            assert!(catch_unwind(AssertUnwindSafe(fail)).is_err());
        });
        let (poisoned, guard) = match mutex.lock() {
            Ok(guard) => (false, guard),
            Err(error) => (true, error.into_inner()),
        };
        assert_eq!(guard.take(), usize::from(poisoned), "one without the other");
        guard.write(0);
        drop(guard);
        join(other);
        assert!(mutex.is_poisoned());
    });
}
