//! Layer 1: data structures that know nothing of goroutines.
//!
//! | file | writer | taker | order |
//! |---|---|---|---|
//! | [`run_queue`](mod@run_queue) | its owner | its owner and any thief | FIFO |
//! | [`global_queue`] | any thread | any thread | FIFO |
//! | [`remote_queue`] | any thread | its owner, all items at once | FIFO |
//! | [`list`] | its owner | its owner | FIFO |
//! | [`slot`] | its owner | any thread | one item |
//! | [`heap`] | its owner | its owner | by deadline |
//!
//! The run queue, the global queue and the heap hold values or pointers. The others are intrusive: they chain
//! items by the [`Link`] inside each item and never allocate.
//! [`biased_lock`] is the lock for short critical sections, `bias` is its part that belongs to one worker, and
//! `model_lock` takes its place in models. [`local_values`] holds the values of goroutine-local variables.
//! [`rng`] chooses victims, and [`spawn_counters`] counts. docs/run-queue.md explains the run queue.

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
