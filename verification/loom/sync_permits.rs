//! Semaphore and RwLock: [R1], [R2], [R3]. A wake-up that is lost is a deadlock, and red.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;
use selvedge::sync::{RwLock, RwLockWriteGuard, Semaphore};
use std::time::Duration;

/// 2 threads: each takes the one permit; every interleaving.
#[test]
fn one_permit_excludes() {
    Scenario {
        name: "semaphore: one permit excludes [R1] [R3]",
        threads: 2,
        operations: "acquire 1, add, release ×2",
    }
    .check(Bound::Complete, || {
        let shared = Arc::new((Semaphore::new(1), Payload::new(0)));
        let add = |shared: &(Semaphore, Payload)| {
            let _permit = shared.0.acquire(1);
            shared.1.write(shared.1.take() + 1);
        };
        let theirs = Arc::clone(&shared);
        let other = spawn(move || add(&theirs));
        add(&shared);
        join(other);
        assert_eq!((shared.0.available_permits(), shared.1.take()), (1, 2));
    });
}

/// 3 threads: main holds both permits and gives them back one by one; one wants two, one wants one.
#[test]
fn who_wants_many_and_who_wants_few_are_served() {
    Scenario {
        name: "semaphore: who wants many and who wants few are served [R1] [R3]",
        threads: 3,
        operations: "release 1, release 1 | acquire 2, release | acquire 1, release",
    }
    .check(Bound::usual(), || {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = [semaphore.acquire(1), semaphore.acquire(1)];
        let others = [2, 1].map(|n| {
            let semaphore = Arc::clone(&semaphore);
            spawn(move || drop(semaphore.acquire(n)))
        });
        drop(held);
        others.into_iter().for_each(join);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// 3 threads: one wants two and gives up, one that came later wants one, which is free: it is not
/// stranded behind the other.
#[test]
fn who_gives_up_lets_those_behind_it_go_on() {
    Scenario {
        name: "semaphore: who gives up lets those behind it go on [R1] [R3]",
        threads: 3,
        operations: "cancel | acquire_cancel 2 | acquire 1, release",
    }
    .check(Bound::usual(), || {
        let (semaphore, token) = (Arc::new(Semaphore::new(2)), CancelToken::new());
        let held = semaphore.acquire(1);
        let gives_up = {
            let (semaphore, token) = (Arc::clone(&semaphore), token.clone());
            spawn(move || assert!(semaphore.acquire_cancel(2, &token).is_err()))
        };
        let waits = {
            let semaphore = Arc::clone(&semaphore);
            spawn(move || drop(semaphore.acquire(1)))
        };
        token.cancel();
        join(waits);
        join(gives_up);
        drop(held);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// 3 threads: permits are given to one while it is cancelled: it has them, or they are free.
#[test]
fn permits_are_given_to_who_takes_them() {
    Scenario {
        name: "semaphore: permits are given to who takes them [R1]",
        threads: 3,
        operations: "release | acquire_cancel 1, release | cancel",
    }
    .check(Bound::usual(), || {
        let (semaphore, token) = (Arc::new(Semaphore::new(1)), CancelToken::new());
        let held = semaphore.acquire(1);
        let waits = {
            let (semaphore, token) = (Arc::clone(&semaphore), token.clone());
            spawn(move || drop(semaphore.acquire_cancel(1, &token)))
        };
        let cancels = spawn(move || token.cancel());
        drop(held);
        join(waits);
        join(cancels);
        assert!(semaphore.try_acquire(1).is_some(), "it is free, and nobody waits");
    });
}

/// 3 threads: a writer and a reader beside main, which reads. Reads see whole writes.
#[test]
fn readers_and_a_writer_exclude_each_other() {
    Scenario {
        name: "rwlock: readers and a writer exclude each other [R1] [R3]",
        threads: 3,
        operations: "read | read | write",
    }
    .check(Bound::usual(), || {
        let lock = Arc::new(RwLock::new((0, 0)));
        let read = |lock: &RwLock<(i32, i32)>| {
            let guard = lock.read().expect("not poisoned");
            assert_eq!(guard.0, guard.1);
        };
        let reader = {
            let lock = Arc::clone(&lock);
            spawn(move || read(&lock))
        };
        let writer = {
            let lock = Arc::clone(&lock);
            spawn(move || {
                let mut guard = lock.write().expect("not poisoned");
                guard.0 = 1;
                guard.1 = 1;
            })
        };
        read(&lock);
        join(reader);
        join(writer);
        assert_eq!(*lock.try_read().expect("nobody writes"), (1, 1));
    });
}

/// 2 threads: two writers; every interleaving.
#[test]
fn two_writers_exclude_each_other() {
    Scenario {
        name: "rwlock: two writers exclude each other [R1] [R3]",
        threads: 2,
        operations: "write ×2",
    }
    .check(Bound::Complete, || {
        let lock = Arc::new(RwLock::new(0));
        let theirs = Arc::clone(&lock);
        let other = spawn(move || *theirs.write().expect("not poisoned") += 1);
        *lock.write().expect("not poisoned") += 1;
        join(other);
        assert_eq!(*lock.read().expect("not poisoned"), 2);
    });
}

/// 3 threads: main writes, then reads without letting go; a reader and a writer wait.
#[test]
fn a_downgrade_lets_readers_in_and_no_writer() {
    Scenario {
        name: "rwlock: a downgrade lets readers in, and no writer [R1] [R3]",
        threads: 3,
        operations: "write, downgrade, read | read | write",
    }
    .check(Bound::usual(), || {
        let lock = Arc::new(RwLock::new(0));
        let mut guard = lock.write().expect("not poisoned");
        let theirs = Arc::clone(&lock);
        let reader = spawn(move || assert!(*theirs.read().expect("not poisoned") > 0));
        let theirs = Arc::clone(&lock);
        let writer = spawn(move || *theirs.write().expect("not poisoned") += 1);
        *guard = 1;
        let guard = RwLockWriteGuard::downgrade(guard);
        assert_eq!(*guard, 1, "nobody has written in between");
        drop(guard);
        join(reader);
        join(writer);
    });
}

/// Whether somebody waits; a hint, of the semaphore's own.
fn is_waited_for(semaphore: &Semaphore) -> bool {
    format!("{semaphore:?}").contains("waiting: true")
}

/// 2 threads: one waits for both permits, of which main gives one back: nobody takes that one past it,
/// neither at once nor by queueing. [R2]
#[test]
fn nobody_takes_a_permit_past_who_waits() {
    Scenario {
        name: "semaphore: nobody takes a permit past who waits [R2]",
        threads: 2,
        operations: "release 1, try 1, queue 1, release 1 | acquire 2, release",
    }
    .check(Bound::Complete, || {
        let semaphore = Arc::new(Semaphore::new(2));
        let [first, second] = [semaphore.acquire(1), semaphore.acquire(1)];
        let theirs = Arc::clone(&semaphore);
        let waits = spawn(move || drop(theirs.acquire(2)));
        drop(first);
        if is_waited_for(&semaphore) {
            assert!(semaphore.try_acquire(1).is_none(), "one is free, and somebody waits");
            let hasty = semaphore.acquire_timeout(1, Duration::ZERO);
            assert!(hasty.is_err(), "one is free, and somebody waits");
        }
        drop(second);
        join(waits);
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// 2 threads: a writer waits for main's read lock to go: no reader passes it. [R2]
#[test]
fn no_reader_passes_a_writer_that_waits() {
    Scenario {
        name: "rwlock: no reader passes a writer that waits [R2]",
        threads: 2,
        operations: "read, try_read, queue | write",
    }
    .check(Bound::Complete, || {
        let lock = Arc::new(RwLock::new(0));
        let guard = lock.read().expect("not poisoned");
        let theirs = Arc::clone(&lock);
        let writer = spawn(move || *theirs.write().expect("not poisoned") += 1);
        // Of two looks, the second is at least as late: who did not pass did so because of the writer.
        if lock.try_read().is_err() {
            assert!(lock.try_read().is_err(), "the writer still waits for this very guard");
            assert!(lock.read_timeout(Duration::ZERO).is_err(), "and so does who queues");
        }
        drop(guard);
        join(writer);
        assert_eq!(*lock.read().expect("not poisoned"), 1);
    });
}
