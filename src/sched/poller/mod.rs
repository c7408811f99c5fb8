//! Poller: who learns from the kernel that sockets are ready, and when. One a runtime, made when one of
//! its goroutines first waits for a socket.
//!
//! rest (a worker that is about to sleep): claim the role of the one who waits; leave a bell with the
//!     own parker; wait in the kernel until something is ready, the bell is rung, or the worker's next
//!     timer is due; give the role up; wake those who waited for what is ready.
//! look (a worker between two goroutines, or the monitor): claim the same word for short; take what is
//!     ready without waiting; give it up; who wanted to wait meanwhile is told to try again.
//!
//! | `word` | who has the source of readiness |
//! |---|---|
//! | `FREE` | nobody |
//! | `POLLING` | somebody awake, for a moment |
//! | `POLLING` + 1 + seat | as above, and the worker of this seat wanted to wait |
//! | `BLOCKED_IN_POLL` | a worker that sleeps there, or that is just waking up |
//!
//! [N3] While all workers of a runtime sleep, one of them waits in its poller, or is about to.
//! [N4] What is ready, and is told of, reaches the cell that it is registered for and no other.
//! Checked by: verification/loom/poller.rs, verification/shuttle/sockets.rs, proptests/net/.

pub(crate) mod epoll;
#[allow(clippy::module_inception)]
mod poller;
pub mod sinks;

pub use poller::{Event, EventHandler, Poller, Source};
pub use sinks::{Key, Slots};
