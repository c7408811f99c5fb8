//! Group: the children of a scope, and the parent that waits for them.
//! enter, before the spawn.   leave, after the child's result is stored, or dropped if unclaimed.
//! [G4] `wait` returns only after every child has left: nothing of theirs refers to the parent's
//! frame any more.
//! Checked by: verification/loom/join.rs, proptests/runtime/lifecycle.rs.

use super::suspend;
use super::waiter::Waiter;
use crate::platform::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::panic::Location;

pub(crate) struct Group {
    running: AtomicUsize,
    panicked: AtomicBool,
    parent: Waiter,
}

impl Group {
    /// A group without children, whose parent is the caller.
    pub(crate) fn new() -> Self {
        Group {
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            parent: suspend::waiter(),
        }
    }

    pub(crate) fn enter(&self) {
        // Relaxed: the parent counts its children itself, or a child that it waits for does.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "too many goroutines in one scope");
    }

    pub(crate) fn leave(&self, unclaimed_panic: bool) {
        if unclaimed_panic {
            // Relaxed: published by the Release below.
            self.panicked.store(true, Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `wait`: all that the child did is seen. [G4]
        if self.running.fetch_sub(1, Ordering::Release) == 1 {
            // mutant: drop wake of the parent
            self.parent.unpark();
        }
    }

    /// A child has panicked, and its handle was dropped.
    pub(crate) fn note_panic(&self) {
        // Relaxed: the handle's holder is the parent, or a child that has not left yet.
        self.panicked.store(true, Ordering::Relaxed);
    }

    /// Parks the parent until all have left; true if a child panicked and nobody joined it.
    pub(crate) fn wait(&self, place: &'static Location<'static>) -> bool {
        // Acquire: pairs with the Release in `leave`. [G4]
        // mutant: drop wait for the children
        while self.running.load(Ordering::Acquire) > 0 {
            suspend::park_without_fail(place);
        }
        // Relaxed: see `leave`.
        self.panicked.load(Ordering::Relaxed)
    }
}
