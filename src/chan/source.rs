//! Source: where the values of a receiver come from if it has no sender. A source becomes ready at some time.
//!
//! To add a source (such as `after`, `tick`, a timer), implement [`Source<T>`] for a type that knows when a value is
//! due, and make its receiver with `Receiver::of_source(Arc::new(source))`. A receive, or a select with such an arm,
//! waits until a value is due or its own limit is reached, whichever comes first.
//! A source that can be set again while somebody waits has a list of waiters. After each change it claims and
//! completes all their waits (their message slots are null), and they check the source again.
//! recv: take a value. If there is none, link a node, ask when a value is due, wait until then, unlink, and repeat.
#![allow(unsafe_code)]

use super::until::Until;
use super::wait::WaitFailure;
use crate::platform::Mutex;
use crate::sched::core::clock;
use crate::wait::limit::Outcome;
use crate::wait::{List, Node, Wait};
use std::panic::Location;
use std::ptr;

/// A source of values for a receiver. Its times are those of the scheduler's clock.
pub(crate) trait Source<T>: Send + Sync {
    /// Takes the value that is due at `now`. No other caller gets the same value.
    fn take(&self, now: u64) -> Option<T>;

    /// Returns when the next value is due. `None` means that no value comes unless the source is set again.
    fn due(&self) -> Option<u64>;

    /// Takes back a value from a receiver that cannot use it, so that the value is due again.
    fn give_back(&self, value: T) {
        drop(value);
    }

    /// Returns the waiters to complete when `due` has changed, or `None` if only `take` changes it.
    fn waiters(&self) -> Option<&Mutex<List>> {
        None
    }

    /// Returns the name of the source in the history of a checked program.
    fn kind(&self) -> &'static str {
        "timer"
    }

    /// Receives a value. Parks a goroutine or blocks a plain thread while it waits.
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
                // SAFETY: the node is unlinked below, and nothing in between unwinds.
                unsafe { waiters.lock().link(&node) };
            }
            // The node was linked before this call, so a later change of the source completes the wait.
            let outcome = limit.no_later_than(self.due()).wait(&wait, place);
            if let Some(waiters) = self.waiters() {
                waiters.lock().unlink(&node);
            }
            if outcome == Outcome::Cancelled {
                return Err(WaitFailure::Cancelled);
            }
        }
    }

    /// Receives a value if a value is due.
    fn try_recv(&self) -> Result<T, WaitFailure> {
        self.take(clock::now()).ok_or(WaitFailure::Now)
    }

    /// Returns whether a value is due.
    fn is_ready(&self) -> bool {
        self.due().is_some_and(|due| due <= clock::now())
    }
}
