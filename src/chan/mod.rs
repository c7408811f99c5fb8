//! Channels: values go from those who send to those who receive, and each goes to one of them.
//!
//! The rules are Go's, the names those of crossbeam-channel. Both ends may be cloned, sent and shared;
//! goroutines, plain threads and futures use them at the same time.
//!
//! | made by | a send waits |
//! |---|---|
//! | [`bounded(n)`](bounded) | while the buffer holds `n` values |
//! | [`bounded(0)`](bounded) | until a receiver takes the value: a rendezvous |
//! | [`unbounded()`](unbounded) | never |
//!
//! A receive waits while nothing is there. Of those who wait, who came first is first. A channel is
//! closed by [`Sender::close`], or when all senders or all receivers are gone: then sends fail and
//! give the value back, and what was sent before can still be received.
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

/// A channel whose buffer has room for `capacity` values; with none, each send meets a receive. The
/// buffer is allocated here, once.
///
/// # Panics
/// If the buffer would be larger than memory can be.
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
    assert!(capacity != UNBOUNDED, "no memory holds a buffer of {capacity}: call unbounded()");
    ends(Channel::new(capacity))
}

/// A channel with room for as many values as memory has: sends never wait, and the buffer grows as
/// needed, which allocates.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(Channel::new(UNBOUNDED))
}

fn ends<T>(channel: Channel<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(channel);
    trace::made("channel", &raw const *channel);
    (Sender::new(Arc::clone(&channel)), Receiver::new(channel))
}
