//! Once, OnceLock, LazyLock: what `std` documents of its own, poison and limits. [U4] [U5]

use crate::common::{everywhere, finish, panic_of};
use crate::{Body, go_ahead, in_order, mixture, on_one};
use selvedge::sync::{LazyLock, Once, OnceLock, WaitError};
use selvedge::{CancelToken, yield_now};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn fail() -> ! {
    resume_unwind(Box::new("on purpose"))
}

#[test]
fn it_is_done_once_and_all_wait_until_then() {
    everywhere(|_, runtime| {
        for _ in 0..20 {
            let shared = Arc::new((Once::new(), AtomicUsize::new(0)));
            let bodies = (0..8).map(|_| {
                let shared = Arc::clone(&shared);
                Box::new(move || {
                    shared.0.call_once(|| {
                        yield_now();
                        shared.1.fetch_add(1, Ordering::SeqCst);
                    });
                    assert_eq!(shared.1.load(Ordering::SeqCst), 1);
                }) as Body
            });
            mixture(&runtime, bodies.collect());
            assert!(shared.0.is_completed());
        }
        finish(runtime);
    });
}

#[test]
fn a_closure_that_panics_poisons_and_force_goes_past_it() {
    in_order(|| {
        let once = Once::new();
        panic_of(|| once.call_once(|| fail()));
        assert!(!once.is_completed());
        let why = panic_of(|| once.call_once(|| unreachable!("it is poisoned")));
        assert!(why.contains("has panicked before") && why.contains("_force"), "{why}");
        assert!(panic_of(|| once.wait()).contains("has panicked before"));
        once.call_once_force(|state| assert!(state.is_poisoned()));
        once.call_once(|| unreachable!("it is done"));
        once.wait();
        let fresh = Once::new();
        fresh.call_once_force(|state| assert!(!state.is_poisoned()));
        assert_eq!(format!("{fresh:?}"), "Once { completed: true, .. }");
    });
}

/// The waiter does not hang when the one that it waits for panics: it tries, or panics itself.
#[test]
fn who_waits_for_one_that_panics_hears_of_it() {
    in_order(|| {
        let once = Arc::new(Once::new());
        let theirs = Arc::clone(&once);
        let fails = go_ahead(move || {
            theirs.call_once(|| {
                yield_now();
                yield_now();
                fail()
            })
        });
        let theirs = Arc::clone(&once);
        let forces = go_ahead(move || theirs.call_once_force(|_| {}));
        let waits = go_ahead(move || once.wait_force());
        assert!(fails.join().is_err());
        forces.join().unwrap();
        waits.join().unwrap();
    });
}

#[test]
fn a_value_is_set_once() {
    static LOCK: OnceLock<String> = OnceLock::new();
    assert_eq!(LOCK.get(), None);
    assert_eq!(format!("{LOCK:?}"), "OnceLock(<uninit>)");
    assert_eq!(LOCK.set("one".into()), Ok(()));
    assert_eq!(LOCK.set("two".into()), Err("two".into()));
    assert_eq!(LOCK.get_or_init(|| unreachable!("it is set")), "one");
    assert_eq!(LOCK.clone(), OnceLock::from("one".to_owned()));
    assert_eq!(format!("{LOCK:?}"), "OnceLock(\"one\")");
}

#[test]
fn a_value_is_dropped_once_or_taken() {
    struct Counted<'a>(&'a AtomicUsize);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let drops = AtomicUsize::new(0);
    drop(OnceLock::<Counted<'_>>::new());
    drop(OnceLock::from(Counted(&drops)));
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    let mut lock = OnceLock::from(Counted(&drops));
    assert!(lock.get_mut().is_some());
    let taken = lock.take();
    assert!(lock.get().is_none() && lock.take().is_none());
    drop(lock);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    drop(taken);
    assert_eq!(drops.load(Ordering::SeqCst), 2);
    assert!(OnceLock::from(1).into_inner() == Some(1));
}

#[test]
fn a_maker_that_panics_leaves_no_value_and_another_may_try() {
    in_order(|| {
        let lock = OnceLock::new();
        panic_of(|| lock.get_or_init(|| fail()));
        assert_eq!(lock.get(), None);
        assert_eq!(lock.get_or_init(|| 3), &3);
    });
}

#[test]
fn a_limited_wait_gives_up() {
    on_one(|| {
        let (once, lock, token) = (Once::new(), Arc::new(OnceLock::new()), CancelToken::new());
        let soon = Duration::from_millis(1);
        assert_eq!(once.wait_timeout(soon), Err(WaitError::TimedOut));
        assert_eq!(once.wait_deadline(Instant::now()), Err(WaitError::TimedOut));
        assert_eq!(lock.wait_timeout(soon), Err(WaitError::TimedOut));
        assert_eq!(lock.wait_deadline(Instant::now()), Err(WaitError::TimedOut));
        let (theirs, child) = (Arc::clone(&lock), token.child());
        let waits = go_ahead(move || theirs.wait_cancel(&child).copied());
        token.cancel();
        assert_eq!(waits.join().unwrap(), Err(WaitError::Cancelled));
        assert_eq!(once.wait_cancel(&token), Err(WaitError::Cancelled), "used again");
        let theirs = Arc::clone(&lock);
        let waits = go_ahead(move || *theirs.wait());
        lock.set(5).unwrap();
        assert_eq!(waits.join().unwrap(), 5);
        assert_eq!(lock.wait_timeout(Duration::ZERO), Ok(&5));
    });
}

#[test]
fn a_lazy_value_is_made_when_it_is_first_used() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static LAZY: LazyLock<usize> = LazyLock::new(|| MADE.fetch_add(1, Ordering::SeqCst) + 7);
    assert_eq!(format!("{LAZY:?}"), "LazyLock(<uninit>)");
    assert_eq!(MADE.load(Ordering::SeqCst), 0);
    assert_eq!((*LAZY, *LazyLock::force(&LAZY)), (7, 7));
    assert_eq!(MADE.load(Ordering::SeqCst), 1);
    assert_eq!(format!("{LAZY:?}"), "LazyLock(7)");
    assert_eq!(*LazyLock::<u8>::default(), 0);
}

#[test]
fn a_lazy_value_whose_maker_panicked_is_poisoned() {
    in_order(|| {
        let lazy: LazyLock<u8> = LazyLock::new(|| fail());
        panic_of(|| *lazy);
        assert!(panic_of(|| *lazy).contains("has panicked before"));
    });
}
