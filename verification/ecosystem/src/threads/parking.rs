//! `parking_lot`: locks by a table of parked threads; `ReentrantMutex`, which knows its holder.

use super::{FEW, each, many_alive, pause};
use parking_lot::{Condvar, Mutex, ReentrantMutex, RwLock};
use std::cell::Cell;
use std::sync::Arc;

#[test]
fn guards_are_kept_across_suspensions() {
    let counter = Arc::new((Mutex::new(0), RwLock::new(0)));
    let counts = Arc::clone(&counter);
    each(FEW, move |number| {
        for turn in 0..3 {
            let mut guard = counts.0.lock();
            let before = *guard;
            pause(number + turn);
            assert_eq!(*guard, before, "while it is locked");
            *guard += 1;
            drop(guard);
            let before = *counts.1.read();
            pause(number + turn);
            let mut guard = counts.1.write();
            assert!(*guard >= before);
            *guard += 1;
        }
    });
    assert_eq!((*counter.0.lock(), *counter.1.read()), (3 * FEW, 3 * FEW));
}

#[test]
fn a_reentrant_mutex_is_its_holders() {
    let inside = Arc::new(ReentrantMutex::new(Cell::new(0)));
    each(FEW, move |number| {
        let guard = inside.lock();
        assert_eq!(guard.replace(1), 0, "somebody else is inside");
        pause(number);
        let again = inside.lock();
        pause(number + 1);
        drop(again);
        pause(number + 2);
        assert_eq!(guard.replace(0), 1);
    });
}

#[test]
fn a_condition_wakes_who_waits() {
    let turn = Arc::new((Mutex::new(0), Condvar::new()));
    each(FEW, move |number| {
        let mut guard = turn.0.lock();
        while *guard != number {
            turn.1.wait(&mut guard);
        }
        pause(number);
        *guard += 1;
        turn.1.notify_all();
    });
}

/// The table of parked threads grows by the number of threads that have waited.
#[test]
fn very_many_have_locked() {
    let locks = Arc::new((Mutex::new(0), ReentrantMutex::new(Cell::new(0))));
    many_alive(move |_| {
        *locks.0.lock() += 1;
        let guard = locks.1.lock();
        let again = locks.1.lock();
        again.set(guard.get() + 1);
        assert!(parking_lot::RawThreadId.is_nonzero());
    });
}

trait IsNonzero {
    fn is_nonzero(&self) -> bool;
}

impl IsNonzero for parking_lot::RawThreadId {
    fn is_nonzero(&self) -> bool {
        use parking_lot::lock_api::GetThreadId;
        self.nonzero_thread_id().get() != 0
    }
}
