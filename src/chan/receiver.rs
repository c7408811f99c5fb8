//! Receiver: the receiving end of a channel, or of a source that has values at certain times.
#![forbid(unsafe_code)]

use super::channel::Channel;
use super::error::{RecvCancelError, RecvError, RecvTimeoutError, TryRecvError};
use super::future::RecvAsync;
use super::source::Source;
use super::until::Until;
use super::wait::WaitFailure;
use crate::cancel::CancelToken;
use crate::platform::Arc;
use crate::wait::instant::Instant;
use crate::wait::trace;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The receiving end of a channel. Clones receive from the same channel, and each value goes to one of them. When the
/// last one is dropped, the channel is closed, and values that were not received are dropped.
///
/// Goroutines, plain threads and futures can receive at the same time. Waiting receivers are served first in, first
/// out.
pub struct Receiver<T> {
    pub(crate) flavor: Flavor<T>,
}

/// Where the values come from.
pub(crate) enum Flavor<T> {
    Channel(Arc<Channel<T>>),
    Source(Arc<dyn Source<T>>),
}

impl<T> Receiver<T> {
    pub(crate) fn new(channel: Arc<Channel<T>>) -> Self {
        Receiver { flavor: Flavor::Channel(channel) }
    }

    /// Makes a receiver of the values of a source.
    pub(crate) fn of_source(source: Arc<dyn Source<T>>) -> Self {
        Receiver { flavor: Flavor::Source(source) }
    }

