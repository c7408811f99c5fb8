//! Ticker: a receiver of one instant a period, which can be stopped and set anew.
//! Checked by: verification/loom/ticks.rs, proptests/runtime/ticks.rs, and doctests here.
#![forbid(unsafe_code)]

use super::source::Due;
use super::{Instant, first_and_period};
use crate::chan::Receiver;
use crate::platform::Arc;
use crate::structures::NEVER;
use std::fmt;
use std::time::Duration;

/// As [`tick`](crate::time::tick), and can be stopped and set to another period, by shared reference, also
/// while somebody waits.
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
    /// A ticker whose first value is due in one `period`.
    ///
    /// # Panics
    /// If `period` is zero.
    #[track_caller]
    pub fn new(period: Duration) -> Ticker {
        let (first, period) = first_and_period(period);
        let due = Arc::new(Due::paced(first, period));
        let receiver = Receiver::of_source(Arc::clone(&due) as _);
        Ticker { due, receiver }
    }

    /// Where the values come, as from [`tick`](crate::time::tick). May be cloned; the receiver of a ticker
    /// that was dropped goes on.
    pub fn receiver(&self) -> &Receiver<Instant> {
        &self.receiver
    }

    /// Stops it: nothing is received from it until it is set anew, not even what was due already. True
    /// if it was running.
    pub fn stop(&self) -> bool {
        self.due.set(NEVER, None)
    }

    /// Sets it anew: the next value is due in one `period` from now, and what was due before is not
    /// received any more. True as for [`stop`](Self::stop).
    ///
    /// # Panics
    /// If `period` is zero.
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
