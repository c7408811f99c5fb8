//! Semaphore: permits that are had for a while.
//! Checked by: verification/loom/sync_permits.rs, proptests/sync/permits.rs.
#![forbid(unsafe_code)]

use super::error::WaitError;
use super::permits::{MOST, Permits};
use super::{deadline_of, unless_cancelled};
use crate::cancel::CancelToken;
use crate::platform::{Mutex, const_fn};
use crate::wait::instant::Instant;
use crate::wait::{WaitLimit, trace};
use std::fmt;
use std::mem;
use std::panic::Location;
use std::time::Duration;

/// A number of permits: who has taken some goes on, and others wait until enough are given back.
///
/// First in, first out, whatever each asks for: one who asks for few waits behind one who asks for
/// many, so that the latter is not starved. Uncontended: one atomic operation to take and one to give
/// back, no allocation.
///
/// ```
/// use selvedge::sync::Semaphore;
///
/// static CONNECTIONS: Semaphore = Semaphore::new(2);
///
/// selvedge::Runtime::new()?.run(|| {
///     let clients: Vec<_> = (0..10)
///         .map(|_| {
///             selvedge::go(|| {
///                 let _permit = CONNECTIONS.acquire(1);
///                 // at most two are here
///             })
///         })
///         .collect();
///     clients.into_iter().for_each(|client| client.join().unwrap());
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
pub struct Semaphore {
    permits: Permits,
    /// Free and taken.
    total: Mutex<usize>,
}

/// Permits of a [`Semaphore`], given back when this is dropped.
#[must_use = "if unused, the permits are given back at once"]
#[clippy::has_significant_drop]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Semaphore {
    /// The most permits that one can have.
    pub const MAX_PERMITS: usize = MOST;

    const_fn! {
        /// With `permits` to be taken.
        ///
        /// # Panics
        /// If they are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub fn new(permits: usize) -> Self {
            assert!(permits <= MOST, "a semaphore has at most Semaphore::MAX_PERMITS permits");
            Semaphore { permits: Permits::new(permits), total: Mutex::new(permits) }
        }
    }

    /// Takes `n` permits. Parks a goroutine, or blocks a plain thread, until they are free and it is
    /// its turn. It waits for ever if there will never be so many.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would have to wait.
    #[track_caller]
    pub fn acquire(&self, n: usize) -> SemaphorePermit<'_> {
        trace::op("acquire of", "semaphore", self, Location::caller());
        // Without a limit it waits until they are had.
        let _ = self.permits.acquire(n, WaitLimit::NONE, Location::caller());
        SemaphorePermit { semaphore: self, count: n }
    }

    /// Takes `n` permits if so many are free and nobody waits. Never suspends.
    pub fn try_acquire(&self, n: usize) -> Option<SemaphorePermit<'_>> {
        trace::quick("try to acquire of", "semaphore", self);
        self.permits.try_acquire(n).then(|| SemaphorePermit { semaphore: self, count: n })
    }

    /// As [`acquire`](Self::acquire), for at most `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        n: usize,
        limit: Duration,
    ) -> Result<SemaphorePermit<'_>, WaitError> {
        self.acquire_limited(n, WaitLimit::after(limit), Location::caller())
    }

    /// As [`acquire`](Self::acquire), until `deadline` at the latest.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn acquire_deadline(
        &self,
        n: usize,
        deadline: impl Into<Instant>,
    ) -> Result<SemaphorePermit<'_>, WaitError> {
        self.acquire_limited(n, deadline_of(deadline), Location::caller())
    }

    /// As [`acquire`](Self::acquire), until `token` is cancelled.
    ///
    /// # Errors
    /// [`WaitError::Cancelled`], also if the token is cancelled already.
    #[track_caller]
    pub fn acquire_cancel(
        &self,
        n: usize,
        token: &CancelToken,
    ) -> Result<SemaphorePermit<'_>, WaitError> {
        self.acquire_limited(n, unless_cancelled(token)?, Location::caller())
    }

    fn acquire_limited(
        &self,
        n: usize,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<SemaphorePermit<'_>, WaitError> {
        trace::op("acquire of", "semaphore", self, place);
        self.permits.acquire(n, limit, place)?;
        Ok(SemaphorePermit { semaphore: self, count: n })
    }

    /// How many permits are free just now.
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }

    /// Adds `n` permits to those that there are. Never suspends.
    ///
    /// # Panics
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS), free and taken.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        let mut total = self.total.lock();
        let next = total.checked_add(n).filter(|total| *total <= MOST);
        let Some(next) = next else {
            let had = *total;
            // The panic hook may use this very semaphore. [Q3]
            drop(total);
            panic!(
                "a semaphore with {had} permits can't have {n} more: Semaphore::MAX_PERMITS is \
                 {MOST}"
            );
        };
        *total = next;
        drop(total);
        trace::quick("add permits to", "semaphore", self);
        self.permits.release(n);
    }
}

impl SemaphorePermit<'_> {
    /// How many there are in it.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives them back: the semaphore has so many fewer from now on.
    pub fn forget(self) {
        *self.semaphore.total.lock() -= self.count;
        mem::forget(self);
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        trace::quick("release to", "semaphore", self.semaphore);
        self.semaphore.permits.release(self.count);
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available_permits", &self.available_permits())
            .field("waiting", &self.permits.is_waited_for())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit").field("count", &self.count).finish_non_exhaustive()
    }
}
