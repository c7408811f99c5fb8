//! Once: an action that is done once, by the first caller. Other callers wait until it is done.
//! call: change INCOMPLETE to RUNNING by an exchange, and run the closure. Then, under the lock, set COMPLETE and
//!     complete all waits.
//! wait: return if the state is COMPLETE. Otherwise, under the lock, check again and link a node.
//!
//! | state | next state |
//! |---|---|
//! | `INCOMPLETE` | `RUNNING`, set by the caller that wins the exchange |
//! | `RUNNING` | `COMPLETE`, or `POISONED` if the closure panics |
//! | `POISONED` | `RUNNING`, set by `call_once_force` |
//! | `COMPLETE` | none |
//!
//! [U4] One closure runs at a time, and none runs after COMPLETE. A caller that sees COMPLETE sees what the closure
//! did.
//! [U5] Nobody waits while the state is COMPLETE. Nobody waits while it is POISONED either, except for callers that
//! ignore poison.
//! Checked by: verification/loom/sync_once.rs, proptests/sync/once.rs.

use super::error::WaitError;
use super::{deadline_of, unless_cancelled, wake_all};
use crate::cancel::CancelToken;
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::{Mutex, const_fn};
use crate::wait::instant::Instant;
use crate::wait::{List, Node, WaitLimit, trace};
use std::fmt;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

const INCOMPLETE: u32 = 0;
const RUNNING: u32 = 1;
const POISONED: u32 = 2;
const COMPLETE: u32 = 3;

/// An action that is done only once. It works like [`std::sync::Once`], except that a waiting goroutine is parked.
///
/// ```
/// use selvedge::sync::Once;
///
/// static START: Once = Once::new();
/// START.call_once(|| println!("once"));
/// assert!(START.is_completed());
/// ```
pub struct Once {
    state: AtomicU32,
    waiters: Mutex<List>,
}

