//! Sender: the sending end. What it does, `channel` and `wait` do.
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

/// The sending end of a channel. Clones send to the same channel; when the last one is dropped, the
/// channel is closed.
///
/// Sends may come from goroutines, plain threads and futures alike, at the same time. Of those who
/// wait to send, the one that came first is first.
pub struct Sender<T> {
    pub(crate) channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(crate) fn new(channel: Arc<Channel<T>>) -> Self {
        Sender { channel }
    }

    /// Sends, and waits for room, or, where the channel has no buffer, for a receiver.
    ///
    /// Parks a goroutine; blocks a plain thread. Without waiting it costs one lock.
    ///
    /// # Errors
    /// If the channel is closed, or all receivers are gone, or that happens while it waits. The error
    /// holds the value.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would wait.
    #[track_caller]
    #[inline]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.channel.send_or(value, Until::Forever, Location::caller(), |_, value| SendError(value))
    }

    /// Sends if that is possible without waiting.
    ///
    /// Never suspends.
    ///
    /// # Errors
    /// If there is no room, or, without a buffer, nobody waits to receive; or if the channel is closed
    /// or all receivers are gone. The error holds the value.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.channel.try_send_or(value, |why, value| match why {
            WaitFailure::Closed => TrySendError::Disconnected(value),
            _ => TrySendError::Full(value),
        })
    }

    /// As [`send`](Self::send), for at most so long.
    ///
    /// # Errors
    /// Those of `send`, and if the time runs out.
    ///
    /// # Panics
    /// As `send`.
    #[track_caller]
    pub fn send_timeout(&self, value: T, limit: Duration) -> Result<(), SendTimeoutError<T>> {
        self.send_until(value, Until::After(limit), Location::caller())
    }

    /// As [`send`](Self::send), until `deadline` at the latest.
    ///
    /// # Errors
    /// Those of `send`, and if the time runs out.
    ///
    /// # Panics
    /// As `send`.
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

    /// As [`send`](Self::send), until `token` is cancelled. A token that is cancelled already comes
    /// first: nothing is sent.
    ///
    /// # Errors
    /// Those of `send`, and if the token is cancelled.
    ///
    /// # Panics
    /// As `send`.
    #[track_caller]
    pub fn send_cancel(&self, value: T, token: &CancelToken) -> Result<(), SendCancelError<T>> {
        let until = Until::Cancelled(token);
        self.channel.send_or(value, until, Location::caller(), |why, value| match why {
            WaitFailure::Closed => SendCancelError::Disconnected(value),
            _ => SendCancelError::Cancelled(value),
        })
    }

    /// As [`send`](Self::send), to be awaited by any executor, or by [`block_on`](crate::block_on).
    ///
    /// Nothing is sent before it is polled, and the value is dropped with the future if that has not
    /// sent it.
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

    /// Closes the channel for all its senders and receivers. Whoever waits to send gets the value
    /// back; what was sent before can still be received, and then receivers get an error.
    ///
    /// True if this call has closed it; false if it was closed before, which is no mistake.
    /// Never suspends.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Whether nothing can be sent any more: it was closed, or all receivers are gone.
    pub fn is_closed(&self) -> bool {
        self.channel.lock().is_closed()
    }

    /// Values that wait in the buffer. By the time it returns, others may have changed that.
    pub fn len(&self) -> usize {
        self.channel.lock().len()
    }

    /// Whether no value waits in the buffer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room in the buffer: always so without a buffer.
    pub fn is_full(&self) -> bool {
        self.channel.lock().is_full()
    }

    /// How many values the buffer has room for; `None` if it is unbounded.
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    pub(crate) fn address(&self) -> *const () {
        Arc::as_ptr(&self.channel).cast()
    }

    /// Whether both send to one channel.
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

/// Never suspends.
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
