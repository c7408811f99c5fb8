//! Waiter: whom to wake: a goroutine, a plain thread, or a future's task.
//! Checked by: verification/loom/join.rs, verification/loom/wait.rs.

use super::enter::current_worker;
use super::goroutine::{Ptr, Ref};
use super::submit::unpark_if;
use crate::platform::{Arc, Parker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
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

/// One who waits, and whom somebody will wake. A goroutine is not counted: it can't end while it
/// waits.
pub(crate) enum Sleeper {
    Goroutine(Ptr),
    Thread(Arc<Parker>),
    Task(Waker),
}

impl Sleeper {
    /// Holds on to it, for when it waits no more.
    ///
    /// # Safety
    /// It waits. The answer stays with the calling thread or goroutine.
    pub(crate) unsafe fn into_wake(self) -> Wake {
        Wake(match self {
            Sleeper::Goroutine(goroutine) => {
                let near = current_worker().is_some_and(|w| ptr::eq(w.shared, goroutine.shared));
                if near {
                    Whom::Near(goroutine, goroutine.id())
                } else {
                    Whom::Any(Who::Parked(Waiter::Goroutine(Ref::new(goroutine))))
                }
            }
            Sleeper::Thread(parker) => Whom::Any(Who::Parked(Waiter::Thread(parker))),
            Sleeper::Task(waker) => Whom::Any(Who::Task(waker)),
        })
    }
}

/// Somebody to wake, once the lock is released under which that was decided; whether or not it waits
/// still.
#[must_use]
pub struct Wake(Whom);

enum Whom {
    /// A goroutine of the runtime that this thread works for, by its id.
    Near(Ptr, u64),
    Any(Who),
}

impl Wake {
    /// The goroutine, if it is one, for who readies many: with its id, or, where this holds a counted
    /// reference, without.
    pub(crate) fn goroutine(&self) -> Option<(Ptr, Option<u64>)> {
        match &self.0 {
            Whom::Near(goroutine, id) => Some((*goroutine, Some(*id))),
            Whom::Any(Who::Parked(Waiter::Goroutine(own))) => Some((own.ptr(), None)),
            Whom::Any(_) => None,
        }
    }

    /// Never suspends, and never unwinds.
    #[inline]
    pub fn wake(self) {
        match self.0 {
            // SAFETY: the caller may have moved to another worker since, but not to another runtime,
            // and keeps that in place.
            Whom::Near(goroutine, id) => unsafe { unpark_if(goroutine, id) },
            Whom::Any(who) => who.wake(),
        }
    }
}