/// The state that [`Once::call_once_force`] passes to its closure.
#[derive(Debug)]
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Returns whether an earlier closure panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl Once {
    const_fn! {
        /// Makes a `Once` whose action is not done yet.
        pub fn new() -> Self {
            Once { state: AtomicU32::new(INCOMPLETE), waiters: Mutex::new(List::new()) }
        }
    }

    /// Calls `f` if no closure has completed yet. If another caller's closure runs, waits until that closure is done:
    /// parks a goroutine or blocks a plain thread. After this call the caller sees what the closure did. If the action
    /// is done already, it costs one load.
    ///
    /// # Panics
    /// Panics if `f` panics. That poisons the `Once`, and every later call panics too. Calling this within `f` is a
    /// deadlock.
    #[inline]
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.is_completed() {
            trace::op("call", "once", self, Location::caller());
            self.call_at(false, |_| f(), Location::caller());
        }
    }

    /// Calls `f` like [`call_once`](Self::call_once), even if an earlier closure panicked.
    ///
    /// # Panics
    /// Panics if `f` panics.
    #[inline]
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        if !self.is_completed() {
            trace::op("call", "once", self, Location::caller());
            self.call_at(true, f, Location::caller());
        }
    }

    /// Returns whether the action is done. If so, the caller sees what the closure did.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // Acquire: pairs with the Release in `Running::drop`. [U4]
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until somebody has done the action. Parks a goroutine or blocks a plain thread.
    ///
    /// # Panics
    /// Panics if a closure panicked. Also panics inside [`no_suspend`](crate::no_suspend) if it would wait.
    #[track_caller]
    pub fn wait(&self) {
        // Without a limit there is no error.
        let _ = self.wait_at(false, WaitLimit::NONE, Location::caller());
    }

    /// Waits like [`wait`](Self::wait), but continues to wait if a closure panicked.
    #[track_caller]
    pub fn wait_force(&self) {
        // Without a limit there is no error.
        let _ = self.wait_at(true, WaitLimit::NONE, Location::caller());
    }

    /// Waits like [`wait`](Self::wait), but for at most `limit`.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), WaitError> {
        self.wait_at(false, WaitLimit::after(limit), Location::caller())
    }

    /// Waits like [`wait`](Self::wait), but until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_deadline(&self, deadline: impl Into<Instant>) -> Result<(), WaitError> {
        self.wait_at(false, deadline_of(deadline), Location::caller())
    }

    /// Waits like [`wait`](Self::wait), but only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns [`WaitError::Cancelled`] if the token is cancelled, also if it was cancelled before.
    #[track_caller]
    pub fn wait_cancel(&self, token: &CancelToken) -> Result<(), WaitError> {
        self.wait_at(false, unless_cancelled(token)?, Location::caller())
    }

    fn wait_at(
        &self,
        past_poison: bool,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        trace::op("wait for", "once", self, place);
        self.wait_limited(past_poison, limit, place)
    }

    #[cold]
    pub(super) fn call_at(
        &self,
        past_poison: bool,
        f: impl FnOnce(&OnceState),
        place: &'static Location<'static>,
    ) {
        loop {
            // Acquire: pairs with the Release in `Running::drop`. [U4]
            let state = self.state.load(Ordering::Acquire);
            match state {
                COMPLETE => return,
                POISONED if !past_poison => poisoned(),
                // Without a limit there is no error.
                RUNNING => _ = self.park_while(|state| state == RUNNING, WaitLimit::NONE, place),
                _ => {
                    if self.begin(state) {
                        let mut running = Running { once: self, then: POISONED };
                        f(&OnceState { poisoned: state == POISONED });
                        running.then = COMPLETE;
                        return;
                    }
                }
            }
        }
    }

    /// Changes `state` to `RUNNING`. Returns false if another caller was faster.
    fn begin(&self, state: u32) -> bool {
        // Acquire: pairs with the Release in `Running::drop`, so that this caller sees what a closure that panicked
        // did, also if another closure panicked since `state` was loaded. Relaxed on failure: the caller tries again.
        // [U4]
        self.state.compare_exchange(state, RUNNING, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    pub(super) fn wait_limited(
        &self,
        past_poison: bool,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        loop {
            // Acquire: pairs with the Release in `Running::drop`. [U4]
            match self.state.load(Ordering::Acquire) {
                COMPLETE => return Ok(()),
                POISONED if !past_poison => poisoned(),
                _ => {}
            }
            let pending = |state| state != COMPLETE && (past_poison || state != POISONED);
            self.park_while(pending, limit, place)?;
        }
    }

    /// Waits until a run ends, if `state` returns true for the current state. [U5]
    fn park_while(
        &self,
        state: impl Fn(u32) -> bool,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        let wait = limit.begin(place);
        let node = Node::new(&wait, 0, ptr::null_mut());
        {
            let mut waiters = self.waiters.lock();
            // Relaxed: a run ends by changing the state under this lock.
            if !state(self.state.load(Ordering::Relaxed)) {
                return Ok(());
            }
            // SAFETY: the node is unlinked by its waker or below.
            unsafe { waiters.link(&node) };
        }
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(()),
            // The node is not linked any more, so a run has ended while this wait was being cancelled.
            Some(_) if !self.waiters.lock().unlink(&node) => Ok(()),
            Some(error) => Err(error),
        }
    }
}

/// A closure that runs. When it ends, by a panic or not, dropping this sets the state and wakes all waiters.
struct Running<'a> {
    once: &'a Once,
    then: u32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let waiters = self.once.waiters.lock();
        // Release: pairs with the Acquire loads of callers that find the action done. [U4] A swap, because other
        // callers use exchanges.
        self.once.state.swap(self.then, Ordering::Release);
        wake_all(waiters);
    }
}

#[cold]
#[track_caller]
fn poisoned() -> ! {
    panic!(
        "the initialization has panicked before: a `Once` can run again by `call_once_force`, but \
         a `LazyLock` can't"
    );
}

impl Default for Once {
    fn default() -> Self {
        Once::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("completed", &self.is_completed()).finish_non_exhaustive()
    }
}
