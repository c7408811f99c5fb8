//! Locks, and what else goroutines wait with: `std::sync`'s, with `std`'s names and poisoning, and a
//! semaphore and Go's wait group. Goroutines and plain threads may share each of them: a goroutine
//! that waits is parked, a thread blocks.
//!
//! | | who is first |
//! |---|---|
//! | [`Mutex`] | whoever finds it free, at most 64 times in a row past one who waits |
//! | [`Condvar`] | who has waited longest |
//! | [`RwLock`], [`Semaphore`] | who has waited longest; readers that wait in a row go together |
//! | [`Barrier`], [`Once`], [`OnceLock`], [`LazyLock`], [`WaitGroup`] | all at once |
//!
//! Each wait has a twin with `_timeout`, with `_deadline`, and with `_cancel`, which a
//! [`CancelToken`] ends. What was given to a waiter before its time ran out is
//! not lost: then the call succeeds.

mod barrier;
mod condvar;
mod error;
mod lazy_lock;
mod mutex;
mod once;
mod once_lock;
mod permits;
mod poison;
pub(crate) mod raw_mutex;
mod rwlock;
mod semaphore;
mod wait_group;

pub use crate::platform::poison::{LockResult, PoisonError, TryLockError, TryLockResult};
pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use error::{LockError, WaitError};
pub use lazy_lock::LazyLock;
pub use mutex::{Mutex, MutexGuard};
pub use once::{Once, OnceState};
pub use once_lock::OnceLock;
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{Semaphore, SemaphorePermit};
pub use wait_group::{WaitGroup, WaitGuard};

use crate::cancel::CancelToken;
use crate::platform;
use crate::wait::instant::Instant;
use crate::wait::{List, WaitLimit, Wakes};

fn deadline_of(deadline: impl Into<Instant>) -> WaitLimit<'static> {
    WaitLimit::until(deadline.into().nanos())
}

fn unless_cancelled(token: &CancelToken) -> Result<WaitLimit<'_>, WaitError> {
    if token.is_cancelled() { Err(WaitError::Cancelled) } else { Ok(token.limit()) }
}

/// Fires every waiter, and wakes them once the lock is released.
fn wake_all(mut waiters: platform::MutexGuard<'_, List>) {
    let mut wakes = Wakes::new();
    while let Some(claim) = waiters.claim() {
        wakes.push(claim.complete());
    }
    drop(waiters);
    wakes.wake();
}
