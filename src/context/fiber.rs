//! Fiber: a stack on a slot, and the way in and out of it (`switch`).
//! resume: the owner's stack -> the fiber's.   suspend: back, with a word that says why.
//! The base frame is made once a slot (`Fiber::on`); entry loops, so a goroutine starts and ends by
//! plain calls within it.
//! [C4] A fiber is never unwound from outside: `Fiber` has no destructor, and what entry leaves on
//! the stack when a fiber is dropped or trimmed is forgotten, not dropped.
//! Checked by: src/context/tests.rs.

use super::switch::{Entry, Resumable};
use std::fmt;

/// Slots differ in where their stack begins, so that the hot frames of many goroutines don't fall
/// into the same cache sets: page-aligned stacks would share one set a frame. A round trip of 100
/// fibers in turn takes 6.7 ns with 1 colour, 1.8 with 8, 16 or 32 (measured). What a colour takes of the top page is missing where
/// a parked goroutine's frames want to fit one page: 16 leave them 3 KiB of it, 32 only 2 KiB.
const COLOURS: usize = 16;
const COLOUR_STEP: usize = 64;

/// A stack on a slot, suspended. It serves one goroutine after another.
///
/// Dropping it runs no code and gives up its slot for good: give it back to its arena instead.
#[must_use = "give it back to its arena, or its slot is lost"]
pub struct Fiber {
    stack: Resumable,
    slot: u32,
    arena: u32,
}

// SAFETY: a suspended fiber is plain memory. That the frames on it may move to another kernel
// thread is promised by whoever resumes it (duty of `resume`).
unsafe impl Send for Fiber {}

impl Fiber {
    /// Makes the base frame of a fiber on slot `index` of the arena with this number. The slot lies
    /// at `low..low + stride`; its top page is touched.
    ///
    /// # Safety
    /// - The slot is writable memory above a guard page at its low end, and stays so until the
    ///   fiber is resumed no more.
    /// - Nothing else uses it.
    pub(super) unsafe fn on(
        low: usize,
        stride: usize,
        index: u32,
        arena: u32,
        entry: Entry,
    ) -> Fiber {
        let top = low + stride - (index as usize % COLOURS) * COLOUR_STEP;
        // SAFETY: the caller's duties; colour and guard take less than half of the least slot.
        let stack = unsafe { Resumable::prepare(low, top, entry) };
        Fiber { stack, slot: index, arena }
    }

    /// Runs the fiber until it suspends; answers the word that it gave.
    ///
    /// Inlined, and to be called in the frame of the caller's own loop: see `switch`. What it costs:
    /// docs/stacks.md.
    ///
    /// # Safety
    /// - `argument` is what the fiber expects at this point.
    /// - Its arena still exists, or was leaked, or a fiber of it is out (as this one is).
    /// - The frames on it may run on this kernel thread.
    /// - Once it has left a goroutine unfinished, it is not given back to its arena until that
    ///   goroutine has ended and the fiber is at rest.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut ()) -> usize {
        // SAFETY: the caller's duties.
        unsafe { self.stack.resume(argument) }
    }

    /// It will be resumed soon: fetches what that touches.
    #[inline(always)]
    pub fn prefetch(&self) {
        self.stack.prefetch();
    }

    /// The number of its slot, below the arena's `slots()`.
    #[inline]
    pub fn slot(&self) -> usize {
        self.slot as usize
    }

    /// The number of its arena.
    pub(super) fn arena(&self) -> u32 {
        self.arena
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("slot", &self.slot).finish_non_exhaustive()
    }
}
