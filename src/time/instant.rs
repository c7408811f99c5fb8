//! Instant: a time of the runtime's clock, with the operations of `std::time::Instant`.
//! Checked by: proptests/runtime/timers.rs, and doctests here.
#![forbid(unsafe_code)]

use crate::sched;
use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

/// A time of the clock that goroutines see: the machine's monotonic clock, or, where a program is
/// simulated, the simulation's.
///
/// It has the operations of [`std::time::Instant`], which converts into it. The range is 584 years;
/// [`Instant::FAR_FUTURE`], its end, never comes.
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
pub struct Instant(u64);

impl Instant {
    /// The time that never comes: who waits until then, waits for ever.
    pub const FAR_FUTURE: Instant = Instant(u64::MAX);

    /// What time it is: reads the clock.
    pub fn now() -> Instant {
        Instant(sched::now())
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
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How much later this is than `earlier`; `None` if it is earlier.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// `duration` later; `None` beyond the range.
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// `duration` earlier; `None` beyond the range.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(u64::try_from(duration.as_nanos()).ok()?).map(Instant)
    }

    /// `duration` later, at most [`FAR_FUTURE`](Self::FAR_FUTURE).
    pub fn saturating_add(&self, duration: Duration) -> Instant {
        self.checked_add(duration).unwrap_or(Instant::FAR_FUTURE)
    }

    /// From how the scheduler tells deadlines.
    pub(crate) fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// As the scheduler tells deadlines.
    pub(crate) fn nanos(self) -> u64 {
        self.0
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
            // Before the clock began: as early as can be told.
            None => here.checked_sub(now - instant).unwrap_or(Instant(0)),
        }
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Instant::FAR_FUTURE => f.write_str("Instant(far future)"),
            Instant(nanos) => write!(f, "Instant({:?})", Duration::from_nanos(nanos)),
        }
    }
}
