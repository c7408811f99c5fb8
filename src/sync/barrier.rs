//! Barrier: a number of goroutines or threads wait for each other.
//! wait: under the lock, count the waiters. The last one completes all waits. The others link a node and wait.
//! cancel: under the lock, unlink the node, so that there is one waiter less. If the node is not linked any more, the
//!     barrier has opened for this waiter too, and its wait succeeds.
//! [U6] A waiter passes when as many have come as are needed, and not before. One of them is the leader.
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

/// Lets a number of goroutines or threads wait for each other, again and again. It works like [`std::sync::Barrier`],
/// except that a waiting goroutine is parked.
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
    /// Those that have come since the barrier last opened.
    waiters: Mutex<List>,
}

/// What [`Barrier::wait`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Returns whether this caller opened the barrier. Exactly one of those that pass together did.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

impl Barrier {
    const_fn! {
        /// Makes a barrier that opens when `n` callers wait. If `n` is 0 or 1, nobody waits.
        pub fn new(n: usize) -> Self {
            Barrier { needed: n, waiters: Mutex::new(List::new()) }
        }
    }

    /// Waits until `n` callers have come. Parks a goroutine or blocks a plain thread. After that each caller sees what
    /// the others did before.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), unless this caller is the last one.
    #[track_caller]
    pub fn wait(&self) -> BarrierWaitResult {
        let passed = self.wait_limited(WaitLimit::NONE, Location::caller());
        passed.expect("without a limit there is no error")
    }

    /// Waits like [`wait`](Self::wait), but for at most `limit`. A caller whose time runs out counts as not come.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<BarrierWaitResult, WaitError> {
        self.wait_limited(WaitLimit::after(limit), Location::caller())
    }

    /// Waits like [`wait_timeout`](Self::wait_timeout), but until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_deadline(
        &self,
        deadline: impl Into<Instant>,
    ) -> Result<BarrierWaitResult, WaitError> {
        self.wait_limited(deadline_of(deadline), Location::caller())
    }

    /// Waits like [`wait_timeout`](Self::wait_timeout), but only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns [`WaitError::Cancelled`] if the token is cancelled, also if it was cancelled before.
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
            // The panic hook may use this same barrier, so the lock is released first. [Q3]
            drop(waiters);
            Wait::refuse(place);
        };
        let wait = limit.begin_with(who);
        let node = Node::new(&wait, 0, ptr::null_mut());
        // SAFETY: the node is unlinked by its waker or below.
        unsafe { waiters.link(&node) };
        drop(waiters);
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(BarrierWaitResult(false)),
            // The node is not linked any more, so the barrier opened for this waiter too while its wait was being
            // cancelled.
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
