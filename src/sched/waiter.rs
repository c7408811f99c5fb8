//! Waiter: whom to wake: a goroutine, a plain thread, or a future's task.
//! Checked by: verification/loom/join.rs, verification/loom/wait.rs.

use super::goroutine::{Ptr, Ref};
use crate::platform::{Arc, Parker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Whom to unpark: the contract between the scheduler and everything above it.
#[derive(Clone)]
pub(crate) enum Waiter {
    Goroutine(Ref),
    Thread(Arc<Parker>),
}

impl Waiter {
    /// Whether it is this goroutine.
    pub(crate) fn is(&self, goroutine: Ptr) -> bool {
        matches!(self, Waiter::Goroutine(own) if own.ptr() == goroutine)
    }

    pub(crate) fn unpark(&self) {
        match self {
            Waiter::Goroutine(goroutine) => super::unpark(goroutine),
            Waiter::Thread(parker) => parker.unpark(),
        }
    }
}

/// Somebody to wake, once the lock is released under which that was decided.
#[must_use]
pub struct Wake(pub(crate) Who);

impl Wake {
    /// Never suspends, and never unwinds.
    pub fn wake(self) {
        self.0.wake();
    }
}

/// Whom to wake once.
pub(crate) enum Who {
    /// A goroutine, or a plain thread.
    Parked(Waiter),
    /// A future's task.
    Task(Waker),
}

impl Who {
    /// Never suspends, unless the task's executor does so when it is told. Never unwinds: there may
    /// be others to wake, and a waker that panics has been reported by the panic hook.
    pub(crate) fn wake(self) {
        match self {
            Who::Parked(waiter) => waiter.unpark(),
            Who::Task(waker) => drop(catch_unwind(AssertUnwindSafe(|| waker.wake()))),
        }
    }
}