    /// Receives a value, and waits until there is one.
    ///
    /// While it waits, it parks a goroutine or blocks a plain thread. A receive that does not wait costs one lock.
    ///
    /// # Errors
    /// Returns an error if the channel is empty and either closed or without a sender, also if that happens while it
    /// waits.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would wait.
    ///
    /// ```
    /// use selvedge::chan::bounded;
    ///
    /// selvedge::Runtime::new()?.run(|| {
    ///     let (tx, rx) = bounded(1);
    ///     selvedge::go(move || tx.send(7));
    ///     assert_eq!(rx.recv(), Ok(7));
    ///     // The only sender is gone.
    ///     assert!(rx.recv().is_err());
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(Until::Forever, Location::caller(), |_| RecvError)
    }

    /// Receives a value if the channel has one, or if a sender waits.
    ///
    /// Never suspends, with one exception: if the channel has no buffer and the only waiting sender is a select, the
    /// select makes its value after it was chosen, and this call waits for that value.
    ///
    /// # Errors
    /// Returns [`TryRecvError::Empty`] if there is no value now, and [`TryRecvError::Disconnected`] if the channel is
    /// empty and either closed or without a sender.
    ///
    /// ```
    /// use selvedge::chan::{bounded, TryRecvError};
    ///
    /// let (tx, rx) = bounded(1);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.send(7).unwrap();
    /// drop(tx);
    /// assert_eq!(rx.try_recv(), Ok(7));
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
    /// ```
    #[track_caller]
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let place = Location::caller();
        let error = |why| match why {
            WaitFailure::Closed => TryRecvError::Disconnected,
            _ => TryRecvError::Empty,
        };
        match &self.flavor {
            Flavor::Channel(channel) => channel.try_recv_or(place, error),
            Flavor::Source(source) => {
                trace::brief("try to recv on", source.kind(), self.address(), place);
                source.try_recv().map_err(error)
            }
        }
    }

    /// Receives like [`recv`](Self::recv), but waits for at most `limit`.
    ///
    /// # Errors
    /// Returns the error of `recv`, or an error if the time runs out.
    ///
    /// # Panics
    /// Panics under the same conditions as `recv`.
    ///
    /// ```
    /// use selvedge::chan::{RecvTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// let (_tx, rx) = bounded::<i32>(1);
    /// assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Until::After(limit), Location::caller(), timed)
    }

    /// Receives like [`recv`](Self::recv), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the error of `recv`, or an error if the time runs out.
    ///
    /// # Panics
    /// Panics under the same conditions as `recv`.
    #[track_caller]
    pub fn recv_deadline(&self, deadline: impl Into<Instant>) -> Result<T, RecvTimeoutError> {
        self.recv_until(Until::Deadline(deadline.into()), Location::caller(), timed)
    }

    /// Receives like [`recv`](Self::recv), but waits only until `token` is cancelled. If the token is cancelled
    /// already, nothing is received.
    ///
    /// # Errors
    /// Returns the error of `recv`, or an error if the token is cancelled.
    ///
    /// # Panics
    /// Panics under the same conditions as `recv`.
    #[track_caller]
    pub fn recv_cancel(&self, token: &CancelToken) -> Result<T, RecvCancelError> {
        self.recv_until(Until::Cancelled(token), Location::caller(), |why| match why {
            WaitFailure::Closed => RecvCancelError::Disconnected,
            _ => RecvCancelError::Cancelled,
        })
    }

    /// Returns a future that receives like [`recv`](Self::recv). Any executor, or [`block_on`](crate::block_on), can
    /// await it.
    ///
    /// Nothing is received before the future is polled. If the future is dropped after it was handed a value, the
    /// value goes to the next receiver. A receiver whose values come at certain times (such as
    /// [`after`](crate::time::after)) costs nothing until a future is polled, and is then awaited in the same way as
    /// [`sleep_async`](crate::time::sleep_async).
    ///
    /// # Panics
    /// The future panics if it is polled again after it was ready. If the values come at certain times, the future
    /// also panics under the same conditions as that of `sleep_async`.
    ///
    /// ```
    /// use selvedge::{block_on, time};
    /// use std::time::Duration;
    ///
    /// let ticks = time::tick(Duration::from_millis(1));
    /// let (first, second) = block_on(async {
    ///     (ticks.recv_async().await.unwrap(), ticks.recv_async().await.unwrap())
    /// });
    /// assert!(second - first >= Duration::from_millis(1));
    /// ```
    pub fn recv_async(&self) -> RecvAsync<'_, T> {
        match &self.flavor {
            Flavor::Channel(channel) => RecvAsync::new(channel),
            Flavor::Source(source) => RecvAsync::of_source(&**source),
        }
    }

    #[inline]
    fn recv_until<E>(
        &self,
        until: Until<'_>,
        place: &'static Location<'static>,
        error: impl FnOnce(WaitFailure) -> E,
    ) -> Result<T, E> {
        let error = |why: WaitFailure| {
            trace::says(why.text());
            error(why)
        };
        match &self.flavor {
            Flavor::Channel(channel) => channel.recv_or(until, place, error),
            Flavor::Source(source) => {
                trace::op("recv on", source.kind(), self.address(), place);
                source.recv(until, place).map_err(error)
            }
        }
    }

    /// Closes the channel like [`Sender::close`](crate::chan::Sender::close): nothing can be sent any more, but values
    /// that were sent before can still be received. Returns false if the channel was closed before. A receiver whose
    /// values come at certain times cannot be closed, so the result is false for it too.
    pub fn close(&self) -> bool {
        self.channel().is_some_and(Channel::close)
    }

    /// Returns whether nothing can be sent any more, because the channel is closed or all senders are gone. The buffer
    /// may still hold values.
    pub fn is_closed(&self) -> bool {
        self.channel().is_some_and(|channel| channel.lock().is_closed())
    }

    /// Returns the number of values in the buffer. Other threads may change it before this call returns.
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Channel(channel) => channel.lock().len(),
            Flavor::Source(source) => usize::from(source.is_ready()),
        }
    }

    /// Returns whether the buffer holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns whether the buffer has no room. This is always true for a channel without a buffer.
    pub fn is_full(&self) -> bool {
        match &self.flavor {
            Flavor::Channel(channel) => channel.lock().is_full(),
            Flavor::Source(source) => source.is_ready(),
        }
    }

    /// Returns the number of values that the buffer has room for, or `None` if the channel is unbounded.
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.capacity(),
            Flavor::Source(_) => Some(1),
        }
    }

    /// Returns whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        std::ptr::eq(self.address(), other.address())
    }

    pub(crate) fn address(&self) -> *const () {
        match &self.flavor {
            Flavor::Channel(channel) => Arc::as_ptr(channel).cast(),
            Flavor::Source(source) => Arc::as_ptr(source).cast(),
        }
    }

    /// Returns the name that the history of a checked program uses.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.flavor {
            Flavor::Channel(_) => "channel",
            Flavor::Source(source) => source.kind(),
        }
    }

    fn channel(&self) -> Option<&Channel<T>> {
        match &self.flavor {
            Flavor::Channel(channel) => Some(channel),
            Flavor::Source(_) => None,
        }
    }

    /// Returns an iterator that receives values until the channel is empty and closed. It waits for each value like
    /// [`recv`](Self::recv).
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// Returns an iterator over the values that are there now. It ends when the channel is empty, and never waits.
    ///
    /// ```
    /// let (tx, rx) = selvedge::chan::unbounded();
    /// tx.send(1).unwrap();
    /// tx.send(2).unwrap();
    /// assert_eq!(rx.try_iter().sum::<i32>(), 3);
    /// assert_eq!(rx.try_iter().next(), None);
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }
}

fn timed(why: WaitFailure) -> RecvTimeoutError {
    match why {
        WaitFailure::Closed => RecvTimeoutError::Disconnected,
        _ => RecvTimeoutError::Timeout,
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let flavor = match &self.flavor {
            Flavor::Channel(channel) => {
                channel.add_receiver();
                Flavor::Channel(Arc::clone(channel))
            }
            Flavor::Source(source) => Flavor::Source(Arc::clone(source)),
        };
        Receiver { flavor }
    }
}

/// Dropping a receiver never suspends.
impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel() {
            channel.drop_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// An iterator that waits for the values of a [`Receiver`]. See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(&'a Receiver<T>);

/// An iterator over the values that a [`Receiver`] has now. See [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T>(&'a Receiver<T>);

/// An iterator that owns a [`Receiver`] and waits for its values.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> std::iter::FusedIterator for Iter<'_, T> {}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> std::iter::FusedIterator for IntoIter<T> {}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}
