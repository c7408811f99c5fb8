//! Poison, as `std` has it. [M4]

use crate::common::{beside, everywhere, finish, panic_of};
use crate::{go_ahead, in_order};
use selvedge::sync::{Condvar, LockError, Mutex, TryLockError};
use selvedge::{go, yield_now};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// A panic without a word from the hook.
fn fail() -> ! {
    resume_unwind(Box::new("on purpose"))
}

#[test]
fn a_holder_that_panics_poisons_a_mutex() {
    everywhere(|_, runtime| {
        let mutex = Arc::new(Mutex::new(1));
        let theirs = Arc::clone(&mutex);
        let holder = runtime.go(move || {
            let mut guard = theirs.lock().unwrap();
            *guard = 2;
            yield_now(); // it may resume on another thread
            fail()
        });
        assert!(holder.join().is_err());
        assert!(mutex.is_poisoned());
        let error = mutex.lock().expect_err("poisoned");
        assert_eq!(**error.get_ref(), 2, "the guard is in the error, and shows what was left");
        drop(error);
        assert!(matches!(mutex.try_lock(), Err(TryLockError::Poisoned(_))));
        let late = mutex.lock_timeout(Duration::ZERO);
        assert!(matches!(late, Err(LockError::Poisoned(_))));
        drop(late);
        mutex.clear_poison();
        assert_eq!(*mutex.lock().unwrap(), 2);
        finish(runtime);
    });
}

#[test]
fn a_poisoned_mutex_gives_its_value_in_the_error() {
    beside(|| {
        let mut mutex = Mutex::new(3);
        panic_of(|| {
            let _guard = mutex.lock().unwrap();
            fail()
        });
        assert_eq!(*mutex.get_mut().unwrap_err().into_inner(), 3);
        assert_eq!(format!("{mutex:?}"), "Mutex { data: 3, poisoned: true, .. }");
        assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 3);
    });
}

#[test]
fn a_neighbour_s_panic_poisons_nothing() {
    in_order(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.lock().unwrap();
        let fails = go(|| {
            yield_now();
            fail()
        });
        yield_now();
        yield_now();
        assert!(fails.join().is_err());
        drop(guard);
        assert!(!mutex.is_poisoned());
    });
}

/// A guard that is taken and dropped by a destructor during unwinding poisons nothing; one held since
/// before does.
#[test]
fn only_a_panic_that_began_while_it_was_held_poisons() {
    struct Locks<'a>(&'a Mutex<u32>);
    impl Drop for Locks<'_> {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    in_order(|| {
        let (during, before) = (Mutex::new(0), Mutex::new(0));
        panic_of(|| {
            let _held = before.lock().unwrap();
            let _locks = Locks(&during);
            fail()
        });
        assert!(!during.is_poisoned() && before.is_poisoned());
        assert_eq!(*during.lock().unwrap(), 1);
    });
}

#[test]
fn a_panic_that_was_caught_while_it_was_held_poisons_nothing() {
    in_order(|| {
        let mutex = Mutex::new(0);
        let guard = mutex.lock().unwrap();
        let _ = catch_unwind(AssertUnwindSafe(|| fail()));
        yield_now();
        drop(guard);
        assert!(!mutex.is_poisoned());
    });
}

#[test]
fn who_waits_for_a_condvar_hears_of_the_poison() {
    in_order(|| {
        let pair = Arc::new((Mutex::new(false), Condvar::new()));
        let theirs = Arc::clone(&pair);
        let waits = go_ahead(move || {
            let guard = theirs.0.lock().unwrap();
            theirs.1.wait_while(guard, |ready| !*ready).is_err()
        });
        let theirs = Arc::clone(&pair);
        let fails = go(move || {
            *theirs.0.lock().unwrap() = true;
            let _guard = theirs.0.lock().unwrap();
            theirs.1.notify_one();
            fail()
        });
        assert!(fails.join().is_err());
        assert!(waits.join().unwrap());
    });
}
