//! The poller asks the kernel which sockets are ready, and decides which thread asks and when. A runtime makes its
//! poller when one of its goroutines first waits for a socket.
//!
//! block (a worker that is about to sleep): claim the word as the waiting thread; register the notifier
//!     with its parker; wait in the kernel until a socket is ready, the notifier is notified, or the worker's
//!     next timer is due; free the word; wake the waiters of the ready sockets.
//! look (a worker between two goroutines, or the monitor): claim the word for a short time; take the ready
//!     events without waiting; free the word; if a worker wanted to wait meanwhile, tell it to try again.
//!
//! | `word` | which thread may use the source of events |
//! |---|---|
//! | `FREE` | none |
//! | `POLLING` | a running thread, for a moment |
//! | `POLLING` + 1 + worker slot | as above, and the worker of this slot wanted to wait |
//! | `BLOCKED_IN_POLL` | a worker that waits in the kernel, or that is just waking up |
//!
//! [N3] While all workers of a runtime sleep, one of them waits in its poller, or is about to.
//! [N4] An event reaches the handler that is registered for its socket and no other handler.
//! Checked by: verification/loom/poller.rs, verification/shuttle/sockets.rs, proptests/net/.

pub(crate) mod epoll;
#[allow(clippy::module_inception)]
mod poller;
pub mod sinks;

pub use poller::{Event, EventHandler, Poller, Source};
pub use sinks::{Key, Slots};
