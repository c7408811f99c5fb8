//! Time: waiting for it.
//!
//! | | |
//! |---|---|
//! | [`sleep`], [`sleep_until`] | the caller waits |
//! | [`sleep_async`], [`sleep_until_async`] | a future waits, on any executor |
//! | [`after`], [`at`] | a receiver of one instant, for a `select` among others |
//! | [`tick`] | a receiver of one instant a period |
//! | [`Timer`] | as `after`; can be stopped and set anew |
//! | [`Ticker`] | as `tick`; can be stopped and set anew |
//! | [`never`] | a receiver that never receives |
//!
//! To limit another wait, use its own time-out (`recv_timeout` and the like), or a
//! [`CancelToken`] with a deadline for many.
//!
//! Deadlines are kept to the nanosecond and never fire early. How late: docs/timers.md; on a machine
//! with a free core it is the kernel's timer slack (50 µs) and a rest of at most 100 µs between two
//! rounds of wake-ups; on a busy one the time until a worker comes to it is added.
#![forbid(unsafe_code)]

mod future;
mod source;
mod ticker;
mod timer;

pub use crate::chan::never::never;
pub use crate::wait::instant::Instant;
pub use future::{SleepAsync, sleep_async, sleep_until_async};
pub use ticker::Ticker;
pub use timer::Timer;

use crate::cancel::{CancelToken, Cancelled};
use crate::chan::Receiver;
use crate::platform::Arc;
use crate::sched::suspend::park;
use crate::wait::limit::Outcome;
use crate::wait::{Wait, trace};
use source::Due;
use std::panic::Location;
use std::time::Duration;

/// Waits for `duration`, or a little longer; never less.
///
/// A goroutine is parked, a plain thread blocks. A permit that [`unpark`](crate::Goroutine::unpark)
/// gives meanwhile doesn't shorten the sleep, and is there for the next [`park`](crate::park). Zero
/// returns at once; [`Duration::MAX`] never.
///
/// # Panics
/// In a goroutine, inside [`no_suspend`](crate::no_suspend).
///
/// ```
/// use selvedge::{Runtime, go, time};
/// use std::time::Duration;
///
/// Runtime::new()?.run(|| {
///     let naps: Vec<_> = [3, 1, 2]
///         .map(|ms| go(move || time::sleep(Duration::from_millis(ms))))
///         .into_iter()
///         .collect();
///     naps.into_iter().for_each(|nap| nap.join().expect("no panic"));
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) {
    trace::plain("sleep", Location::caller());
    if !duration.is_zero() {
        park::sleep_until(Location::caller(), Instant::now().saturating_add(duration).nanos());
    }
}

/// As [`sleep`], until `token` is cancelled at the latest. A token that is cancelled already comes
/// first.
///
/// # Errors
/// If the token was cancelled, or its deadline passed, before the time was up.
///
/// # Panics
/// As [`sleep`].
///
/// ```
/// use selvedge::{CancelToken, time::sleep_cancel};
/// use std::time::Duration;
///
/// let token = CancelToken::with_timeout(Duration::from_millis(1));
/// assert!(sleep_cancel(Duration::MAX, &token).is_err());
/// ```
#[track_caller]
pub fn sleep_cancel(duration: Duration, token: &CancelToken) -> Result<(), Cancelled> {
    let place = Location::caller();
    trace::op("sleep, under", "token", token.address(), place);
    token.check()?;
    if duration.is_zero() {
        return Ok(());
    }
    let until = Instant::now().saturating_add(duration).nanos();
    match token.limit().no_later_than(Some(until)).wait(&Wait::of_caller(place), place) {
        Outcome::Cancelled => Err(Cancelled),
        Outcome::TimedOut | Outcome::Fired(_) => Ok(()),
    }
}

/// Waits until `deadline`, as [`sleep`]. Returns at once if it has passed.
///
/// # Panics
/// As [`sleep`].
#[track_caller]
pub fn sleep_until(deadline: impl Into<Instant>) {
    trace::plain("sleep", Location::caller());
    park::sleep_until(Location::caller(), deadline.into().nanos());
}

/// A receiver that gets one value, in `duration`: the instant at which it was due. Who waits for it
/// costs what a sleeper costs; while nobody does, it costs nothing.
///
/// ```
/// use selvedge::{chan, time};
/// use std::time::Duration;
///
/// let soon = time::after(Duration::from_millis(1));
/// assert!(soon.recv().is_ok());
/// assert_eq!(soon.try_recv(), Err(chan::TryRecvError::Empty), "once");
/// ```
pub fn after(duration: Duration) -> Receiver<Instant> {
    at(Instant::now().saturating_add(duration))
}

/// As [`after`], at `deadline`.
pub fn at(deadline: impl Into<Instant>) -> Receiver<Instant> {
    Receiver::of_source(Arc::new(Due::at(deadline.into().nanos())))
}

/// A receiver that gets a value each `period`, first in one `period` from now: the instant at which it
/// was due.
///
/// One value waits at a time: while nobody receives, those that follow are dropped, and the sequence
/// keeps its step. It goes on until the last clone is dropped, and costs nothing while nobody waits.
///
/// # Panics
/// If `period` is zero.
///
/// ```
/// use selvedge::time;
/// use std::time::Duration;
///
/// let ticks = time::tick(Duration::from_millis(1));
/// let (first, second) = (ticks.recv().unwrap(), ticks.recv().unwrap());
/// assert!(second - first >= Duration::from_millis(1));
/// ```
#[track_caller]
pub fn tick(period: Duration) -> Receiver<Instant> {
    let (first, period) = first_and_period(period);
    Receiver::of_source(Arc::new(Due::every(first, period)))
}

/// When the first tick of `period` is due, and after how many nanoseconds each that follows.
#[track_caller]
fn first_and_period(period: Duration) -> (u64, u64) {
    assert!(
        !period.is_zero(),
        "a tick of period zero would never let anybody wait: give a longer one"
    );
    let first = Instant::now().saturating_add(period).nanos();
    (first, u64::try_from(period.as_nanos()).unwrap_or(u64::MAX))
}
