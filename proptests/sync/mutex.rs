//! Mutex: what `std` documents of its own, limits, fairness, and who may hold a guard. [M1] [M3]

use crate::common::{beside, everywhere, finish, panic_of};
use crate::{Body, go_ahead, in_order, mixture, on_one};
use selvedge::internals::raw_mutex::{MOST_PASSES, RawMutex};
use selvedge::internals::wait::{WaitLimit, limit_of};
use selvedge::sync::{LockError, Mutex, TryLockError};
use selvedge::{CancelToken, go, no_suspend, yield_now};
use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn additions_of_goroutines_and_threads_are_all_kept() {
    everywhere(|_, runtime| {
        let total = Arc::new(Mutex::new(0usize));
        let bodies = (0..8).map(|n| {
            let total = Arc::clone(&total);
            Box::new(move || {
                for round in 0..2_000 {
                    let mut guard = total.lock().unwrap();
                    let seen = *guard;
                    if (round + n) % 50 == 0 {
                        yield_now(); // a guard crosses a suspension
                    }
                    *guard = seen + 1;
                }
            }) as Body
        });
        mixture(&runtime, bodies.collect());
        assert_eq!(*total.lock().unwrap(), 16_000);
        finish(runtime);
    });
}

#[test]
fn try_lock_fails_while_it_is_held_and_only_then() {
    let mutex = Mutex::new(1);
    let guard = mutex.lock().unwrap();
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    drop(guard);
    assert_eq!(*mutex.try_lock().unwrap(), 1);
}

#[test]
fn into_inner_gives_the_value_and_drops_nothing() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let value = Mutex::new(Counted(Arc::clone(&drops))).into_inner().unwrap();
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(value);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(Mutex::new(Counted(Arc::clone(&drops))));
    assert_eq!(drops.load(Ordering::SeqCst), 2);
}

#[test]
fn get_mut_needs_no_lock() {
    let mut mutex = Mutex::from(Cell::new(1));
    mutex.get_mut().unwrap().set(2);
    assert_eq!(mutex.lock().unwrap().get(), 2);
}

#[test]
fn unsized_values_are_guarded_too() {
    let mutex: &Mutex<[i32]> = &Mutex::new([1, 2, 3]);
    mutex.lock().unwrap().reverse();
    assert_eq!(&*mutex.lock().unwrap(), &[3, 2, 1]);
    let shown: Box<Mutex<dyn std::fmt::Display>> = Box::new(Mutex::new("text"));
    assert_eq!(shown.lock().unwrap().to_string(), "text");
}

#[test]
fn it_shows_its_value_unless_it_is_locked() {
    let mutex = Mutex::<u8>::default();
    assert_eq!(format!("{mutex:?}"), "Mutex { data: 0, poisoned: false, .. }");
    let guard = mutex.lock().unwrap();
    assert_eq!(format!("{mutex:?}"), "Mutex { data: <locked>, poisoned: false, .. }");
    assert_eq!(format!("{guard:?} {guard}"), "0 0");
}

#[test]
fn a_static_needs_no_initialization() {
    static TOTAL: Mutex<u32> = Mutex::new(0);
    beside(|| {
        let threads = [1, 2, 3].map(|n| std::thread::spawn(move || *TOTAL.lock().unwrap() += n));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*TOTAL.lock().unwrap(), 6);
    });
}

#[test]
fn a_guard_may_be_released_elsewhere() {
    in_order(|| {
        static MUTEX: Mutex<u32> = Mutex::new(0);
        let guard = MUTEX.lock().unwrap();
        std::thread::spawn(move || drop(guard)).join().unwrap();
        let guard = MUTEX.lock().unwrap();
        go(move || drop(guard)).join().unwrap();
        assert!(MUTEX.try_lock().is_ok());
    });
}

#[test]
fn the_auto_traits_are_those_of_the_value() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    fn is_unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}
    is_send::<Mutex<Cell<u8>>>();
    is_sync::<Mutex<Cell<u8>>>();
    is_unwind_safe::<Mutex<Cell<u8>>>();
    is_send::<selvedge::sync::MutexGuard<'_, Cell<u8>>>();
    is_sync::<selvedge::sync::MutexGuard<'_, u8>>();
}

#[test]
fn a_limited_lock_gives_up_and_leaves_the_lock_to_others() {
    on_one(|| {
        let mutex = Arc::new(Mutex::new(0));
        let guard = mutex.lock().unwrap();
        let soon = Duration::from_millis(2);
        let start = Instant::now();
        assert!(matches!(mutex.lock_timeout(soon), Err(LockError::TimedOut)));
        assert!(start.elapsed() >= soon, "it waited for its time");
        let past = Instant::now();
        assert!(matches!(mutex.lock_deadline(past), Err(LockError::TimedOut)));
        let theirs = Arc::clone(&mutex);
        let waits = go_ahead(move || *theirs.lock().unwrap() += 1);
        drop(guard);
        waits.join().unwrap();
        assert_eq!(*mutex.lock_timeout(Duration::ZERO).unwrap(), 1, "what is free is had at once");
        assert_eq!(*mutex.lock_deadline(past).unwrap(), 1);
        assert_eq!(*mutex.lock_timeout(Duration::MAX).unwrap(), 1);
    });
}

