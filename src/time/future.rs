//! Futures that sleep, on any executor, by the alarm of the process. [Z4]
//! Checked by: proptests/runtime/awaited.rs, proptests/model/time.rs.
#![forbid(unsafe_code)]

use super::Instant;
use crate::platform::foreign::Task;
use crate::wait::alarm::Reminder;
use crate::wait::trace;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// Returns a future that sleeps like [`sleep`](crate::time::sleep). Any executor, or [`block_on`](crate::block_on),
/// can await it. The time counts from this call.
///
/// It needs no runtime, neither one of this crate nor another. The first future of the process that has to wait for a
/// time starts a thread that wakes all such futures. This thread sleeps while nothing is due. A poll that is not the
/// last one costs the lock of the alarm, and time that grows with the logarithm of the number of waiting futures; so
/// does dropping the future. In a goroutine that runs no futures [`sleep`](crate::time::sleep) costs less.
///
/// # Panics
/// The future panics at its first poll if that thread cannot be started.
///
/// ```
/// use selvedge::time;
/// use std::time::Duration;
///
/// selvedge::block_on(async {
///     let start = time::Instant::now();
///     time::sleep_async(Duration::from_millis(1)).await;
///     assert!(start.elapsed() >= Duration::from_millis(1));
/// });
/// ```
pub fn sleep_async(duration: Duration) -> SleepAsync {
    sleep_until_async(Instant::now().saturating_add(duration))
}

/// Returns a future that sleeps like [`sleep_async`], but until `deadline`. It is ready at once if `deadline` has
/// passed.
///
/// # Panics
/// The future panics under the same conditions as that of [`sleep_async`].
pub fn sleep_until_async(deadline: impl Into<Instant>) -> SleepAsync {
    SleepAsync { deadline: deadline.into(), reminder: Reminder::default() }
}

/// A future that sleeps. See [`sleep_async`].
#[must_use = "a future sleeps only when it is awaited"]
pub struct SleepAsync {
    deadline: Instant,
    reminder: Reminder,
}

impl SleepAsync {
    /// Returns the time until which the future sleeps.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Future for SleepAsync {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= Instant::now() {
            self.reminder.clear();
            return Poll::Ready(());
        }
        trace::alone("await a time");
        let deadline = self.deadline.nanos();
        self.reminder.set(deadline, Task::of(cx.waker()));
        Poll::Pending
    }
}

impl fmt::Debug for SleepAsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SleepAsync").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
