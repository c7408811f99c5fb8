//! RwLock: what `std` and Go document of theirs, order, limits and poison. [R1] [R2] [R3] [M4]

use crate::common::{beside, everywhere, finish, panic_of};
use crate::{Body, go_ahead, in_order, mixture, on_one};
use selvedge::sync::{LockError, Mutex, RwLock, RwLockWriteGuard, TryLockError};
use selvedge::{CancelToken, yield_now};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

/// Readers add one to a count of who is inside, writers 10,000.
#[test]
fn writers_are_alone_and_readers_with_readers() {
    everywhere(|_, runtime| {
        let shared = Arc::new((RwLock::new(0), AtomicIsize::new(0)));
        let bodies = (0..8).map(|who| {
            let shared = Arc::clone(&shared);
            Box::new(move || {
                let (lock, inside) = &*shared;
                for round in 0..400 {
                    if (who + round) % 5 == 0 {
                        let mut guard = lock.write().unwrap();
                        assert_eq!(inside.fetch_add(10_000, Ordering::SeqCst), 0);
                        *guard += 1;
                        yield_now();
                        inside.fetch_sub(10_000, Ordering::SeqCst);
                    } else {
                        let _guard = lock.read().unwrap();
                        assert!(inside.fetch_add(1, Ordering::SeqCst) < 10_000);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                }
            }) as Body
        });
        mixture(&runtime, bodies.collect());
        assert_eq!(*shared.0.read().unwrap(), 8 * 80);
        finish(runtime);
    });
}

#[test]
fn try_read_and_try_write_fail_where_they_would_wait() {
    let lock = RwLock::new(0);
    let reader = lock.read().unwrap();
    assert!(lock.try_read().is_ok());
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    drop(reader);
    let writer = lock.write().unwrap();
    assert!(matches!(lock.try_read(), Err(TryLockError::WouldBlock)));
    assert!(matches!(lock.try_write(), Err(TryLockError::WouldBlock)));
    drop(writer);
    *lock.try_write().unwrap() = 1;
    assert_eq!(format!("{lock:?}"), "RwLock { data: 1, poisoned: false, .. }");
}

/// A writer waits for the reader; a reader that comes later waits for the writer.
#[test]
fn a_waiting_writer_is_not_passed_and_readers_in_a_row_go_together() {
    in_order(|| {
        let lock = Arc::new(RwLock::new(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let reading = lock.read().unwrap();
        let waiters = ["write", "read", "read", "write", "read"].map(|what| {
            let (lock, order) = (Arc::clone(&lock), Arc::clone(&order));
            go_ahead(move || {
                if what == "write" {
                    let _guard = lock.write().unwrap();
                    order.lock().unwrap().push(what);
                    (0..20).for_each(|_| yield_now());
                } else {
                    let _guard = lock.read().unwrap();
                    order.lock().unwrap().push(what);
                    (0..20).for_each(|_| yield_now());
                    order.lock().unwrap().push("done");
                }
            })
        });
        assert!(lock.try_read().is_err(), "a writer waits");
        drop(reading);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        let together = ["write", "read", "read", "done", "done", "write", "read", "done"];
        assert_eq!(*order.lock().unwrap(), together);
    });
}

#[test]
fn a_downgraded_guard_keeps_writers_out_and_lets_readers_in() {
    in_order(|| {
        let lock = Arc::new(RwLock::new(1));
        let mut writing = lock.write().unwrap();
        let theirs = Arc::clone(&lock);
        let reads = go_ahead(move || *theirs.read().unwrap());
        *writing = 2;
        let reading = RwLockWriteGuard::downgrade(writing);
        assert_eq!(reads.join().unwrap(), 2);
        assert!(lock.try_write().is_err());
        drop(reading);
        assert!(lock.try_write().is_ok());
    });
}

#[test]
fn a_writer_that_panics_poisons_and_a_reader_does_not() {
    beside(|| {
        let mut lock = RwLock::new(0);
        panic_of(|| {
            let _guard = lock.read().unwrap();
            resume_unwind(Box::new("on purpose"))
        });
        assert!(!lock.is_poisoned());
        panic_of(|| {
            *lock.write().unwrap() = 7;
            let _guard = lock.write().unwrap();
            resume_unwind(Box::new("on purpose"))
        });
        assert_eq!(**lock.read().unwrap_err().get_ref(), 7);
        assert!(lock.write().is_err() && lock.try_read().is_err());
        assert!(matches!(lock.read_timeout(Duration::ZERO), Err(LockError::Poisoned(_))));
        lock.clear_poison();
        assert_eq!(*lock.get_mut().unwrap(), 7);
        assert_eq!(lock.into_inner().unwrap(), 7);
    });
}

#[test]
fn a_limited_lock_gives_up() {
    on_one(|| {
        let (lock, token) = (Arc::new(RwLock::new(0)), CancelToken::new());
        let writing = lock.write().unwrap();
        let soon = Duration::from_millis(1);
        assert!(matches!(lock.read_timeout(soon), Err(LockError::TimedOut)));
        assert!(matches!(lock.write_timeout(soon), Err(LockError::TimedOut)));
        assert!(matches!(lock.read_deadline(Instant::now()), Err(LockError::TimedOut)));
        assert!(matches!(lock.write_deadline(Instant::now()), Err(LockError::TimedOut)));
        let (theirs, child) = (Arc::clone(&lock), token.child());
        let writes =
            go_ahead(move || matches!(theirs.write_cancel(&child), Err(LockError::Cancelled)));
        let theirs = Arc::clone(&lock);
        let reads = go_ahead(move || *theirs.read().unwrap());
        token.cancel();
        assert!(writes.join().unwrap());
        drop(writing);
        assert_eq!(reads.join().unwrap(), 0);
        assert!(matches!(lock.read_cancel(&token), Err(LockError::Cancelled)), "used again");
    });
}

#[test]
fn a_static_and_unsized_values_work() {
    static LOCK: RwLock<u8> = RwLock::new(1);
    assert_eq!(*LOCK.read().unwrap(), 1);
    let lock: &RwLock<[i32]> = &RwLock::new([1, 2]);
    lock.write().unwrap().reverse();
    assert_eq!(&*lock.read().unwrap(), &[2, 1]);
}
