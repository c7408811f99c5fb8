//! Stacks, and the switch between them. This folder knows nothing of the scheduler.
//!
//! A *fiber* is a coroutine that lives on one slot of a *stack pool* and never ends. Its entry function
//! serves one goroutine after another, so a warm stack needs no set-up. The owner of a [`Fiber`] resumes the
//! fiber, and the code on the fiber suspends through its [`Suspender`].
//!
//! ```text
//!   pool: segments, reserved as they are needed       slot
//!   +--------+--------+--   +--------+--             +--------------------+ high
//!   | slot 0 | slot 1 | ..  | slot n | ..            | colour             | never touched
//!   +--------+--------+--   +--------+--             | reserved           | thread-locals, if isolated
//!                                                    +--------------------+
//!                                                    | frames, downwards  |
//!                                                    ~                    ~ pages appear when touched
//!                                                    +--------------------+
//!                                                    | guard, some pages  | a fault here is an overflow
//!                                                    +--------------------+ low
//! ```
//!
//! - `stack_pool`: the state of each slot; warm fibers, last in first out.
//! - `trim`: gives memory and address space back to the kernel.
//! - `slot`: how a slot is divided.
//! - `segments`: which address space is reserved.
//! - `stack_mapping`: one segment, and the guards in it.
//! - `budget`, `room`: how many mappings, and how much address space, stacks may take.
//! - `fiber`: a stack on a slot.
//! - `paint`: how much of a stack was used.
//! - `switch`: jumps from one stack to another and back, in assembly.
//! - `sanitizer`: tells AddressSanitizer about stacks and switches.
//! - `thread_locals`: the thread-locals of each goroutine of an isolated runtime.
//! - [`overflow`]: the signal handler that names the goroutine and aborts.
//!
//! [C1] A slot is always in exactly one of these states: out, warm, trimmed, bare or fresh.
//! [C2] A fiber runs only on a slot that has its guard, unless the builder allowed stacks without guards.
//! [C3] A segment is unmapped only if none of its slots is out or warm.
//! [C4] A fiber is never unwound from outside. Dropping a fiber runs no code.
//! [C5] In a strained pool, every goroutine cell that may be spawned has an open slot.
//! Checked by: src/fiber/tests.rs, src/fiber/segment_tests.rs, src/fiber/switch_tests.rs,
//! src/fiber/overflow_tests.rs. Figures: src/fiber/measure.rs.
//!
//! No model covers this folder, for two reasons. No lock is held across a switch. A fiber moves between kernel
//! threads only by the scheduler's own synchronization, which the models of the scheduler cover.

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

/// The bytes of a goroutine's stack, unless the builder sets another size. The largest need that was measured
/// among ordinary programs in debug builds is 253 KiB. That program parses, prints and drops a document of
/// 127 nested objects, which is the deepest nesting that `serde_json` allows.
pub const DEFAULT_STACK_SIZE: usize = 320 * 1024;
/// The bytes of guard below each stack. The guard is larger than a buffer of 64 KiB that foreign code does
/// not probe.
pub const DEFAULT_GUARD_SIZE: usize = 96 * 1024;
/// The smallest stack size. A panic that prints its backtrace needs 22 KiB (measured).
pub const MIN_STACK_SIZE: usize = 32 * 1024;
/// The largest stack size.
pub const MAX_STACK_SIZE: usize = 1 << 30;
/// The largest number of slots in one stack pool, with either kind of guard.
pub const MAX_SLOTS: usize = 1 << 22;
