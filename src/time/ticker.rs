//! Ticker: a receiver of one instant in each period, which can be stopped and reset.
//! Checked by: verification/loom/ticks.rs, proptests/runtime/ticks.rs, and doctests here.
#![forbid(unsafe_code)]

use super::source::Due;
use super::{Instant, first_and_period};
use crate::chan::Receiver;
use crate::platform::Arc;
use crate::structures::NEVER;
use std::fmt;
use std::time::Duration;

/// Sends values like [`tick`](crate::time::tick), but can be stopped and reset to another period. A shared reference
/// is enough for that, and others may wait meanwhile.
///
/// ```
/// use selvedge::time::Ticker;
/// use std::time::Duration;
///
/// let ticker = Ticker::new(Duration::from_secs(3600));
/// assert!(ticker.receiver().try_recv().is_err());
/// ticker.reset(Duration::from_millis(1));
/// let (first, second) = (ticker.receiver().recv().unwrap(), ticker.receiver().recv().unwrap());
/// assert!(second - first >= Duration::from_millis(1));
/// ```
pub struct Ticker {
    due: Arc<Due>,
    receiver: Receiver<Instant>,
}

impl Ticker {
    /// Makes a ticker. Its first value is due one `period` from now.
    ///
    /// # Panics
    /// Panics if `period` is zero.
    #[track_caller]
    pub fn new(period: Duration) -> Ticker {
        let (first, period) = first_and_period(period);
        let due = Arc::new(Due::paced(first, period));
        let receiver = Receiver::of_source(Arc::clone(&due) as _);
        Ticker { due, receiver }
    }

    /// Returns the receiver of the values, which is like that of [`tick`](crate::time::tick). It may be cloned. It
    /// continues after the ticker was dropped.
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops the ticker. After this nothing is received until the ticker is reset, not even a value that was due
    /// already. Returns true if the ticker was running.
    pub fn stop(&self) -> bool {
        self.due.set(NEVER, None)
    }

    /// Resets the ticker: the next value is due one `period` from now. Values that were due before are not received
    /// any more. Returns true if the ticker was running.
    ///
    /// # Panics
    /// Panics if `period` is zero.
    #[track_caller]
    pub fn reset(&self, period: Duration) -> bool {
        let (first, period) = first_and_period(period);
        self.due.set(first, Some(period))
    }
}

impl fmt::Debug for Ticker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticker").field("receiver", &self.receiver).finish_non_exhaustive()
    }
}
