//! Thread-local blocks: they make a goroutine a thread of its own to code that uses thread-locals.
//!
//! A *block* is the data that the C library keeps for one thread at its thread pointer. Below the pointer lie
//! the static thread-local variables of all modules, and from the pointer on lies the thread's control block.
//! A goroutine of an *isolated* runtime has a block of its own, at the top of its stack's slot, and the
//! switch changes stack and thread pointer together. So the address of a thread-local variable is constant
//! for the goroutine, whichever kernel thread runs it.
//!
//! ```text
//!   slot:  low                                                                     high
//!   | guard | frames ...           link | room for libraries | variables | control | colour |
//!                                  ^ top                                 ^ thread pointer
//! ```
//!
//! - `template`: the content of a new block, learnt from two threads that do nothing (*donors*).
//! - `learn`: finds out the purpose of the words that the C library uses. A donor performs an operation, and
//!   the words that have changed belong to that operation.
//! - `compare`: finds out whether each word is a constant, a pointer, or something else, by comparing two donors.
//! - `block`: makes one block and uses it.
//! - `ending`: runs destructors, renews the block for the next goroutine, and frees it.
//! - `late`: makes the variables of libraries that are loaded later.
//! - `pointer`: reads and writes the thread pointer.
//! - `kernel_thread`: runs operations with the kernel thread's own pointer, for example changes of identity, forks
//!   and calls of allocators.
//! - `resolver`: the state of the C library's name resolver.
//! - `symbols`: finds a function and a table of the C library that have no public name.
//!
//! [C6] A kernel thread has a goroutine's thread pointer only while it runs that goroutine. It takes its own
//! pointer back before any other thread can resume the goroutine.
//! [C7] A goroutine finds its block in the state that a new thread would find, whatever the previous
//! goroutine on the slot has left.
//! [C8] No offset is assumed. Each offset is found in this process. If something is not as expected, no
//! isolated runtime can be built, and the error names what is missing.
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
