//! Condvar: waits until something that a mutex guards has changed.
//! wait: link a node, unlock the mutex, wait, lock the mutex.
//! notify: complete the first wait, or all waits.
//! [U1] A notify that comes after a waiter has unlocked the mutex finds the waiter, because its node was linked
//! before.
//! [U2] A notify is spent on a waiter that then returns from its wait, and not on a waiter that cancelled. Waiters are
//! notified first in, first out.
//! Checked by: verification/loom/sync_condvar.rs, proptests/sync/condvar.rs.

use super::error::WaitError;
use super::mutex::MutexGuard;
use super::{deadline_of, unless_cancelled, wake_all};
use crate::cancel::CancelToken;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::poison::{LockResult, PoisonError};
use crate::platform::{Mutex, const_fn};
use crate::wait::instant::Instant;
use crate::wait::{Claim, List, Node, WaitLimit, trace};
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

/// Waits until something that a [`Mutex`](crate::sync::Mutex) guards has changed. It works like
/// [`std::sync::Condvar`].
///
/// Waiters are woken first in, first out, and there are no spurious wake-ups. Check the condition in a loop all the
/// same, or use [`wait_while`](Self::wait_while), because somebody else may have locked the mutex first. A wait that
/// was notified reports that, even if its time ran out just then.
///
/// ```
/// use selvedge::sync::{Condvar, Mutex};
///
/// static READY: Mutex<bool> = Mutex::new(false);
/// static CHANGED: Condvar = Condvar::new();
///
/// selvedge::Runtime::new()?.run(|| {
///     selvedge::go(|| {
///         *READY.lock().unwrap() = true;
///         CHANGED.notify_one();
///     });
///     let ready = CHANGED.wait_while(READY.lock().unwrap(), |ready| !*ready).unwrap();
///     assert!(*ready);
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
pub struct Condvar {
    /// The number of linked nodes. A notify without waiters takes no lock.
    linked: AtomicUsize,
    waiters: Mutex<List>,
}

/// The result of a limited wait for a [`Condvar`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(Option<WaitError>);

impl WaitTimeoutResult {
    /// Returns whether the time ran out before the wait was notified.
    pub fn timed_out(&self) -> bool {
        self.0 == Some(WaitError::TimedOut)
    }

    /// Returns whether the token was cancelled before the wait was notified.
    pub fn cancelled(&self) -> bool {
        self.0 == Some(WaitError::Cancelled)
    }

    /// Returns the same as a `Result`.
    ///
    /// # Errors
    /// Returns the reason why the wait ended, unless it was notified.
    pub fn ended(&self) -> Result<(), WaitError> {
        self.0.map_or(Ok(()), Err)
    }
}

/// What a limited wait returns.
type Waited<'a, T> = LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)>;

impl Condvar {
    const_fn! {
        /// Makes a condition variable without waiters.
        pub fn new() -> Self {
            Condvar { linked: AtomicUsize::new(0), waiters: Mutex::new(List::new()) }
        }
    }

