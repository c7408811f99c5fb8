//! Timer: a receiver of one instant, which can be stopped and reset.
//! Checked by: proptests/runtime/ticks.rs, and doctests here.
#![forbid(unsafe_code)]

use super::Instant;
use super::source::Due;
use crate::chan::Receiver;
use crate::platform::Arc;
use crate::structures::NEVER;
use std::fmt;
use std::time::Duration;

/// Sends one [`Instant`] to its [`receiver`](Timer::receiver) when that time has come. It can be stopped and reset. A
/// shared reference is enough for that, and others may wait meanwhile.
///
/// The value stays there until it is received, or until the timer is stopped or reset. After that, a value of an
/// earlier setting is never received. A timer costs nothing while nobody waits.
///
/// ```
/// use selvedge::time::Timer;
/// use std::time::Duration;
///
/// let timer = Timer::after(Duration::from_secs(3600));
/// assert!(timer.receiver().try_recv().is_err());
/// assert!(timer.reset(Duration::from_millis(1)), "it was running");
/// timer.receiver().recv().expect("its time has come");
/// assert!(!timer.stop(), "it has been received");
/// ```
pub struct Timer {
    due: Arc<Due>,
    receiver: Receiver<Instant>,
}

impl Timer {
    /// Makes a timer that is due after `duration`.
    pub fn after(duration: Duration) -> Timer {
        Timer::at(Instant::now().saturating_add(duration))
    }

    /// Makes a timer that is due at `deadline`.
    pub fn at(deadline: impl Into<Instant>) -> Timer {
        let due = Arc::new(Due::settable(deadline.into().nanos()));
        let receiver = Receiver::of_source(Arc::clone(&due) as _);
        Timer { due, receiver }
    }

    /// Returns the receiver of the value, which is the instant at which it was due. The receiver may be cloned; only
    /// one of all waiters gets the value. It continues after the timer was dropped.
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops the timer. After this nothing is received until the timer is reset. Returns true if a value was still to
    /// come, or was not received yet.
    pub fn stop(&self) -> bool {
        self.due.set(NEVER, None)
    }

    /// Resets the timer: it is due after `duration`. Returns true if a value was still to come, or was not received
    /// yet.
    pub fn reset(&self, duration: Duration) -> bool {
        self.reset_at(Instant::now().saturating_add(duration))
    }

    /// Resets the timer: it is due at `deadline`. Returns true if a value was still to come, or was not received yet.
    pub fn reset_at(&self, deadline: impl Into<Instant>) -> bool {
        self.due.set(deadline.into().nanos(), None)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}
