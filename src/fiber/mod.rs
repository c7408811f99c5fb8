//! Floor 0: stacks, and the switch between them.
//!
//! A *fiber* is a coroutine that lives on one slot of an *arena* and never ends: its entry serves
//! one goroutine after another, so that a warm stack costs no set-up. Whoever owns a [`Fiber`]
//! resumes it; what runs on it suspends through its [`Suspender`].
//!
//! ```text
//!   arena: segments, reserved as they are needed      slot
//!   +--------+--------+--   +--------+--             +--------------------+ high
//!   | slot 0 | slot 1 | ..  | slot n | ..            | reserved, colour   | never touched
//!   +--------+--------+--   +--------+--             +--------------------+
//!                                                    | frames, downwards  |
//!                                                    ~                    ~ pages appear when touched
//!                                                    +--------------------+
//!                                                    | guard, some pages  | a fault here is an overflow
//!                                                    +--------------------+ low
//! ```
//!
//! - `arena`: which slot is whose; warm fibers, last in first out.   `trim`: memory back to the kernel.
//! - `slot`: how a slot is divided.
//! - `segments`: which address space is reserved.   `mapping`: one segment, and its guards.
//! - `budget`, `room`: how many mappings, and how much address space, stacks may take.
//! - `fiber`: a stack on a slot.   `paint`: how much of it was used.
//! - `switch`: from one stack to the other and back, in assembly.
//! - `sanitizer`: what AddressSanitizer is told of both.
//! - [`overflow`]: the signal handler that names the goroutine and aborts.
//!
//! [C1] A slot is out, warm, trimmed, bare or fresh: exactly one of these.
//! [C2] A fiber runs only on a slot whose guard is in place, unless the builder allowed stacks without.
//! [C3] A segment is unmapped only if no slot of it is out or warm.
//! [C4] A fiber is never unwound from outside: dropping one runs no code.
//! [C5] In a strained arena, every cell of a goroutine that may be spawned has an open slot.
//! Checked by: src/fiber/tests.rs, src/fiber/segment_tests.rs, src/fiber/switch_tests.rs,
//! src/fiber/overflow_tests.rs. Figures: src/fiber/measure.rs.
//!
//! Nothing here is modelled: no lock is held across a switch, and a fiber passes from thread to
//! thread by means of the scheduler's own, modelled, synchronization.

mod budget;
mod error;
#[allow(clippy::module_inception)]
mod fiber;
pub mod overflow;
mod paint;
mod room;
mod sanitizer;
mod segments;
mod slot;
mod stack_mapping;
mod stack_pool;
mod switch;
mod thread_locals;
mod trim;

#[cfg(test)]
mod budget_tests;
#[cfg(test)]
mod handler_tests;
#[cfg(test)]
mod measure;
#[cfg(test)]
mod overflow_tests;
#[cfg(test)]
mod segment_tests;
#[cfg(test)]
mod switch_tests;
#[cfg(test)]
pub(super) mod tests;

pub use error::StackError;
pub use fiber::Fiber;
pub use slot::SlotLayout;
pub use stack_mapping::Guards;
pub use stack_pool::{StackPool, StackPoolPlan};
pub use switch::{Entry, PASSES, Suspender};
#[cfg(all(feature = "internals", selvedge_isolated))]
pub use thread_locals::write_by_system_call;
pub use thread_locals::{Blocks, ThreadLocalsError, as_kernel_thread};
#[cfg(selvedge_isolated)]
pub use thread_locals::{catch_up, has_blocks, own_pointer, stack_of};

/// The bytes of a goroutine's stack unless the builder is told otherwise. The largest need that was measured
/// among ordinary programs in debug builds is 253 KiB: a document of 127 nested objects, which is as deep as
/// `serde_json` allows, parsed, printed and dropped.
pub const DEFAULT_STACK_SIZE: usize = 320 * 1024;
/// The bytes of guard below each stack: more than a buffer of 64 KiB that foreign code does not probe.
pub const DEFAULT_GUARD_SIZE: usize = 96 * 1024;
/// The least stack: a panic that prints its backtrace needs 22 KiB (measured).
pub const MIN_STACK_SIZE: usize = 32 * 1024;
/// The largest stack.
pub const MAX_STACK_SIZE: usize = 1 << 30;
/// The most slots of one arena, whatever the guard method.
pub const MAX_SLOTS: usize = 1 << 22;
