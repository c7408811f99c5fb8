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
//! by the [`Link`] inside each item and never allocate. [`rng`] picks victims, [`tally`] counts. docs/deque.md tells the whole story.

pub mod deque;
mod fifo;
pub mod heap;
pub mod inbox;
pub mod injector;
pub mod linked;
pub mod list;
mod ring;
pub mod rng;
pub mod slot;
pub mod tally;

pub use deque::{Owner, Stealer, deque};
pub use heap::{Heap, NEVER, Ticket};
pub use inbox::Inbox;
pub use injector::Injector;
pub use linked::{Link, Linked};
pub use list::List;
pub use rng::Rng;
pub use slot::Slot;
pub use tally::Tally;
