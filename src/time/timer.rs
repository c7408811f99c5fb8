//! Timer: a receiver of one instant, which can be stopped and set anew.
//! Checked by: proptests/runtime/ticks.rs, and doctests here.
#![forbid(unsafe_code)]

use super::Instant;
use super::source::Due;
use crate::chan::Receiver;
use crate::platform::Arc;
use crate::structures::NEVER;
use std::fmt;
use std::time::Duration;

/// Sends one [`Instant`], when its time has come, to its [`receiver`](Timer::receiver); can be stopped
/// and set anew, by shared reference, also while somebody waits.
///
/// The value is there until it is taken, or the timer is stopped or set anew: a value of an earlier
/// setting is never received afterwards. Costs nothing while nobody waits.
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
    /// A timer that is due in `duration`.
    pub fn after(duration: Duration) -> Timer {
        Timer::at(Instant::now().saturating_add(duration))
    }

    /// A timer that is due at `deadline`.
    pub fn at(deadline: impl Into<Instant>) -> Timer {
        let due = Arc::new(Due::settable(deadline.into().nanos()));
        let receiver = Receiver::of_source(Arc::clone(&due) as _);
        Timer { due, receiver }
    }

    /// Where the value comes: the instant at which it was due. May be cloned; of all who wait, one
    /// gets it. The receiver of a timer that was dropped goes on.
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops it: nothing is received from it until it is set anew. True if it had been going to send
    /// a value, or had one that was not received.
    pub fn stop(&self) -> bool {
        self.due.set(NEVER, None)
    }

    /// Sets it anew: due in `duration`. True as for [`stop`](Self::stop).
    pub fn reset(&self, duration: Duration) -> bool {
        self.reset_at(Instant::now().saturating_add(duration))
    }

    /// Sets it anew: due at `deadline`. True as for [`stop`](Self::stop).
    pub fn reset_at(&self, deadline: impl Into<Instant>) -> bool {
        self.due.set(deadline.into().nanos(), None)
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}
