//! WaitGroup: a counter of unfinished work, and the waiters that wait until it is zero.
//! add: change the counter by one exchange. A change to zero happens only under the lock, and completes all waits.
//! wait: return if the counter is zero. Otherwise, under the lock, check again and link a node.
//! So the first zero after a node was linked completes its wait. The counter may be positive again when the waiter
//! runs.
//! [U3] A wait returns only if the counter was zero at some time since the wait began. The first zero after its node
//! was linked completes it. The waiter sees what happened before each `done` that led to this zero.
//! Checked by: verification/loom/sync_wait_group.rs, proptests/sync/wait_group.rs.

use super::error::WaitError;
use super::{deadline_of, unless_cancelled, wake_all};
use crate::cancel::CancelToken;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::{Arc, Mutex};
use crate::wait::instant::Instant;
use crate::wait::{List, Node, WaitLimit, trace};
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

/// Waits until all work that was added is done, like Go's `sync.WaitGroup`. Clones are the same group.
///
/// ```
/// use selvedge::sync::WaitGroup;
///
/// selvedge::Runtime::new()?.run(|| {
///     let group = WaitGroup::new();
///     for _ in 0..10 {
///         let working = group.guard();
///         selvedge::go(move || {
///             let _working = working; // done when it is dropped, also by a panic
///         });
///     }
///     group.wait();
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup(Arc<Group>);

struct Group {
    /// The amount of unfinished work.
    count: AtomicUsize,
    waiters: Mutex<List>,
}

impl Default for Group {
    fn default() -> Self {
        Group { count: AtomicUsize::new(0), waiters: Mutex::new(List::new()) }
    }
}

/// One unit of work of a [`WaitGroup`]. The unit is done when this is dropped.
#[must_use = "if unused, the unit of work is done at once"]
#[derive(Debug)]
pub struct WaitGuard(WaitGroup);

impl WaitGroup {
    /// Makes a group without work. Allocates.
    pub fn new() -> Self {
        WaitGroup::default()
    }

    /// Adds `delta`, which may be negative, to the unfinished work. If the result is zero, it wakes all waiters. Never
    /// suspends. Costs one atomic operation, unless the result is zero.
    ///
    /// Work must be added before `wait` is called, and not by the goroutine that does the work, because `wait` may
    /// have returned by then.
    ///
    /// # Panics
    /// Panics if the result would be less than zero, because more work was done than was added. Also panics if the
    /// result would be more than `isize::MAX`.
    #[track_caller]
    pub fn add(&self, delta: isize) {
        let verb = if delta < 0 { "done in" } else { "add to" };
        trace::brief(verb, "wait group", &raw const *self.0, Location::caller());
        // Relaxed: the exchange decides.
        let mut count = self.0.count.load(Ordering::Relaxed);
        loop {
            let next = checked(count, delta);
            if next == 0 && count != 0 {
                return self.add_to_zero(delta);
            }
            match self.replace(count, next) {
                Ok(_) => return,
                Err(found) => count = found,
            }
        }
    }

    /// Marks one unit of work as done. The same as `add(-1)`.
    ///
    /// # Panics
    /// Panics if no work is unfinished, because `done` was called more often than work was added.
    #[track_caller]
    pub fn done(&self) {
        self.add(-1);
    }

    /// Adds one unit of work, which is done when the guard is dropped, also if that happens in a panic.
    ///
    /// # Panics
    /// Panics if the unfinished work would be more than `isize::MAX`.
    #[track_caller]
    pub fn guard(&self) -> WaitGuard {
        self.add(1);
        WaitGuard(self.clone())
    }

