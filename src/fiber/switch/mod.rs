//! Switch: leaving one stack for another, and coming back.
//! prepare: lay out a new stack so that the first resume begins its code.
//! resume: save where the caller goes on, in the fiber's *link*; jump to where the fiber goes on.
//! suspend: save where the fiber goes on, on its stack; jump to where the link says.
//! pass: suspend, and resume another fiber in one step; the link goes along.
//!
//! Both ways are jumps, and here is why. A processor predicts each return by a stack of its own, which
//! calls push and returns pop, whatever the stack pointer does. A switch that calls on the one side and
//! returns on the other leaves that stack in step only if the suspension is inlined into the fiber's
//! loop: behind N frames of user code, the first N returns after the switch pop the resumer's entries,
//! and the return that suspends pops one of user code's. A jump leaves the entries alone. So when fiber
//! A suspends behind N frames, and what resumes B calls and returns in pairs meanwhile, then A's N
//! entries are on top when B goes on; and B's are the same wherever both run the same code. They differ
//! where B is somewhere else; that much is mispredicted and can't be helped. It follows that whoever
//! resumes should stand in the frame of its own loop: a frame between the loop and `resume` would return
//! once a switch, and take an entry that was the fiber's.
//!
//! Saved across a switch: the stack pointer, the program counter, and all that the ABI wants a call to
//! keep, by the compiler where it has something there. Not saved: the control words of floating point
//! (MXCSR, x87, FPCR), which thus are the kernel thread's; X18 on aarch64; a shadow stack (CET, GCS), so
//! a process that enforces one must not run this. Landing pads (IBT, BTI) are there.
//! Unwinders and debuggers find the end of the stack below the fiber's first function.
//! Checked by: src/fiber/switch_tests.rs, on both kinds. Figures: docs/stacks.md.

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

// By corosensei: for other machines, and to compare.
#[cfg(any(not(any(target_arch = "x86_64", target_arch = "aarch64")), feature = "portable-switch"))]
#[path = "portable.rs"]
mod chosen;

#[cfg(selvedge_isolated)]
pub(super) use chosen::AREA;
pub(super) use chosen::Resumable;
pub use chosen::{PASSES, Suspender};

/// What every fiber of an arena runs: it gets the fiber's suspender and the argument of the first
/// resume, and serves goroutines for ever. If it unwinds, the process aborts.
///
/// *At rest*, that is between two goroutines, its frame holds nothing that must be dropped, and
/// nothing that belongs to one modelled execution: a fiber at rest can be forgotten or reused.
pub type Entry = fn(&Suspender, *mut ()) -> !;

/// The first function of a stack, but for what is in assembly.
fn enter(entry: Entry, suspender: &Suspender, argument: *mut ()) -> ! {
    let _bomb = AbortOnUnwind;
    entry(suspender, argument)
}

/// Entry never returns, so this is dropped only if it unwinds. [C4]
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
