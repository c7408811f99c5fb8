//! Floor 0: stacks, and the switch between them.
//!
//! A *fiber* is a coroutine that lives on one slot of an *arena* and never ends: its entry serves
//! one goroutine after another, so that a warm stack costs no set-up. Whoever owns a [`Fiber`]
//! resumes it; what runs on it suspends through its [`Suspender`].
//!
//! ```text
//!   arena: ONE mapping            slot (68 KiB)
//!   +--------+--------+---        +--------------------+ high
//!   | slot 0 | slot 1 | ...       | colour: 0..960 B   | (slot % 16) * 64, never touched
//!   +--------+--------+---        +--------------------+ top
//!                                 | frames, downwards  |
//!                                 ~                    ~ pages appear as they are touched
//!                                 +--------------------+
//!                                 | guard: one page    | a fault here is an overflow
//!                                 +--------------------+ low
//! ```
//!
//! - `arena`: which slot is whose; warm fibers, last in first out; memory back to the kernel.
//! - `mapping`: the reservation, its guards, and what the kernel allows.
//! - `fiber`: a stack on a slot, and its colour.
//! - `switch`: from one stack to the other and back, in assembly.
//! - [`overflow`]: the signal handler that names the goroutine and aborts.
//!
//! [C1] A slot is out, warm, trimmed, bare or fresh: exactly one of these.
//! [C2] A fiber runs only on a slot whose guard is in place.
//! [C3] A mapping is unmapped only if no fiber is out and nobody called `leak`.
//! [C4] A fiber is never unwound from outside: dropping one runs no code.
//! Checked by: src/context/tests.rs, src/context/switch_tests.rs, src/context/overflow_tests.rs. Figures: src/context/measure.rs.
//!
//! Nothing here is modelled: no lock is held across a switch, and a fiber passes from thread to
//! thread by means of the scheduler's own, modelled, synchronization.

mod arena;
mod error;
mod fiber;
mod mapping;
pub mod overflow;
mod switch;

#[cfg(test)]
mod measure;
#[cfg(test)]
mod overflow_tests;
#[cfg(test)]
mod switch_tests;
#[cfg(test)]
mod tests;

pub use arena::Arena;
pub use error::StackError;
pub use fiber::Fiber;
#[doc(hidden)]
pub use mapping::Guards;
pub use switch::{Entry, Suspender};

/// The size of a goroutine's stack slot unless the builder is told otherwise, guard included.
pub const DEFAULT_STACK_SIZE: usize = 68 * 1024;
/// The least slot: a panic that prints its backtrace needs 22 KiB (measured).
pub const MIN_STACK_SIZE: usize = 32 * 1024;
/// The largest slot.
pub const MAX_STACK_SIZE: usize = 1 << 30;
/// The most slots of one arena, whatever the guard method.
pub const MAX_SLOTS: usize = 1 << 22;
