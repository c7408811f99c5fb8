//! Instant: a point in time of the runtime's clock, with the operations of `std::time::Instant`.
//! Checked by: proptests/runtime/timers.rs, and doctests here.
#![forbid(unsafe_code)]

use crate::sched::core::clock;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A point in time of the clock that goroutines see. This is the machine's monotonic clock, or, if the program is
/// simulated, the clock of the simulation.
///
/// The type has the operations of [`std::time::Instant`], and each of the two types converts into the other. The
/// range is 292 years before and after the start of the process. The end of the range, [`Instant::FAR_FUTURE`], is
/// never reached.
///
/// ```
/// use selvedge::time::Instant;
/// use std::time::Duration;
///
/// let start = Instant::now();
/// let deadline = start + Duration::from_millis(5);
/// assert_eq!(deadline - start, Duration::from_millis(5));
/// assert_eq!(start.saturating_duration_since(deadline), Duration::ZERO);
/// assert!(start.elapsed() < Duration::from_secs(60));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// Nanoseconds since the clock began, which is not before the process began.
    i64,
);

impl Instant {
    /// The time that is never reached. A wait until then has no time limit.
    pub const FAR_FUTURE: Instant = Instant(i64::MAX);

    /// Returns the current time. Reads the clock.
    pub fn now() -> Instant {
        Instant::from_nanos(clock::now())
    }

    /// Returns the time that has passed since `self`, or zero if `self` is in the future.
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is later.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is later.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.checked_duration_since(earlier).unwrap_or(Duration::ZERO)
    }

    /// Returns the time from `earlier` to `self`, or `None` if `earlier` is later.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        (*self >= earlier).then(|| Duration::from_nanos(self.0.abs_diff(earlier.0)))
    }

    /// Returns `self` plus `duration`, or `None` beyond the range.
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add_unsigned(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// Returns `self` minus `duration`, or `None` beyond the range.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub_unsigned(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// Returns `self` plus `duration`, but at most [`FAR_FUTURE`](Self::FAR_FUTURE).
    pub fn saturating_add(&self, duration: Duration) -> Instant {
        self.checked_add(duration).unwrap_or(Instant::FAR_FUTURE)
    }

    /// Converts a deadline from the scheduler's type.
    pub(crate) fn from_nanos(nanos: u64) -> Instant {
        i64::try_from(nanos).map_or(Instant::FAR_FUTURE, Instant)
    }

    /// Converts this deadline to the scheduler's type.
    pub(crate) fn nanos(self) -> u64 {
        match self {
            Instant::FAR_FUTURE => u64::MAX,
            Instant(nanos) => u64::try_from(nanos).unwrap_or(0),
        }
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// Panics if the result is out of range. [`Instant::saturating_add`] does not panic.
    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration)
            .expect("an instant out of range: use `saturating_add` where the duration may be huge")
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// Panics if the result is out of range. [`Instant::checked_sub`] does not panic.
    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration)
            .expect("an instant out of range: use `checked_sub` where the duration may be huge")
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is later.
    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

/// Converts by the distance from the current time, exact to within the time between two readings of the clock. In a
/// model or a simulation, the clock of `std` is still the machine's clock, so make deadlines there from
/// [`Instant::now`].
impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Instant {
        let (now, here) = (std::time::Instant::now(), Instant::now());
        match instant.checked_duration_since(now) {
            Some(ahead) => here.saturating_add(ahead),
            None => here.checked_sub(now - instant).unwrap_or(Instant(i64::MIN)),
        }
    }
}

/// Converts by the distance from now. [`Instant::FAR_FUTURE`] becomes a time some 292 years ahead.
impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> std::time::Instant {
        let (now, here) = (std::time::Instant::now(), Instant::now());
        match instant.checked_duration_since(here) {
            Some(ahead) => now + ahead,
            None => now.checked_sub(here - instant).unwrap_or(now),
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Instant::FAR_FUTURE => f.write_str("Instant(far future)"),
            Instant(nanos) if nanos < 0 => {
                write!(f, "Instant(-{:?})", Duration::from_nanos(nanos.unsigned_abs()))
            }
            Instant(nanos) => write!(f, "Instant({:?})", Duration::from_nanos(nanos as u64)),
        }
    }
}
