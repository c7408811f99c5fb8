//! What a wait that was limited ends with.

use crate::platform::poison::{PoisonError, TryLockError};
use crate::wait::limit::Outcome;
use std::error::Error;
use std::fmt;

/// Why a limited wait ended before what it waited for came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitError {
    /// The time ran out.
    TimedOut,
    /// The token that the wait was given was cancelled, or its deadline has passed.
    Cancelled,
}

impl WaitError {
    /// `None`: it was fired.
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

/// Why a limited call gave no guard, or gave one with a warning: as
/// [`TryLockError`](std::sync::TryLockError), with two ways to come too late.
pub enum LockError<G> {
    /// Whoever held the lock last panicked; the error holds the guard.
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

/// For code that expects what `try_lock` gives: too late is `WouldBlock`.
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
