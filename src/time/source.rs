//! Source: what `after`, `tick` and `Timer` receive from. Readiness is computed from the clock, so that
//! none of them needs a timer of its own: who waits for one parks until it is due.
//!
//! take: if it is due, move `due` on by a compare-exchange; who succeeds has the value.
//! set (a timer, a ticker): exchange `due`, then fire all who wait, under the lock of their list; they look again.
//! [W4] Of each setting one value at most is taken, and none once it was set anew or stopped; a waiting
//! receiver sees each setting.
//! Checked by: verification/loom/ticks.rs, proptests/runtime/ticks.rs.
#![forbid(unsafe_code)]

use super::Instant;
use crate::chan::source::Source;
use crate::platform::Mutex;
use crate::platform::atomic::{AtomicU64, Ordering};
use crate::structures::NEVER;
use crate::wait::{List, Wakes};

/// Values that are due at certain times: once, or once a period.
pub(super) struct Due {
    /// When the next value is due. Written by read-modify-writes alone.
    next: AtomicU64,
    /// Zero: once.
    period: u64,
    /// In place of it, where it can be changed: held while a value is taken, so that what follows it
    /// keeps to the step that it was taken at.
    pace: Option<Mutex<u64>>,
    /// Those to fire when it is set anew, if it can be.
    waiters: Option<Mutex<List>>,
}

impl Due {
    pub(super) fn at(deadline: u64) -> Self {
        Due { next: AtomicU64::new(deadline), period: 0, pace: None, waiters: None }
    }

    /// Every `period` nanoseconds, which is not zero, from `first` on.
    pub(super) fn every(first: u64, period: u64) -> Self {
        Due { next: AtomicU64::new(first), period, pace: None, waiters: None }
    }

    /// What can be set anew.
    pub(super) fn settable(deadline: u64) -> Self {
        Due { waiters: Some(Mutex::new(List::new())), ..Due::at(deadline) }
    }

    /// As [`every`](Self::every), and can be set anew.
    pub(super) fn paced(first: u64, period: u64) -> Self {
        Due { pace: Some(Mutex::new(period)), ..Due::settable(first) }
    }

    /// From now on due at `deadline`, and then each `period`, if that is given; true if a value was still to come, or to be taken. [W4]
    pub(super) fn set(&self, deadline: u64, period: Option<u64>) -> bool {
        let mut pace = self.pace.as_ref().map(Mutex::lock);
        if let (Some(pace), Some(period)) = (&mut pace, period) {
            **pace = period;
        }
        // Release: pairs with the Acquire in `take`: who takes what was set sees what came before.
        let before = self.next.swap(deadline, Ordering::Release);
        drop(pace);
        let mut wakes = Wakes::new();
        if let Some(waiters) = &self.waiters {
            // Who is linked after this looks at `due` after we have set it: the lock says so.
            let mut waiters = waiters.lock();
            while let Some(claim) = waiters.claim() {
                wakes.push(claim.complete());
            }
        }
        wakes.wake();
        before != NEVER
    }
}

/// What is due after one that was due at `due` and is taken at `now`: the next of the same
/// sequence that is still to come. Those between are dropped.
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
            // Acquire: pairs with the Release in `set`. Relaxed on failure: look again.
            match self.next.compare_exchange(due, following, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Instant::from_nanos(due)),
                Err(seen) => due = seen,
            }
        }
        None
    }

    fn due(&self) -> Option<u64> {
        // Relaxed: the lock of the waiters orders it after each `set` that did not fire the caller.
        Some(self.next.load(Ordering::Relaxed)).filter(|due| *due != NEVER)
    }

    fn waiters(&self) -> Option<&Mutex<List>> {
        self.waiters.as_ref()
    }
}
