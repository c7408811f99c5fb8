//! Channels carry values from senders to receivers. Each value goes to exactly one receiver.
//!
//! The semantics are those of Go's channels, and the names are those of crossbeam-channel. Both ends can be cloned,
//! sent to other threads and shared. Goroutines, plain threads and futures can use them at the same time.
//!
//! | made by | a send waits |
//! |---|---|
//! | [`bounded(n)`](bounded) | while the buffer holds `n` values |
//! | [`bounded(0)`](bounded) | until a receiver takes the value (a rendezvous) |
//! | [`unbounded()`](unbounded) | never |
//!
//! A receive waits while the channel has no value. Waiters are served first in, first out. A channel is closed by
//! [`Sender::close`], or when the last sender or the last receiver is dropped. After that, sends fail and return the
//! value, but values that were sent before can still be received.
//!
//! ```
//! use selvedge::chan;
//!
//! selvedge::Runtime::new()?.run(|| {
//!     let (numbers, received) = chan::bounded(8);
//!     let adder = selvedge::go(move || received.iter().sum::<u64>());
//!     for n in 1..=10 {
//!         numbers.send(n).unwrap();
//!     }
//!     drop(numbers);
//!     assert_eq!(adder.join().unwrap(), 55);
//! });
//! # Ok::<(), selvedge::BuildError>(())
//! ```

mod buffer;
#[cfg(test)]
mod buffer_tests;
pub(crate) mod cancelled;
mod channel;
mod debt;
mod door;
mod error;
mod future;
mod locked;
pub(crate) mod never;
mod receiver;
mod select;
mod sender;
mod slot;
pub(crate) mod source;
pub(crate) mod timely;
mod until;
mod wait;

pub use error::{
    RecvCancelError, RecvError, RecvTimeoutError, SelectTimeoutError, SendCancelError, SendError,
    SendTimeoutError, TryRecvError, TrySelectError, TrySendError,
};
pub use future::{RecvAsync, SendAsync};
pub use receiver::{IntoIter, Iter, Receiver, TryIter};
pub(crate) use select::written;
pub use select::{MOST_ARMS, Select, SelectedOperation};
pub use sender::Sender;

pub use never::never;

use crate::platform::Arc;
use crate::wait::trace;
use channel::{Channel, UNBOUNDED};

/// Makes a channel whose buffer has room for `capacity` values. With a capacity of 0 each send waits for a receive.
/// The buffer is allocated by this call, once.
///
/// # Panics
/// Panics if the buffer would be larger than the address space.
///
/// ```
/// use selvedge::chan::{bounded, TrySendError};
///
/// let (tx, rx) = bounded(1);
/// tx.send("first").unwrap();
/// assert_eq!(tx.try_send("second"), Err(TrySendError::Full("second")));
/// assert_eq!(rx.recv(), Ok("first"));
/// ```
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity != UNBOUNDED, "a buffer of {capacity} exceeds memory: call unbounded()");
    ends(Channel::new(capacity))
}

/// Makes a channel without a limit on the number of values in its buffer. Sends never wait. The buffer grows when it
/// is full, which allocates.
///
/// ```
/// use selvedge::chan::unbounded;
///
/// let (tx, rx) = unbounded();
/// for n in 0..3 {
///     tx.send(n).unwrap();
/// }
/// drop(tx);
/// assert_eq!(rx.iter().collect::<Vec<_>>(), [0, 1, 2]);
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(Channel::new(UNBOUNDED))
}

fn ends<T>(channel: Channel<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(channel);
    trace::made("channel", &raw const *channel);
    (Sender::new(Arc::clone(&channel)), Receiver::new(channel))
}
