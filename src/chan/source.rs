//! Source: what a receiver can take from that has no sender: its readiness is a time.
//!
//! How to add one (`after`, `tick`, a timer): implement [`Source<T>`] for a type that knows when a
//! value is due, and make its receiver with `Receiver::of_source(Arc::new(it))`. Receives, and
//! selects with such an arm, wait until the earliest of what is due and of their own limit.
//! A source that can be set anew while somebody waits has a list of waiters: after each change it
//! claims and fires all of them (their packets are null), and they look again.
//! recv: take, or link, ask when one is due, wait until then, unlink, again.
#![allow(unsafe_code)]

use super::until::Until;
use super::wait::WaitFailure;
use crate::platform::Mutex;
use crate::sched::core::clock;
use crate::wait::limit::Outcome;
use crate::wait::{List, Node, Wait};
use std::panic::Location;
use std::ptr;

/// A receiver's source of values that come with time. Times are those of the scheduler's clock.
pub(crate) trait Source<T>: Send + Sync {
    /// The value that is due at `now`, for the caller alone.
    fn take(&self, now: u64) -> Option<T>;

    /// When the next value is due; `None`: not before it is set anew.
    fn due(&self) -> Option<u64>;

    /// Takes back a value from one who can't use it, so that it is due again.
    fn give_back(&self, value: T) {
        drop(value);
    }

    /// Those to fire when `due` has changed; `None`: it never does but by `take`.
    fn waiters(&self) -> Option<&Mutex<List>> {
        None
    }

    /// What a history calls it.
    fn kind(&self) -> &'static str {
        "timer"
    }

    /// Receives; parks or blocks.
    fn recv(
        &self,
        mut until: Until<'_>,
        place: &'static Location<'static>,
    ) -> Result<T, WaitFailure> {
        if until.is_over() {
            return Err(WaitFailure::Cancelled);
        }
        loop {
            let now = clock::now();
            if let Some(value) = self.take(now) {
                return Ok(value);
            }
            let limit = until.limit();
            if limit.deadline().is_some_and(|deadline| deadline <= now) {
                return Err(WaitFailure::TimedOut);
            }
            let wait = Wait::of_caller(place);
            let node = Node::new(&wait, 0, ptr::null_mut());
            if let Some(waiters) = self.waiters() {
                // SAFETY: unlinked below; nothing in between unwinds.
                unsafe { waiters.lock().link(&node) };
            }
            // After it was linked: a later change fires it.
            let outcome = limit.no_later_than(self.due()).wait(&wait, place);
            if let Some(waiters) = self.waiters() {
                waiters.lock().unlink(&node);
            }
            if outcome == Outcome::Cancelled {
                return Err(WaitFailure::Cancelled);
            }
        }
    }

    /// Receives if a value is due.
    fn try_recv(&self) -> Result<T, WaitFailure> {
        self.take(clock::now()).ok_or(WaitFailure::Now)
    }

    /// Whether a value is due.
    fn is_ready(&self) -> bool {
        self.due().is_some_and(|due| due <= clock::now())
    }
}
