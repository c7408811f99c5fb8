//! The join future: async code awaits the end of a goroutine with it. [G5]
//! Checked by: verification/loom/future.rs, proptests/runtime/awaited.rs.

use super::error::JoinError;
use super::join::JoinHandle;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A future that waits for a goroutine. `JoinHandle::into_future`, which `.await` calls, makes this future.
///
/// Any executor may poll the future, on any thread. A poll never blocks the thread. Dropping the future detaches the
/// goroutine.
#[must_use = "a future does nothing until it is polled"]
pub struct JoinFuture<T> {
    /// The handle, or `None` once the future was ready.
    handle: Option<JoinHandle<T>>,
}

/// ```
/// let runtime = selvedge::Runtime::new()?;
/// let answer = runtime.go(|| 42);
/// let twice = async { answer.await.unwrap() * 2 };
/// assert_eq!(selvedge::block_on(twice), 84);
/// # Ok::<(), selvedge::BuildError>(())
/// ```
impl<T> IntoFuture for JoinHandle<T> {
    type Output = Result<T, JoinError>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(self) -> JoinFuture<T> {
        JoinFuture { handle: Some(self) }
    }
}

// The future may be moved, because the result is in the goroutine's cell, not in the future.
impl<T> Unpin for JoinFuture<T> {}

impl<T> Future for JoinFuture<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        JoinHandle::poll(&mut self.handle, context)
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.stop_waiting();
        }
    }
}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").field("handle", &self.handle).finish()
    }
}
