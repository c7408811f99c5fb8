//! Switch: leaves one stack for another, and comes back.
//! prepare: lays out a new stack so that the first resume begins its code.
//! resume: saves the caller's position in the fiber's *link*, and jumps to the fiber's saved position.
//! suspend: saves the fiber's position on its own stack, and jumps to the position in the link.
//! pass: suspends, and resumes another fiber in one step. The content of the link goes along.
//!
//! Both ways are jumps, for the following reason. A processor predicts returns by an internal stack. Each call
//! pushes an entry and each return pops an entry, whatever the stack pointer does. Suppose that a switch called
//! on one side and returned on the other side. That internal stack would match only if the suspension were
//! inlined into the fiber's loop. Behind N frames of user code, the first N returns after the switch would pop
//! the resumer's entries, and the return that suspends would pop an entry of user code. A jump does not change
//! the entries. Suppose now that fiber A suspends behind N frames, and that the resumer makes only paired calls
//! and returns before it resumes fiber B. Then A's N entries are on top when B continues. A's entries equal B's
//! entries if both fibers run the same code. If B runs other code, its returns are mispredicted, which cannot be
//! avoided. For the same reason the resumer should call `resume` in the frame of its own loop. A frame between
//! the loop and `resume` would return once per switch, and each return would pop an entry of the fiber.
//!
//! A switch saves the stack pointer, the program counter, and every register that the ABI requires a call to
//! preserve. The compiler saves those registers if they are in use. A switch does not save the floating-point
//! control words (MXCSR, x87, FPCR), so they belong to the kernel thread. It does not save X18 on aarch64. It
//! does not switch a shadow stack (CET, GCS), so a process that enforces a shadow stack must not use this switch.
//! The targets of the jumps have landing pads (IBT, BTI).
//! Unwinders and debuggers find the end of the stack below the fiber's first function.
//! Checked by: src/fiber/switch_tests.rs, with both kinds of switch. Figures: docs/switch.md.

use std::fmt;

#[cfg(all(target_arch = "x86_64", not(feature = "portable-switch")))]
#[path = "x86_64.rs"]
mod arch;

#[cfg(all(target_arch = "aarch64", not(feature = "portable-switch")))]
#[path = "aarch64.rs"]
mod arch;

#[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(feature = "portable-switch")))]
#[path = "jump.rs"]
mod chosen;

// This is the switch by corosensei. It is used on other machines and for comparison.
#[cfg(any(not(any(target_arch = "x86_64", target_arch = "aarch64")), feature = "portable-switch"))]
#[path = "portable.rs"]
mod chosen;

#[cfg(selvedge_isolated)]
pub(super) use chosen::AREA;
pub(super) use chosen::Resumable;
pub use chosen::{PASSES, Suspender};

/// The function that every fiber of a stack pool runs. The function gets the fiber's suspender and the argument of
/// the first resume, and serves goroutines for ever. If the function unwinds, the process aborts.
///
/// A fiber is *at rest* between two goroutines. The frame of a fiber at rest holds no value that must be dropped, and
/// no value that belongs to one modelled execution. So a fiber at rest can be forgotten or reused.
pub type Entry = fn(&Suspender, *mut ()) -> !;

/// The first Rust function on a stack. Only assembly runs before it.
fn enter(entry: Entry, suspender: &Suspender, argument: *mut ()) -> ! {
    let _bomb = AbortOnUnwind;
    entry(suspender, argument)
}

/// The entry function never returns, so this value is dropped only if the entry function unwinds. [C4]
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        eprintln!("selvedge: Fiber: expected entry to catch every panic, yet it unwinds");
        std::process::abort();
    }
}

impl fmt::Debug for Suspender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspender").finish_non_exhaustive()
    }
}
