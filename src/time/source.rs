//! Source: where `after`, `tick` and `Timer` get their values. Whether a value is due is computed from the clock, so
//! that none of them needs a timer of its own. A waiter parks until the value is due.
//!
//! take: if a value is due, set `next` to the time that follows, by a compare-exchange. The caller that succeeds has
//!     the value.
//! set (used by a timer or a ticker): exchange `next`, then complete all waits, under the lock of their list. The
//! waiters check the source again.
//! [W4] Of each setting at most one value is taken for each due time, and none after the source was set again or
//! stopped. A waiting receiver sees each setting.
//! Checked by: verification/loom/ticks.rs, proptests/runtime/ticks.rs.
#![forbid(unsafe_code)]

use super::Instant;
use crate::chan::source::Source;
use crate::platform::Mutex;
use crate::platform::atomic::{AtomicU64, Ordering};
use crate::structures::NEVER;
use crate::wait::{List, Wakes};

/// A source of values that are due once, or once in each period.
pub(super) struct Due {
    /// The time when the next value is due. It is changed only by read-modify-writes.
    next: AtomicU64,
    /// The period in nanoseconds. Zero means that a value is due only once.
    period: u64,
    /// The period, used in place of `period` if it can be changed. The lock is held while a value is taken, so that
    /// the time that follows is computed with the period of the same setting.
    pace: Option<Mutex<u64>>,
    /// The waiters to complete when the source is set again, if it can be set again.
    waiters: Option<Mutex<List>>,
}

impl Due {
    pub(super) fn at(deadline: u64) -> Self {
        Due { next: AtomicU64::new(deadline), period: 0, pace: None, waiters: None }
    }

    /// Makes a source with a value each `period` nanoseconds from `first` on. `period` must not be zero.
    pub(super) fn every(first: u64, period: u64) -> Self {
        Due { next: AtomicU64::new(first), period, pace: None, waiters: None }
    }

    /// Makes a source with one value that can be set again.
    pub(super) fn settable(deadline: u64) -> Self {
        Due { waiters: Some(Mutex::new(List::new())), ..Due::at(deadline) }
    }

    /// Makes a source like [`every`](Self::every) that can be set again.
    pub(super) fn paced(first: u64, period: u64) -> Self {
        Due { pace: Some(Mutex::new(period)), ..Due::settable(first) }
    }

    /// Sets the source: a value is due at `deadline`, and then each `period` if that is given. Returns true if a value
    /// was still to come or to be taken. [W4]
    pub(super) fn set(&self, deadline: u64, period: Option<u64>) -> bool {
        let mut pace = self.pace.as_ref().map(Mutex::lock);
        if let (Some(pace), Some(period)) = (&mut pace, period) {
            **pace = period;
        }
        // Release: pairs with the Acquire in `take`, so that a receiver sees what came before the setting of its
        // value.
        let before = self.next.swap(deadline, Ordering::Release);
        drop(pace);
        let mut wakes = Wakes::new();
        if let Some(waiters) = &self.waiters {
            // A waiter that links its node after this critical section calls `due` later, and the lock makes it see
            // the new time.
            let mut waiters = waiters.lock();
            while let Some(claim) = waiters.claim() {
                wakes.push(claim.complete());
            }
        }
        wakes.wake();
        before != NEVER
    }
}

/// Returns the due time that follows a value that was due at `due` and is taken at `now`. It is the first time of the
/// same sequence after `now`. Times in between are dropped.
fn following(due: u64, now: u64, period: u64) -> u64 {
    if period == 0 {
        return NEVER;
    }
    let missed = (now - due) / period;
    due.saturating_add(period.saturating_mul(missed + 1))
}

impl Source<Instant> for Due {
    fn take(&self, now: u64) -> Option<Instant> {
        let pace = self.pace.as_ref().map(Mutex::lock);
        let period = pace.as_deref().copied().unwrap_or(self.period);
        // Relaxed: a guess for the exchange.
        let mut due = self.next.load(Ordering::Relaxed);
        while due <= now && due != NEVER {
            let following = following(due, now, period);
            // Acquire: pairs with the Release in `set`. Relaxed on failure: the loop tries again.
            match self.next.compare_exchange(due, following, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Instant::from_nanos(due)),
                Err(seen) => due = seen,
            }
        }
        None
    }

    fn due(&self) -> Option<u64> {
        // Relaxed: the lock of the waiters orders this load after each `set` that did not complete the caller's wait.
        Some(self.next.load(Ordering::Relaxed)).filter(|due| *due != NEVER)
    }

    fn waiters(&self) -> Option<&Mutex<List>> {
        self.waiters.as_ref()
    }
}
