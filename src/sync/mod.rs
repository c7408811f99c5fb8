//! Locks and other objects that goroutines wait for. They are those of `std::sync`, with the same names and the same
//! poisoning, and also a semaphore and Go's wait group. Goroutines and plain threads can share each of them. A
//! goroutine that waits is parked; a plain thread blocks.
//!
//! | | which waiter is first |
//! |---|---|
//! | [`Mutex`] | the first one to find it free, but a waiter is passed at most 64 times in a row |
//! | [`Condvar`] | the one that has waited longest |
//! | [`RwLock`], [`Semaphore`] | the one that has waited longest; consecutive waiting readers are admitted together |
//! | [`Barrier`], [`Once`], [`OnceLock`], [`LazyLock`], [`WaitGroup`] | all at the same time |
//!
//! Most waiting functions have variants with `_timeout`, `_deadline` and `_cancel`. The last one takes a
//! [`CancelToken`] that ends the wait. A waiter that was given what it waits for does not lose it if its time runs
//! out just then: the call succeeds.

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

/// Completes the waits of all waiters, and wakes them after it has released the lock.
fn wake_all(mut waiters: platform::MutexGuard<'_, List>) {
    let mut wakes = Wakes::new();
    while let Some(claim) = waiters.claim() {
        wakes.push(claim.complete());
    }
    drop(waiters);
    wakes.wake();
}