    /// Unlocks the mutex, waits until it is notified, and locks the mutex again. It misses no notify that comes after
    /// the unlock. Parks a goroutine or blocks a plain thread.
    ///
    /// # Errors
    /// Returns an error that holds the guard if a holder of the mutex panicked.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend).
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_limited(guard, WaitLimit::NONE, Location::caller()).0
    }

    /// Waits like [`wait`](Self::wait), again and again, while `condition` returns true. The condition is checked
    /// before the first wait, and always under the lock.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        match self.limited_while(guard, WaitLimit::NONE, condition, Location::caller()) {
            Ok((guard, _)) => Ok(guard),
            Err(error) => Err(PoisonError::new(error.into_inner().0)),
        }
    }

    /// Waits like [`wait`](Self::wait), but for at most `limit`. Locking the mutex again may take longer.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> Waited<'a, T> {
        self.limited(guard, WaitLimit::after(limit), Location::caller())
    }

    /// Waits like [`wait_timeout`](Self::wait_timeout), but until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_deadline<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: impl Into<Instant>,
    ) -> Waited<'a, T> {
        self.limited(guard, deadline_of(deadline), Location::caller())
    }

    /// Waits like [`wait_timeout`](Self::wait_timeout), but only until `token` is cancelled. If the token is cancelled
    /// already, it returns at once without unlocking.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_cancel<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        token: &CancelToken,
    ) -> Waited<'a, T> {
        match unless_cancelled(token) {
            Ok(limit) => self.limited(guard, limit, Location::caller()),
            Err(error) => Ok((guard, WaitTimeoutResult(Some(error)))),
        }
    }

    /// Waits like [`wait_while`](Self::wait_while), but for at most `limit`. The result says `timed_out` only if the
    /// condition still holds.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    ///
    /// ```
    /// use selvedge::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (ready, changed) = (Mutex::new(false), Condvar::new());
    /// let guard = ready.lock().unwrap();
    /// let limit = Duration::from_millis(1);
    /// let (guard, result) = changed.wait_timeout_while(guard, limit, |ready| !*ready).unwrap();
    /// assert!(result.timed_out() && !*guard);
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Waited<'a, T> {
        self.limited_while(guard, WaitLimit::after(limit), condition, Location::caller())
    }

    /// Waits like [`wait_timeout_while`](Self::wait_timeout_while), but until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_deadline_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: impl Into<Instant>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Waited<'a, T> {
        self.limited_while(guard, deadline_of(deadline), condition, Location::caller())
    }

    /// Waits like [`wait_timeout_while`](Self::wait_timeout_while), but only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns the same error as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_cancel_while<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        token: &CancelToken,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Waited<'a, T> {
        self.limited_while(guard, token.limit(), condition, Location::caller())
    }

    /// Wakes the waiter that has waited longest, if there is a waiter. Never suspends.
    pub fn notify_one(&self) {
        trace::quick("notify one of", "condvar", self);
        if self.is_empty() {
            return;
        }
        let mut waiters = self.waiters.lock();
        let wake = waiters.claim().map(Claim::complete);
        self.count(&waiters);
        drop(waiters);
        if let Some(wake) = wake {
            // SAFETY: the handle was obtained above, and this is its only use.
            unsafe { wake.wake() };
        }
    }

    /// Wakes all waiters. Never suspends.
    pub fn notify_all(&self) {
        trace::quick("notify all of", "condvar", self);
        if self.is_empty() {
            return;
        }
        let waiters = self.waiters.lock();
        // Relaxed: the list is empty when the lock is released; see `count`.
        self.linked.swap(0, Ordering::Relaxed);
        wake_all(waiters);
    }

    fn limited_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: WaitLimit<'_>,
        mut condition: impl FnMut(&mut T) -> bool,
        place: &'static Location<'static>,
    ) -> Waited<'a, T> {
        let mut ended = WaitTimeoutResult(None);
        loop {
            if !condition(&mut guard) {
                return Ok((guard, WaitTimeoutResult(None)));
            }
            if ended.0.is_some() {
                return Ok((guard, ended));
            }
            (guard, ended) = self.limited(guard, limit, place)?;
        }
    }

    fn limited<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Waited<'a, T> {
        match self.wait_limited(guard, limit, place) {
            (Ok(guard), ended) => Ok((guard, ended)),
            (Err(error), ended) => Err(PoisonError::new((error.into_inner(), ended))),
        }
    }

    fn wait_limited<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        trace::op("wait on", "condvar", self, place);
        let wait = limit.begin(place);
        let node = Node::new(&wait, 0, ptr::null_mut());
        {
            let mut waiters = self.waiters.lock();
            // SAFETY: the node is unlinked by its waker or below, and nothing in between unwinds.
            unsafe { waiters.link(&node) };
            self.count(&waiters);
        }
        let (guard, outcome) = MutexGuard::release_while(guard, place, || {
            let outcome = WaitError::of(limit.wait(&wait, place));
            if outcome.is_some() {
                let mut waiters = self.waiters.lock();
                waiters.unlink(&node);
                self.count(&waiters);
            }
            outcome
        });
        (guard, WaitTimeoutResult(outcome))
    }

    /// Updates the number of linked nodes. The caller must hold the lock, and must have just changed the list.
    fn count(&self, waiters: &List) {
        // Relaxed: a notifier that must see this number is ordered after it by the mutex. [U1]
        // A swap, because every write of this word is a read-modify-write.
        self.linked.swap(waiters.len(), Ordering::Relaxed);
    }

    fn is_empty(&self) -> bool {
        // Relaxed: a waiter counts itself before it unlocks the mutex. A notifier that has locked the mutex since then
        // sees that. A notifier that has not locked it may as well come before the waiter. [U1]
        self.linked.load(Ordering::Relaxed) == 0
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
