//! Barrier: so many wait for each other.
//! wait: under the lock, count; the last fires all, the others link a node.
//! gives up: under the lock, unlink, and count one less; if it is linked no more, the barrier has
//! opened with it, and it passes.
//! [U6] Who waits passes when as many have come as are needed, and no sooner; one of them leads.
//! Checked by: verification/loom/sync_barrier.rs, proptests/sync/barrier.rs.

use super::error::WaitError;
use super::{deadline_of, unless_cancelled, wake_all};
use crate::cancel::CancelToken;
use crate::platform::{Mutex, const_fn};
use crate::wait::instant::Instant;
use crate::wait::{List, Node, Wait, WaitLimit, trace};
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

/// Lets a number of goroutines or threads wait for each other, again and again; as
/// [`std::sync::Barrier`], except that a goroutine that waits is parked.
///
/// ```
/// use selvedge::sync::Barrier;
///
/// static BARRIER: Barrier = Barrier::new(3);
///
/// selvedge::Runtime::new()?.run(|| {
///     let all: Vec<_> = (0..3).map(|_| selvedge::go(|| BARRIER.wait().is_leader())).collect();
///     let leaders = all.into_iter().map(|one| one.join().unwrap());
///     assert_eq!(leaders.filter(|leads| *leads).count(), 1);
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
pub struct Barrier {
    needed: usize,
    /// As many as have come since it last opened.
    waiters: Mutex<List>,
}

/// What [`Barrier::wait`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether it is the one that opened the barrier: one of all that passed together.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    const_fn! {
        /// A barrier that opens when `n` wait. With 0, as with 1, nobody waits.
        pub fn new(n: usize) -> Self {
            Barrier { needed: n, waiters: Mutex::new(List::new()) }
        }
    }

    /// Waits until as many have come as are needed: parks a goroutine, blocks a plain thread. What
    /// each did before is seen by all after.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), unless it is the last one.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let passed = self.wait_limited(WaitLimit::NONE, Location::caller());
        passed.expect("without a limit there is no error")
    }

    /// As [`wait`](Self::wait), for at most `limit`; then it counts as not come.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<BarrierWaitResult, WaitError> {
        self.wait_limited(WaitLimit::after(limit), Location::caller())
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `deadline` at the latest.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_deadline(
        &self,
        deadline: impl Into<Instant>,
    ) -> Result<BarrierWaitResult, WaitError> {
        self.wait_limited(deadline_of(deadline), Location::caller())
    }

    /// As [`wait_timeout`](Self::wait_timeout), until `token` is cancelled.
    ///
    /// # Errors
    /// [`WaitError::Cancelled`], also if it is cancelled already.
    #[track_caller]
    pub fn wait_cancel(&self, token: &CancelToken) -> Result<BarrierWaitResult, WaitError> {
        self.wait_limited(unless_cancelled(token)?, Location::caller())
    }

    fn wait_limited(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<BarrierWaitResult, WaitError> {
        trace::op("wait at", "barrier", self, place);
        let mut waiters = self.waiters.lock();
        if waiters.len() + 1 >= self.needed {
            wake_all(waiters);
            return Ok(BarrierWaitResult(true));
        }
        let Some(who) = Wait::caller(limit.is_unlimited()) else {
            // The panic hook may come to this very barrier. [Q3]
            drop(waiters);
            Wait::refuse(place);
        };
        let wait = limit.begin_with(who);
        let node = Node::new(&wait, 0, ptr::null_mut());
        // SAFETY: unlinked by its waker, or below.
        unsafe { waiters.link(&node) };
        drop(waiters);
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(BarrierWaitResult(false)),
            // Not linked any more: it has opened, with this one, while it was giving up.
            Some(_) if !self.waiters.lock().unlink(&node) => Ok(BarrierWaitResult(false)),
            Some(error) => Err(error),
        }
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}
