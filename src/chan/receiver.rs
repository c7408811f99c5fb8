//! Receiver: the receiving end: of a channel, or of a source whose values come with time.
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

/// The receiving end of a channel. Clones receive from the same channel: each value goes to one of
/// them. When the last one is dropped, the channel is closed, and what was not received is dropped.
///
/// Goroutines, plain threads and futures alike may receive at the same time. Of those who wait, the
/// one that came first is first.
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

    /// A receiver of what comes with time.
    pub(crate) fn of_source(source: Arc<dyn Source<T>>) -> Self {
        Receiver { flavor: Flavor::Source(source) }
    }

    /// Receives, and waits for a value.
    ///
    /// Parks a goroutine; blocks a plain thread. Without waiting it costs one lock.
    ///
    /// # Errors
    /// If the channel is empty, and closed or without a sender; or if that happens while it waits.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would wait.
    #[track_caller]
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(Until::Forever, Location::caller(), |_| RecvError)
    }

    /// Receives if a value is there, or somebody waits to send one.
    ///
    /// Never suspends, with one exception: without a buffer, where of all senders only a
    /// select waits, which makes its value once it is chosen, it waits until that is made.
    ///
    /// # Errors
    /// If nothing is there; or if the channel is empty, and closed or without a sender.
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

    /// As [`recv`](Self::recv), for at most so long.
    ///
    /// # Errors
    /// Those of `recv`, and if the time runs out.
    ///
    /// # Panics
    /// As `recv`.
    #[track_caller]
    pub fn recv_timeout(&self, limit: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Until::After(limit), Location::caller(), timed)
    }

    /// As [`recv`](Self::recv), until `deadline` at the latest.
    ///
    /// # Errors
    /// Those of `recv`, and if the time runs out.
    ///
    /// # Panics
    /// As `recv`.
    #[track_caller]
    pub fn recv_deadline(&self, deadline: impl Into<Instant>) -> Result<T, RecvTimeoutError> {
        self.recv_until(Until::Deadline(deadline.into()), Location::caller(), timed)
    }

    /// As [`recv`](Self::recv), until `token` is cancelled. A token that is cancelled already comes
    /// first: nothing is received.
    ///
    /// # Errors
    /// Those of `recv`, and if the token is cancelled.
    ///
    /// # Panics
    /// As `recv`.
    #[track_caller]
    pub fn recv_cancel(&self, token: &CancelToken) -> Result<T, RecvCancelError> {
        self.recv_until(Until::Cancelled(token), Location::caller(), |why| match why {
            WaitFailure::Closed => RecvCancelError::Disconnected,
            _ => RecvCancelError::Cancelled,
        })
    }

    /// As [`recv`](Self::recv), to be awaited by any executor, or by [`block_on`](crate::block_on).
    ///
    /// Nothing is received before it is polled; a value that was handed to a future that is dropped
    /// goes to the next receiver. Values that come with time ([`after`](crate::time::after) and its
    /// kin) are awaited as [`sleep_async`](crate::time::sleep_async) is: those, too, cost nothing until
    /// a future is polled.
    ///
    /// # Panics
    /// The future panics when it is polled again after it was ready; and as `sleep_async`, if the
    /// receiver's values come with time.
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

    /// As [`Sender::close`](crate::chan::Sender::close): nothing can be sent any more, and what was sent
    /// before can still be received. False if it was closed before; also for a receiver whose values
    /// come with time, which can't be closed.
    pub fn close(&self) -> bool {
        self.channel().is_some_and(Channel::close)
    }

    /// Whether nothing can be sent any more: it was closed, or all senders are gone. Values may still
    /// wait in the buffer.
    pub fn is_closed(&self) -> bool {
        self.channel().is_some_and(|channel| channel.lock().is_closed())
    }

    /// Values that wait in the buffer. By the time it returns, others may have changed that.
    pub fn len(&self) -> usize {
        match &self.flavor {
            Flavor::Channel(channel) => channel.lock().len(),
            Flavor::Source(source) => usize::from(source.is_ready()),
        }
    }

    /// Whether no value waits in the buffer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room in the buffer: always so without a buffer.
    pub fn is_full(&self) -> bool {
        match &self.flavor {
            Flavor::Channel(channel) => channel.lock().is_full(),
            Flavor::Source(source) => source.is_ready(),
        }
    }

    /// How many values the buffer has room for; `None` if it is unbounded.
    pub fn capacity(&self) -> Option<usize> {
        match &self.flavor {
            Flavor::Channel(channel) => channel.capacity(),
            Flavor::Source(_) => Some(1),
        }
    }

    /// Whether both receive from one channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        std::ptr::eq(self.address(), other.address())
    }

    pub(crate) fn address(&self) -> *const () {
        match &self.flavor {
            Flavor::Channel(channel) => Arc::as_ptr(channel).cast(),
            Flavor::Source(source) => Arc::as_ptr(source).cast(),
        }
    }

    /// What a history calls it.
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

    /// The values, each once it has come, until the channel is empty and closed. Waits as
    /// [`recv`](Self::recv) does.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// The values that are there, until there is none. Never waits.
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

/// Never suspends.
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

/// The values of a [`Receiver`], as they come. See [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(&'a Receiver<T>);

/// The values of a [`Receiver`] that are there. See [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T>(&'a Receiver<T>);

/// The values of a [`Receiver`] that the iterator owns, as they come.
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
