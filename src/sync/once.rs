//! Once: something that is done once, by whoever comes first; the others wait until it is done.
//! call: INCOMPLETE → RUNNING by exchange, run, then, under the lock, COMPLETE and fire all who wait.
//! wait: return if it is COMPLETE; else, under the lock, look again, and link a node.
//!
//! | state | next |
//! |---|---|
//! | `INCOMPLETE` | `RUNNING`, by the one whose exchange wins |
//! | `RUNNING` | `COMPLETE`, or `POISONED` if it panics |
//! | `POISONED` | `RUNNING`, by `call_once_force` |
//! | `COMPLETE` | none |
//!
//! [U4] One at a time runs, none after COMPLETE, and whoever sees COMPLETE sees what it did.
//! [U5] Nobody waits once it is COMPLETE, or POISONED for those who may not pass that.
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

/// Something that is done once; as [`std::sync::Once`], except that a goroutine that waits is parked.
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

/// What [`Once::call_once_force`] tells its closure.
#[derive(Debug)]
pub struct OnceState {
    poisoned: bool,
}

impl OnceState {
    /// Whether an earlier closure panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned
    }
}

impl Once {
    const_fn! {
        /// With nothing done yet.
        pub fn new() -> Self {
            Once { state: AtomicU32::new(INCOMPLETE), waiters: Mutex::new(List::new()) }
        }
    }

    /// Calls `f` if nobody has; returns once it is done, by whomever: a goroutine is parked
    /// meanwhile, a plain thread blocks. What it did is seen. Done already, it costs one load.
    ///
    /// # Panics
    /// If `f` does; then the `Once` is poisoned, and so does every later call. Calling it from
    /// within `f` is a deadlock.
    #[inline]
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.is_completed() {
            trace::op("call", "once", self, Location::caller());
            self.call_at(false, |_| f(), Location::caller());
        }
    }

    /// As [`call_once`](Self::call_once), also if an earlier closure panicked.
    ///
    /// # Panics
    /// If `f` does.
    #[inline]
    #[track_caller]
    pub fn call_once_force(&self, f: impl FnOnce(&OnceState)) {
        if !self.is_completed() {
            trace::op("call", "once", self, Location::caller());
            self.call_at(true, f, Location::caller());
        }
    }

    /// Whether it is done, and what it did is seen.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // Acquire: pairs with the Release in `Running::drop`. [U4]
        self.state.load(Ordering::Acquire) == COMPLETE
    }

    /// Waits until somebody has done it.
    ///
    /// # Panics
    /// If a closure panicked; and inside [`no_suspend`](crate::no_suspend), if it would wait.
    #[track_caller]
    pub fn wait(&self) {
        // Without a limit there is no error.
        let _ = self.wait_at(false, WaitLimit::NONE, Location::caller());
    }

    /// As [`wait`](Self::wait), also past closures that panicked.
    #[track_caller]
    pub fn wait_force(&self) {
        // Without a limit there is no error.
        let _ = self.wait_at(true, WaitLimit::NONE, Location::caller());
    }

    /// As [`wait`](Self::wait), for at most `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<(), WaitError> {
        self.wait_at(false, WaitLimit::after(limit), Location::caller())
    }

    /// As [`wait`](Self::wait), until `deadline` at the latest.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_deadline(&self, deadline: impl Into<Instant>) -> Result<(), WaitError> {
        self.wait_at(false, deadline_of(deadline), Location::caller())
    }

    /// As [`wait`](Self::wait), until `token` is cancelled.
    ///
    /// # Errors
    /// [`WaitError::Cancelled`], also if it is cancelled already.
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

    /// From `state` to `RUNNING`; false if somebody was quicker.
    fn begin(&self, state: u32) -> bool {
        // Acquire: what a closure that panicked did is seen, also if another panicked since `state` was
        // looked at. Relaxed on failure: the caller looks again. [U4]
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

    /// Waits for the state to change, unless it is not as told. [U5]
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
            // Relaxed: whoever ends a run changes the state under this lock.
            if !state(self.state.load(Ordering::Relaxed)) {
                return Ok(());
            }
            // SAFETY: unlinked by its waker, or below.
            unsafe { waiters.link(&node) };
        }
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(()),
            // Not linked any more: a run has ended while this was giving up.
            Some(_) if !self.waiters.lock().unlink(&node) => Ok(()),
            Some(error) => Err(error),
        }
    }
}

/// The one that runs. Its end, by a panic or not, is told to all who wait.
struct Running<'a> {
    once: &'a Once,
    then: u32,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let waiters = self.once.waiters.lock();
        // Release: pairs with the Acquire of who finds it done. [U4] A swap, as others exchange.
        self.once.state.swap(self.then, Ordering::Release);
        wake_all(waiters);
    }
}

#[cold]
#[track_caller]
fn poisoned() -> ! {
    panic!(
        "its initialization has panicked before: a `Once` can do it again, by `call_once_force`; \
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
