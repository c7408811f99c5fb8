//! The errors of limited waits.

use crate::platform::poison::{PoisonError, TryLockError};
use crate::wait::limit::Outcome;
use std::error::Error;
use std::fmt;

/// The reason why a limited wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitError {
    /// The time ran out.
    TimedOut,
    /// The token of the wait was cancelled, or its deadline has passed.
    Cancelled,
}

impl WaitError {
    /// Returns the error for `outcome`, or `None` if the wait was completed.
    pub(super) fn of(outcome: Outcome) -> Option<WaitError> {
        match outcome {
            Outcome::Fired(_) => None,
            Outcome::TimedOut => Some(WaitError::TimedOut),
            Outcome::Cancelled => Some(WaitError::Cancelled),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            WaitError::TimedOut => "the time ran out while it waited",
            WaitError::Cancelled => "its cancel token was cancelled",
        })
    }
}

impl Error for WaitError {}

/// The reason why a limited call returned no guard, or returned a guard of a poisoned lock. It is like
/// [`TryLockError`](std::sync::TryLockError), with two variants in place of `WouldBlock`.
pub enum LockError<G> {
    /// A holder of the lock has panicked. The error holds the guard.
    Poisoned(PoisonError<G>),
    /// The time ran out.
    TimedOut,
    /// The token was cancelled, or its deadline has passed.
    Cancelled,
}

impl<G> From<PoisonError<G>> for LockError<G> {
    fn from(error: PoisonError<G>) -> Self {
        LockError::Poisoned(error)
    }
}

impl<G> From<WaitError> for LockError<G> {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => LockError::TimedOut,
            WaitError::Cancelled => LockError::Cancelled,
        }
    }
}

/// For code that expects the error of `try_lock`. A time-out and a cancellation become `WouldBlock`.
impl<G> From<LockError<G>> for TryLockError<G> {
    fn from(error: LockError<G>) -> Self {
        match error {
            LockError::Poisoned(error) => TryLockError::Poisoned(error),
            LockError::TimedOut | LockError::Cancelled => TryLockError::WouldBlock,
        }
    }
}

impl<G> fmt::Debug for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LockError::Poisoned(_) => "Poisoned(..)",
            LockError::TimedOut => "TimedOut",
            LockError::Cancelled => "Cancelled",
        })
    }
}

impl<G> fmt::Display for LockError<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Poisoned(error) => error.fmt(f),
            LockError::TimedOut => WaitError::TimedOut.fmt(f),
            LockError::Cancelled => WaitError::Cancelled.fmt(f),
        }
    }
}

impl<G> Error for LockError<G> {}
