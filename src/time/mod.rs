//! Time: waiting for it.
//!
//! Deadlines are kept to the nanosecond and never fire early. How late: docs/timers.md; on a machine
//! with a free core it is the kernel's timer slack (50 µs) and a rest of at most 100 µs between two
//! rounds of wake-ups; on a busy one the time until a worker comes to it is added.
#![forbid(unsafe_code)]

mod instant;

pub use instant::Instant;

use crate::sched::suspend;
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
    if !duration.is_zero() {
        suspend::sleep_until(Location::caller(), Instant::now().saturating_add(duration).nanos());
    }
}

/// Waits until `deadline`, as [`sleep`]. Returns at once if it has passed.
///
/// # Panics
/// As [`sleep`].
#[track_caller]
pub fn sleep_until(deadline: impl Into<Instant>) {
    suspend::sleep_until(Location::caller(), deadline.into().nanos());
}
