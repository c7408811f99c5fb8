//! Floor 1: data structures that know no goroutine.
//!
//! | file | who writes | who takes | order |
//! |---|---|---|---|
//! | [`deque`](mod@deque) | its owner | its owner and any thief | FIFO |
//! | [`injector`] | anybody | anybody | FIFO |
//! | [`inbox`] | anybody | its owner, all at once | FIFO |
//! | [`list`] | its owner | its owner | FIFO |
//! | [`slot`] | its owner | anybody | one item |
//! | [`heap`] | its owner | its owner | by deadline |
//!
//! The deque, the injector and the heap hold values, or pointers; the others are intrusive: they chain items
//! by the [`Link`] inside each item and never allocate. [`rng`] picks victims, [`tally`] counts. docs/run-queue.md tells the whole story.

pub(crate) mod bias;
pub mod biased_lock;
mod fifo;
pub mod global_queue;
pub mod heap;
pub mod linked;
pub mod list;
pub mod local_values;
#[allow(dead_code)]
mod model_lock;
pub mod remote_queue;
mod ring;
pub mod rng;
pub mod run_queue;
pub mod slot;
pub mod spawn_counters;

pub use global_queue::GlobalQueue;
pub use heap::{Heap, NEVER, Ticket};
pub use linked::{Link, Linked};
pub use list::List;
pub use remote_queue::RemoteQueue;
pub use rng::Rng;
pub use run_queue::{Local, Steal};
pub use slot::Slot;
pub use spawn_counters::SpawnCounters;

crate::platform::shipping_or_model! {
    { pub use biased_lock::{BiasedLock, BiasedLockGuard}; }
    { pub use model_lock::{BiasedLock, BiasedLockGuard}; }
}
