//! Waiter: whom to wake: a goroutine, or a plain thread.
//! Checked by: verification/loom/join.rs, verification/loom/wait.rs.

use super::goroutine::{Ptr, Ref};
use crate::platform::{Arc, Parker};

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
