//! Instant: a time of the runtime's clock, with the operations of `std::time::Instant`.
//! Checked by: proptests/runtime/timers.rs, and doctests here.
#![forbid(unsafe_code)]

use crate::sched::core::clock;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A time of the clock that goroutines see: the machine's monotonic clock, or, where a program is
/// simulated, the simulation's.
///
/// It has the operations of [`std::time::Instant`]; each converts into the other. The range is 292 years before and
/// after the start of the process; [`Instant::FAR_FUTURE`], its end, never comes.
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
    /// Nanoseconds since the clock began, which is no earlier than the process.
    i64,
);

impl Instant {
    /// The time that never comes: who waits until then, waits for ever.
    pub const FAR_FUTURE: Instant = Instant(i64::MAX);

    /// What time it is: reads the clock.
    pub fn now() -> Instant {
        Instant::from_nanos(clock::now())
    }

    /// How long ago it was; zero if it is still to come.
    pub fn elapsed(&self) -> Duration {
        Instant::now().saturating_duration_since(*self)
    }

    /// How much later this is than `earlier`; zero if it isn't.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// How much later this is than `earlier`; zero if it isn't.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.checked_duration_since(earlier).unwrap_or(Duration::ZERO)
    }

    /// How much later this is than `earlier`; `None` if it is earlier.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        (*self >= earlier).then(|| Duration::from_nanos(self.0.abs_diff(earlier.0)))
    }

    /// `duration` later; `None` beyond the range.
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add_unsigned(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// `duration` earlier; `None` beyond the range.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub_unsigned(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// `duration` later, at most [`FAR_FUTURE`](Self::FAR_FUTURE).
    pub fn saturating_add(&self, duration: Duration) -> Instant {
        self.checked_add(duration).unwrap_or(Instant::FAR_FUTURE)
    }

    /// From how the scheduler tells deadlines.
    pub(crate) fn from_nanos(nanos: u64) -> Instant {
        i64::try_from(nanos).map_or(Instant::FAR_FUTURE, Instant)
    }

    /// As the scheduler tells deadlines.
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
    /// If the result is out of range; [`Instant::saturating_add`] isn't.
    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration)
            .expect("an instant out of range: use `saturating_add` where the duration may be huge")
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    /// # Panics
    /// If the result is out of range; [`Instant::checked_sub`] isn't.
    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration)
            .expect("an instant out of range: use `checked_sub` where the duration may be huge")
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// How much later this is than `earlier`; zero if it isn't.
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

/// By its distance from now: exact to within the time between two readings of the clock. In a model or
/// a simulation `std`'s clock is still the machine's: there, make deadlines from [`Instant::now`].
impl From<std::time::Instant> for Instant {
    fn from(instant: std::time::Instant) -> Instant {
        let (now, here) = (std::time::Instant::now(), Instant::now());
        match instant.checked_duration_since(now) {
            Some(ahead) => here.saturating_add(ahead),
            None => here.checked_sub(now - instant).unwrap_or(Instant(i64::MIN)),
        }
    }
}

/// As the other way round. [`Instant::FAR_FUTURE`] is some 292 years ahead.
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
