//! Join future: a goroutine that is awaited. [G5]
//! Checked by: verification/loom/future.rs, proptests/runtime/awaited.rs.

use super::error::JoinError;
use super::join::JoinHandle;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for a goroutine from a future; made by `JoinHandle::into_future`, as `.await` does.
///
/// Any executor may poll it, on any thread; it never blocks one. Dropping it detaches the goroutine.
#[must_use = "a future does nothing until it is polled"]
pub struct JoinFuture<T> {
    /// `None` once it was ready.
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

// The result is not in the future: it is in the goroutine's cell.
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
