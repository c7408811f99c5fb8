//! Thread-local blocks: what lets a goroutine be a thread to its code.
//!
//! A *block* is what the C library keeps for one thread at its thread pointer: below the pointer the
//! static thread-local variables of all modules, from the pointer on the thread's control block. A
//! goroutine of an *isolated* runtime has a block of its own, at the top of its stack's slot, and the
//! switch changes stack and thread pointer together. So the address of a thread-local variable is
//! constant for the goroutine, whichever kernel thread runs it.
//!
//! ```text
//!   slot:  low                                                                     high
//!   | guard | frames ...           link | room for libraries | variables | control | colour |
//!                                  ^ top                                 ^ thread pointer
//! ```
//!
//! - `template`: what a new block looks like, learnt from two threads that do nothing (*donors*).
//! - `learn`: which words of a block the C library uses for what, found by doing the thing in a donor
//!   and looking which words have changed.
//! - `compare`: what a word is, by two donors.
//! - `block`: one block, made and used.   `ending`: destructors run; renewed for the next goroutine; freed.
//! - `pointer`: reading and writing the thread pointer.
//! - `kernel_thread`: what goes on by the kernel thread's own pointer: identities, forks, allocators.
//! - `symbols`: the two functions of the C library that have no public name.
//!
//! [C6] A kernel thread has a goroutine's thread pointer only while that goroutine is its own: it takes
//! its own pointer back before anybody else can resume the goroutine.
//! [C7] A goroutine finds a block as a new thread would, whatever its predecessor on the slot has left.
//! [C8] No offset is assumed: each is found in this process, and where something is not as expected
//! there is no isolated runtime, but an error that says what is missing.
//! Checked by: src/fiber/thread_locals/tests.rs, proptests/isolated/.
//! The chapter is docs/thread-locals.md.

mod error;

#[cfg(selvedge_isolated)]
mod block;
#[cfg(selvedge_isolated)]
mod compare;
#[cfg(selvedge_isolated)]
mod donor;
#[cfg(selvedge_isolated)]
mod ending;
#[cfg(selvedge_isolated)]
mod kernel_thread;
#[cfg(selvedge_isolated)]
mod late;
#[cfg(selvedge_isolated)]
mod learn;
#[cfg(selvedge_isolated)]
pub(super) mod pointer;
#[cfg(selvedge_isolated)]
mod resolver;
#[cfg(selvedge_isolated)]
mod symbols;
#[cfg(selvedge_isolated)]
mod template;

#[cfg(not(selvedge_isolated))]
#[path = "none.rs"]
mod block;

#[cfg(test)]
#[cfg(selvedge_isolated)]
mod tests;

pub use block::Blocks;
#[cfg(not(selvedge_isolated))]
pub use block::as_kernel_thread;
pub use error::ThreadLocalsError;
#[cfg(selvedge_isolated)]
pub use kernel_thread::{as_kernel_thread, catch_up, has_blocks, own_pointer, stack_of};
#[cfg(selvedge_isolated)]
#[cfg(feature = "internals")]
pub use pointer::write_by_system_call;