    /// Returns the amount of unfinished work at this moment.
    pub fn count(&self) -> usize {
        // Acquire: pairs with the Release in `replace`, so that a caller that finds zero sees what was done. [U3]
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until no work is unfinished. Parks a goroutine or blocks a plain thread. After that the caller sees what
    /// happened before each `done`.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would have to wait.
    #[track_caller]
    pub fn wait(&self) {
        // Without a limit there is no error.
        let _ = self.wait_limited(WaitLimit::NONE, Location::caller());
    }

    /// Waits like [`wait`](Self::wait), but for at most `limit`.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    ///
    /// ```
    /// use selvedge::sync::{WaitError, WaitGroup};
    /// use std::time::Duration;
    ///
    /// let (group, limit) = (WaitGroup::new(), Duration::from_millis(1));
    /// let work = group.guard();
    /// assert_eq!(group.wait_timeout(limit), Err(WaitError::TimedOut));
    /// drop(work);
    /// assert_eq!(group.wait_timeout(limit), Ok(()));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), WaitError> {
        self.wait_limited(WaitLimit::after(limit), Location::caller())
    }

    /// Waits like [`wait`](Self::wait), but until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_deadline(&self, deadline: impl Into<Instant>) -> Result<(), WaitError> {
        self.wait_limited(deadline_of(deadline), Location::caller())
    }

    /// Waits like [`wait`](Self::wait), but only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns [`WaitError::Cancelled`] if the token is cancelled, also if it was cancelled before.
    #[track_caller]
    pub fn wait_cancel(&self, token: &CancelToken) -> Result<(), WaitError> {
        self.wait_limited(unless_cancelled(token)?, Location::caller())
    }

    fn wait_limited(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        trace::op("wait for", "wait group", &raw const *self.0, place);
        if self.count() == 0 {
            return Ok(());
        }
        let wait = limit.begin(place);
        let node = Node::new(&wait, 0, ptr::null_mut());
        {
            let mut waiters = self.0.waiters.lock();
            if self.count() == 0 {
                return Ok(());
            }
            // SAFETY: the node is unlinked by its waker or below.
            unsafe { waiters.link(&node) };
        }
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(()),
            // The node is not linked any more, so the counter came to zero while this wait was being cancelled.
            Some(_) if !self.0.waiters.lock().unlink(&node) => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Does the same as `add`, under the lock, so that the zero and the completion of the waits are one step. [U3]
    #[track_caller]
    fn add_to_zero(&self, delta: isize) {
        let waiters = self.0.waiters.lock();
        // Relaxed: the exchange decides.
        let mut count = self.0.count.load(Ordering::Relaxed);
        loop {
            let next = match total(count, delta) {
                Some(next) => next,
                None => {
                    drop(waiters);
                    out_of_range(count, delta);
                }
            };
            match self.replace(count, next) {
                Ok(_) if next == 0 => return wake_all(waiters),
                Ok(_) => return,
                Err(found) => count = found,
            }
        }
    }

    fn replace(&self, count: usize, next: usize) -> Result<usize, usize> {
        // Release: pairs with the Acquire in `count`, so that a thread that finds zero sees what came before each
        // `done`. Acquire: the thread that comes to zero has seen that too, and passes it on to the waits that it
        // completes.
        // Relaxed on failure: the caller tries again.
        self.0.count.compare_exchange(count, next, Ordering::AcqRel, Ordering::Relaxed)
    }
}

fn total(count: usize, delta: isize) -> Option<usize> {
    count.checked_add_signed(delta).filter(|total| *total <= isize::MAX as usize)
}

#[track_caller]
fn checked(count: usize, delta: isize) -> usize {
    total(count, delta).unwrap_or_else(|| out_of_range(count, delta))
}

#[cold]
#[track_caller]
fn out_of_range(count: usize, delta: isize) -> ! {
    if delta < 0 {
        panic!(
            "WaitGroup: {count} under way, and {} done: call `add` before the work begins, and \
             `done` once for each unit added",
            delta.unsigned_abs()
        );
    }
    panic!("WaitGroup: {count} under way, and {delta} more: there can be no more than isize::MAX");
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.0.done();
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.count()).finish_non_exhaustive()
    }
}
