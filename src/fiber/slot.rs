//! Slot: how the address space of one stack is divided, from its low end to its high end.
//!
//! ```text
//!   +-------------------+ high = low + stride
//!   | colour            | (index % COLOURS) * COLOUR_STEP bytes, never touched
//!   +-------------------+
//!   | reserved          | `top` bytes: the goroutine's thread-locals, if it has its own
//!   +-------------------+ frames begin here and grow downwards
//!   | frames            | at least `stack_size` bytes; pages appear as they are touched
//!   +-------------------+ low + guard
//!   | guard             | whole pages; any access faults
//!   +-------------------+ low
//! ```
//!
//! The guard is wide because code that does not probe its frames may step over a narrow one: C compiled
//! without `-fstack-clash-protection`, glibc's resolver with a frame of 8 KiB, libraries with a buffer of
//! 64 KiB. It takes address space and page-table entries, and no memory.
//! Checked by: src/fiber/tests.rs.
#![forbid(unsafe_code)]

use super::{DEFAULT_GUARD_SIZE, DEFAULT_STACK_SIZE, MAX_STACK_SIZE, MIN_STACK_SIZE, StackError};
use crate::platform::page_size;

/// Slots differ in where their stack begins, so that the hot frames of many goroutines don't fall into the
/// same cache sets: stacks that begin at a page's end would share one set a frame. A round trip of 100
/// fibers in turn takes 6.7 ns with 1 colour, 1.8 with 8, 16 or 32 (measured). A parked goroutine's frames
/// should fit the rest of the colour's page: 16 colours leave them 3 KiB of it, 32 only 2 KiB.
const COLOURS: usize = 16;
const COLOUR_STEP: usize = 64;

/// The largest guard.
pub(super) const MAX_GUARD_SIZE: usize = 1 << 30;

/// The sizes of a slot's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    stride: usize,
    guard: usize,
    top: usize,
}

impl SlotLayout {
    /// Slots for stacks of `stack_size` usable bytes above `guard_size` bytes of guard, with `top` bytes
    /// reserved at the high end. The guard is rounded up to whole pages. The slot is rounded up to an *odd*
    /// number of pages, and the frames get what that adds: with an even number, the hot pages of all stacks
    /// would differ in few of the bits by which second-level caches and TLBs find their sets.
    ///
    /// # Errors
    /// If a size is out of range.
    pub fn new(stack_size: usize, guard_size: usize, top: usize) -> Result<Self, StackError> {
        if !(MIN_STACK_SIZE..=MAX_STACK_SIZE).contains(&stack_size) {
            return Err(StackError::Size { asked: stack_size });
        }
        if guard_size == 0 || guard_size > MAX_GUARD_SIZE {
            return Err(StackError::GuardSize { asked: guard_size });
        }
        let page = page_size();
        let guard = guard_size.next_multiple_of(page);
        // The switch needs an aligned start of the frames.
        let top = top.next_multiple_of(COLOUR_STEP);
        let pages = (guard + stack_size + COLOURS * COLOUR_STEP + top).div_ceil(page);
        Ok(SlotLayout { stride: (pages | 1) * page, guard, top })
    }

    /// The distance from one slot to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The bytes of the guard, which begins at the slot's low end.
    pub fn guard(&self) -> usize {
        self.guard
    }

    /// The bytes that are reserved, below the colour.
    pub fn top(&self) -> usize {
        self.top
    }

    /// The bytes that a goroutine can use on any slot: what the largest colour leaves.
    pub fn usable(&self) -> usize {
        self.stride - self.guard - self.top - COLOURS * COLOUR_STEP
    }

    /// Where the frames of slot `index` begin, which lies at `low`. A multiple of 64.
    pub(super) fn frames(&self, low: usize, index: u32) -> usize {
        low + self.stride - self.top - (index as usize % COLOURS) * COLOUR_STEP
    }
}

impl Default for SlotLayout {
    /// A goroutine's slot, unless the builder is told otherwise.
    fn default() -> Self {
        SlotLayout::new(DEFAULT_STACK_SIZE, DEFAULT_GUARD_SIZE, 0)
            .expect("the defaults are in range")
    }
}
