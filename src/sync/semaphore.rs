//! Semaphore: permits that are taken for some time.
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

/// A number of permits. A caller takes permits to continue, and other callers wait until enough permits are given
/// back.
///
/// Waiters are served first in, first out, whatever number each asks for. A waiter that asks for few permits waits
/// behind one that asks for many, so that the latter does not starve. Without contention, taking permits and giving
/// them back cost one atomic operation each, and nothing is allocated.
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
    /// The number of free and taken permits.
    total: Mutex<usize>,
}

/// Permits of a [`Semaphore`]. They are given back when this is dropped.
#[must_use = "if unused, the permits are given back at once"]
#[clippy::has_significant_drop]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Semaphore {
    /// The largest number of permits that a semaphore can have.
    pub const MAX_PERMITS: usize = MOST;

    const_fn! {
        /// Makes a semaphore with `permits` free permits.
        ///
        /// # Panics
        /// Panics if `permits` is more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub fn new(permits: usize) -> Self {
            assert!(permits <= MOST, "a semaphore has at most Semaphore::MAX_PERMITS permits");
            Semaphore { permits: Permits::new(permits), total: Mutex::new(permits) }
        }
    }

    /// Takes `n` permits. Parks a goroutine or blocks a plain thread until `n` permits are free and all earlier
    /// waiters are served. Waits for ever if there are never that many permits.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would have to wait.
    #[track_caller]
    pub fn acquire(&self, n: usize) -> SemaphorePermit<'_> {
        trace::op("acquire of", "semaphore", self, Location::caller());
        // Without a limit this returns only when the permits are taken.
        let _ = self.permits.acquire(n, WaitLimit::NONE, Location::caller());
        SemaphorePermit { semaphore: self, count: n }
    }

    /// Takes `n` permits if that many are free and nobody waits. Otherwise returns `None`. Never suspends.
    ///
    /// ```
    /// use selvedge::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(3);
    /// let two = semaphore.try_acquire(2).unwrap();
    /// assert!(semaphore.try_acquire(2).is_none());
    /// drop(two);
    /// assert_eq!(semaphore.available_permits(), 3);
    /// ```
    pub fn try_acquire(&self, n: usize) -> Option<SemaphorePermit<'_>> {
        trace::quick("try to acquire of", "semaphore", self);
        self.permits.try_acquire(n).then(|| SemaphorePermit { semaphore: self, count: n })
    }

    /// Takes permits like [`acquire`](Self::acquire), but waits for at most `limit`.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        n: usize,
        limit: Duration,
    ) -> Result<SemaphorePermit<'_>, WaitError> {
        self.acquire_limited(n, WaitLimit::after(limit), Location::caller())
    }

    /// Takes permits like [`acquire`](Self::acquire), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn acquire_deadline(
        &self,
        n: usize,
        deadline: impl Into<Instant>,
    ) -> Result<SemaphorePermit<'_>, WaitError> {
        self.acquire_limited(n, deadline_of(deadline), Location::caller())
    }

    /// Takes permits like [`acquire`](Self::acquire), but waits only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns [`WaitError::Cancelled`] if the token is cancelled, also if it was cancelled before.
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

    /// Returns the number of permits that are free at this moment.
    pub fn available_permits(&self) -> usize {
        self.permits.free()
    }

    /// Adds `n` permits to the semaphore. Never suspends.
    ///
    /// # Panics
    /// Panics if there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS) permits, free and taken together.
    #[track_caller]
    pub fn add_permits(&self, n: usize) {
        let mut total = self.total.lock();
        let next = total.checked_add(n).filter(|total| *total <= MOST);
        let Some(next) = next else {
            let had = *total;
            // The panic hook may use this same semaphore, so the lock is released first. [Q3]
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
    /// Returns the number of permits that this holds.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Never gives the permits back. From now on the semaphore has that many permits less.
    ///
    /// ```
    /// use selvedge::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.add_permits(2);
    /// semaphore.acquire(1).forget();
    /// assert_eq!(semaphore.available_permits(), 2);
    /// ```
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
