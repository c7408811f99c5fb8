//! Sender: the sending end of a channel. The work is done in `channel` and `wait`.
#![forbid(unsafe_code)]

use super::channel::Channel;
use super::error::{SendCancelError, SendError, SendTimeoutError, TrySendError};
use super::future::SendAsync;
use super::until::Until;
use super::wait::WaitFailure;
use crate::cancel::CancelToken;
use crate::platform::Arc;
use crate::wait::instant::Instant;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The sending end of a channel. Clones send to the same channel. When the last one is dropped, the channel is closed.
///
/// Goroutines, plain threads and futures can send at the same time. Waiting senders are served first in, first out.
pub struct Sender<T> {
    pub(crate) channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(crate) fn new(channel: Arc<Channel<T>>) -> Self {
        Sender { channel }
    }

    /// Sends a value. Waits for room in the buffer, or, if the channel has no buffer, for a receiver.
    ///
    /// While it waits, it parks a goroutine or blocks a plain thread. A send that does not wait costs one lock.
    ///
    /// # Errors
    /// Returns an error that holds the value if the channel is closed or all receivers are gone, also if that happens
    /// while it waits.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would wait.
    ///
    /// ```
    /// use selvedge::chan::bounded;
    ///
    /// selvedge::Runtime::new()?.run(|| {
    ///     let (tx, rx) = bounded(1);
    ///     let receiver = selvedge::go(move || rx.recv());
    ///     tx.send("hello").unwrap();
    ///     assert_eq!(receiver.join().unwrap(), Ok("hello"));
    ///     // The receiver was dropped, so the value is returned.
    ///     assert_eq!(tx.send("again").unwrap_err().into_inner(), "again");
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.send_or(value, Until::Forever, Location::caller(), |_, value| SendError(value))
    }

    /// Sends a value if that is possible without waiting.
    ///
    /// Never suspends.
    ///
    /// # Errors
    /// Returns an error that holds the value if there is no room (or, without a buffer, if no receiver waits), if the
    /// channel is closed, or if all receivers are gone.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send_or(value, |why, value| match why {
            WaitFailure::Closed => TrySendError::Disconnected(value),
            _ => TrySendError::Full(value),
        })
    }

    /// Sends like [`send`](Self::send), but waits for at most `limit`.
    ///
    /// # Errors
    /// Returns the error of `send`, or an error if the time runs out. Either holds the value.
    ///
    /// # Panics
    /// Panics under the same conditions as `send`.
    ///
    /// ```
    /// use selvedge::chan::{SendTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// let (tx, _rx) = bounded(1);
    /// tx.send(1).unwrap();
    /// let limit = Duration::from_millis(1);
    /// assert_eq!(tx.send_timeout(2, limit), Err(SendTimeoutError::Timeout(2)));
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, value: T, limit: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Until::After(limit), Location::caller())
    }

    /// Sends like [`send`](Self::send), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the error of `send`, or an error if the time runs out. Either holds the value.
    ///
    /// # Panics
    /// Panics under the same conditions as `send`.
    #[track_caller]
    pub fn send_deadline(
        &self,
        value: T,
        deadline: impl Into<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Until::Deadline(deadline.into()), Location::caller())
    }

    fn send_until(
        &self,
        value: T,
        until: Until<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), SendTimeoutError<T>> {
        self.channel.send_or(value, until, place, |why, value| match why {
            WaitFailure::Closed => SendTimeoutError::Disconnected(value),
            _ => SendTimeoutError::Timeout(value),
        })
    }

    /// Sends like [`send`](Self::send), but waits only until `token` is cancelled. If the token is cancelled already,
    /// nothing is sent.
    ///
    /// # Errors
    /// Returns the error of `send`, or an error if the token is cancelled. Either holds the value.
    ///
    /// # Panics
    /// Panics under the same conditions as `send`.
    #[track_caller]
    pub fn send_cancel(&self, value: T, token: &CancelToken) -> Result<(), SendCancelError<T>> {
        let until = Until::Cancelled(token);
        self.channel.send_or(value, until, Location::caller(), |why, value| match why {
            WaitFailure::Closed => SendCancelError::Disconnected(value),
            _ => SendCancelError::Cancelled(value),
        })
    }

    /// Returns a future that sends like [`send`](Self::send). Any executor, or [`block_on`](crate::block_on), can
    /// await it.
    ///
    /// Nothing is sent before the future is polled. If the future is dropped before it has sent the value, the value
    /// is dropped too.
    ///
    /// ```
    /// use selvedge::{block_on, chan};
    ///
    /// let (tx, rx) = chan::bounded(1);
    /// block_on(async {
    ///     tx.send_async("hello").await.unwrap();
    ///     assert_eq!(rx.recv_async().await, Ok("hello"));
    /// });
    /// ```
    pub fn send_async(&self, value: T) -> SendAsync<'_, T> {
        SendAsync::new(&self.channel, value)
    }

    /// Closes the channel for all its senders and receivers. Waiting senders get their values back. Values that were
    /// sent before can still be received; after the last of them, receivers get an error.
    ///
    /// Returns true if this call closed the channel, and false if it was closed before. Never suspends.
    ///
    /// ```
    /// use selvedge::chan::bounded;
    ///
    /// let (tx, rx) = bounded(1);
    /// tx.send(1).unwrap();
    /// assert!(tx.close());
    /// assert!(tx.send(2).is_err());
    /// assert_eq!(rx.recv(), Ok(1));
    /// assert!(rx.recv().is_err());
    /// ```
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Returns whether nothing can be sent any more, because the channel is closed or all receivers are gone.
    pub fn is_closed(&self) -> bool {
        self.channel.lock().is_closed()
    }

    /// Returns the number of values in the buffer. Other threads may change it before this call returns.
    pub fn len(&self) -> usize {
        self.channel.lock().len()
    }

    /// Returns whether the buffer holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the buffer has no room. This is always true for a channel without a buffer.
    pub fn is_full(&self) -> bool {
        self.channel.lock().is_full()
    }

    /// Returns the number of values that the buffer has room for, or `None` if the channel is unbounded.
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    pub(crate) fn address(&self) -> *const () {
        Arc::as_ptr(&self.channel).cast()
    }

    /// Returns whether both send to the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Sender { channel: Arc::clone(&self.channel) }
    }
}

/// Dropping a sender never suspends.
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.channel.drop_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
    }
}
