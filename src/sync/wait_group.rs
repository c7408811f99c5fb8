//! WaitGroup: a counter of what is under way, and those who wait until it is zero.
//! add: change the word by one exchange; to zero only under the lock, with every waiter fired.
//! wait: return if it is zero; else, under the lock, look again and link a node.
//! So a waiter is fired by the first zero that comes after it was linked, though the counter may be
//! positive again when it runs.
//! [U3] A wait returns only if the counter was zero at some time since it began, and by the first
//! such time after it was linked. What came before a `done` that led there is seen.
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

/// Waits until as much was done as was added: Go's `sync.WaitGroup`. Clones are the same group.
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
    /// What is under way.
    count: AtomicUsize,
    waiters: Mutex<List>,
}

impl Default for Group {
    fn default() -> Self {
        Group { count: AtomicUsize::new(0), waiters: Mutex::new(List::new()) }
    }
}

/// One unit of a [`WaitGroup`], done when this is dropped.
#[must_use = "if unused, it is done at once"]
#[derive(Debug)]
pub struct WaitGuard(WaitGroup);

impl WaitGroup {
    /// A group with nothing under way. Allocates.
    pub fn new() -> Self {
        WaitGroup::default()
    }

    /// Adds `delta`, which may be negative, to what is under way. Whoever waits is woken when that is
    /// zero. Never suspends; one atomic operation, unless it comes to zero.
    ///
    /// What is positive must be added before `wait` is called, not by the goroutine that does the
    /// work: `wait` may have returned by then.
    ///
    /// # Panics
    /// If fewer than zero would be under way: more was done than was added. Or more than
    /// `isize::MAX`.
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

    /// One less is under way: `add(-1)`.
    ///
    /// # Panics
    /// If nothing is: `done` was called more often than `add`.
    #[track_caller]
    pub fn done(&self) {
        self.add(-1);
    }

    /// Adds one, which is done when the guard is dropped, be it by a panic.
    ///
    /// # Panics
    /// If `isize::MAX` are under way.
    #[track_caller]
    pub fn guard(&self) -> WaitGuard {
        self.add(1);
        WaitGuard(self.clone())
    }

    /// How much is under way just now.
    pub fn count(&self) -> usize {
        // Acquire: as in `wait`.
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until nothing is under way: parks a goroutine, blocks a plain thread. What came before
    /// each `done` is seen.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would have to wait.
    #[track_caller]
    pub fn wait(&self) {
        // Without a limit there is no error.
        let _ = self.wait_limited(WaitLimit::NONE, Location::caller());
    }

    /// As [`wait`](Self::wait), for at most `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), WaitError> {
        self.wait_limited(WaitLimit::after(limit), Location::caller())
    }

    /// As [`wait`](Self::wait), until `deadline` at the latest.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_deadline(&self, deadline: impl Into<Instant>) -> Result<(), WaitError> {
        self.wait_limited(deadline_of(deadline), Location::caller())
    }

    /// As [`wait`](Self::wait), until `token` is cancelled.
    ///
    /// # Errors
    /// [`WaitError::Cancelled`], also if the token is cancelled already.
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
            // SAFETY: unlinked by its waker, or below.
            unsafe { waiters.link(&node) };
        }
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(()),
            // Not linked any more: it has come to zero while this was giving up.
            Some(_) if !self.0.waiters.lock().unlink(&node) => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// As `add`, under the lock: the zero and the waiters it fires are one. [U3]
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
        // Release: pairs with the Acquire in `count`: who finds zero sees what came before each
        // `done`. Acquire: whoever comes to zero has seen it too, and passes it to those it fires.
        // Relaxed on failure: the caller looks again.
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
             `done` once for each that was added",
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
