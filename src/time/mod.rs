//! Waiting for a time: sleeps, timers and tickers.
//!
//! | | |
//! |---|---|
//! | [`sleep`], [`sleep_until`] | the caller waits |
//! | [`sleep_async`], [`sleep_until_async`] | a future waits, on any executor |
//! | [`after`], [`at`] | a receiver of one instant, for example for a `select` |
//! | [`tick`] | a receiver of one instant in each period |
//! | [`Timer`] | like `after`, but it can be stopped and reset |
//! | [`Ticker`] | like `tick`, but it can be stopped and reset |
//! | [`never`](fn@never) | a receiver that never receives |
//!
//! To limit another wait, use its own time-out (such as `recv_timeout`). To limit many waits, use a [`CancelToken`]
//! with a deadline.
//!
//! Deadlines have a resolution of one nanosecond, and no wait ends before its deadline. docs/timers.md tells how late
//! a wait may end. On a machine with a free core the lateness is the kernel's timer slack (50 µs) and a pause of at
//! most 100 µs between two rounds of wake-ups. On a busy machine, the time until a worker is free is added.
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

/// Waits for at least `duration`.
///
/// Parks a goroutine or blocks a plain thread. A permit that [`unpark`](crate::Goroutine::unpark) gives meanwhile does
/// not shorten the sleep; the next [`park`](crate::park) gets it. A `duration` of zero returns at once, and
/// [`Duration::MAX`] never returns.
///
/// # Panics
/// Panics if it is called by a goroutine inside [`no_suspend`](crate::no_suspend).
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

/// Sleeps like [`sleep`], but only until `token` is cancelled. If the token is cancelled already, the result is an
/// error even for a `duration` of zero.
///
/// # Errors
/// Returns an error if the token was cancelled, or its deadline passed, before the time was up.
///
/// # Panics
/// Panics under the same conditions as [`sleep`].
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

/// Waits like [`sleep`], but until `deadline`. Returns at once if `deadline` has passed.
///
/// # Panics
/// Panics under the same conditions as [`sleep`].
///
/// ```
/// use selvedge::time::{self, Instant};
/// use std::time::Duration;
///
/// let deadline = Instant::now() + Duration::from_millis(1);
/// time::sleep_until(deadline);
/// assert!(Instant::now() >= deadline);
/// ```
#[track_caller]
pub fn sleep_until(deadline: impl Into<Instant>) {
    trace::plain("sleep", Location::caller());
    park::sleep_until(Location::caller(), deadline.into().nanos());
}

/// Returns a receiver that gets one value after `duration`: the instant at which the value was due. A wait for the
/// value costs the same as a sleep. While nobody waits, the receiver costs nothing.
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

/// Returns a receiver like [`after`] that gets its value at `deadline`.
pub fn at(deadline: impl Into<Instant>) -> Receiver<Instant> {
    Receiver::of_source(Arc::new(Due::at(deadline.into().nanos())))
}

/// Returns a receiver that gets a value in each `period`: the instant at which the value was due. The first value is
/// due one `period` from now.
///
/// At most one value waits to be received. While nobody receives, later values are dropped, and the sequence keeps its
/// rhythm. The sequence goes on until the last clone is dropped, and costs nothing while nobody waits.
///
/// # Panics
/// Panics if `period` is zero.
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

/// Returns when the first tick is due, and the number of nanoseconds between two ticks.
#[track_caller]
fn first_and_period(period: Duration) -> (u64, u64) {
    assert!(
        !period.is_zero(),
        "a tick of period zero would always be due: use a period longer than zero"
    );
    let first = Instant::now().saturating_add(period).nanos();
    (first, u64::try_from(period.as_nanos()).unwrap_or(u64::MAX))
}