#[test]
fn a_cancelled_token_ends_a_wait_and_is_refused_ever_after() {
    on_one(|| {
        let (mutex, token) = (Arc::new(Mutex::new(0)), CancelToken::new());
        let guard = mutex.lock().unwrap();
        let (theirs, child) = (Arc::clone(&mutex), token.child());
        let waits =
            go_ahead(move || matches!(theirs.lock_cancel(&child), Err(LockError::Cancelled)));
        token.cancel();
        assert!(waits.join().unwrap());
        drop(guard);
        assert!(matches!(mutex.lock_cancel(&token), Err(LockError::Cancelled)), "used again");
        assert!(mutex.lock_cancel(&CancelToken::new()).is_ok());
    });
}

#[test]
fn errors_say_what_happened() {
    let late: LockError<()> = LockError::TimedOut;
    assert_eq!(late.to_string(), "the time ran out while it waited");
    assert_eq!(format!("{late:?}"), "TimedOut");
    assert!(matches!(late.into(), TryLockError::WouldBlock));
    assert_eq!(LockError::<()>::Cancelled.to_string(), "its cancel token was cancelled");
}

#[test]
fn in_no_suspend_a_lock_that_is_free_is_had_and_one_that_is_held_is_a_panic() {
    in_order(|| {
        let mutex = Mutex::new(0);
        no_suspend(|| *mutex.lock().unwrap() += 1);
        let guard = mutex.lock().unwrap();
        let why = panic_of(|| no_suspend(|| drop(mutex.lock())));
        assert!(why.contains("inside `no_suspend`"), "{why}");
        drop(guard);
        assert_eq!(*mutex.lock().unwrap(), 1, "and it is not poisoned");
    });
}

/// One processor: the waiter runs only when the other waits, so the passes are counted exactly.
#[test]
fn one_who_waits_is_passed_exactly_so_often() {
    in_order(|| {
        let mutex = Arc::new(Mutex::new(false));
        let guard = mutex.lock().unwrap();
        let theirs = Arc::clone(&mutex);
        let waits = go_ahead(move || *theirs.lock().unwrap() = true);
        drop(guard);
        let mut passes = 0;
        while !*mutex.lock().unwrap() {
            passes += 1;
        }
        assert_eq!(passes, MOST_PASSES);
        waits.join().unwrap();
    });
}

/// One processor, and a lock that is handed on at each unlock: first in, first out.
#[test]
fn who_waits_is_served_in_order() {
    in_order(|| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let guard = order.lock().unwrap();
        let waiters: Vec<_> = (0..10)
            .map(|n| {
                let order = Arc::clone(&order);
                go_ahead(move || order.lock().unwrap().push(n))
            })
            .collect();
        drop(guard);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*order.lock().unwrap(), (0..10).collect::<Vec<_>>());
    });
}

/// One processor: somebody locks before the first waiter, which was woken, comes to it.
#[test]
fn who_was_woken_in_vain_keeps_its_place() {
    in_order(|| {
        let order = Arc::new(Mutex::new(Vec::new()));
        let guard = order.lock().unwrap();
        let waiters = [1, 2].map(|n| {
            let order = Arc::clone(&order);
            go_ahead(move || order.lock().unwrap().push(n))
        });
        drop(guard);
        let guard = order.lock().unwrap();
        // The first waiter finds it locked again.
        (0..100).for_each(|_| yield_now());
        drop(guard);
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [1, 2]);
    });
}

/// One processor: the waiter is passed, waits again, and gives up: the passes go with it.
#[test]
fn who_gives_up_after_a_pass_leaves_nothing_behind() {
    in_order(|| {
        let (mutex, token) = (Arc::new(RawMutex::new()), CancelToken::new());
        let place = Location::caller();
        mutex.lock(WaitLimit::NONE, place).unwrap();
        let (theirs, child) = (Arc::clone(&mutex), token.child());
        let waits = go_ahead(move || theirs.lock(limit_of(&child), place));
        mutex.unlock();
        mutex.lock(WaitLimit::NONE, place).unwrap();
        (0..100).for_each(|_| yield_now());
        token.cancel();
        assert!(waits.join().unwrap().is_err());
        assert!(!mutex.is_waited_for());
        mutex.unlock();
    });
}
