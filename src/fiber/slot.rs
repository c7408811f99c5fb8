//! Slot: defines how the address space of one stack is divided. The drawing shows the high end at the top.
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
//! The guard is wide because code that does not probe its frames may step over a narrow guard. Examples are C
//! code compiled without `-fstack-clash-protection`, glibc's resolver with a frame of 8 KiB, and libraries
//! with a buffer of 64 KiB. A guard takes address space and page-table entries, but no memory.
//! Checked by: src/fiber/tests.rs.
#![forbid(unsafe_code)]

use super::{DEFAULT_GUARD_SIZE, DEFAULT_STACK_SIZE, MAX_STACK_SIZE, MIN_STACK_SIZE, StackError};
use crate::platform::page_size;

/// Stacks begin at different offsets ("colours") in their slots, so that the hot frames of many goroutines do
/// not fall into the same cache sets. If all stacks began at the end of a page, the same frame of every
/// goroutine would share one set. A round trip of 100 fibers in turn takes 6.7 ns with 1 colour, and 1.8 ns
/// with 8, 16 or 32 (measured). The frames of a parked goroutine should fit into the rest of the page below
/// the colour. With 16 colours at least 3 KiB of that page are left, but with 32 colours only 2 KiB.
const COLOURS: usize = 16;
const COLOUR_STEP: usize = 64;

/// The largest guard size.
pub(super) const MAX_GUARD_SIZE: usize = 1 << 30;

/// The sizes of the parts of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    stride: usize,
    guard: usize,
    top: usize,
}

impl SlotLayout {
    /// Makes a layout for stacks of `stack_size` usable bytes above `guard_size` bytes of guard, with `top`
    /// reserved bytes at the high end. The guard is rounded up to whole pages. The slot is rounded up to an
    /// *odd* number of pages, and the frames get the added bytes. With an even number, the hot pages of all
    /// stacks would differ in few of the bits that second-level caches and TLBs use to choose a set.
    ///
    /// # Errors
    /// Returns an error if a size is out of range.
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

    /// Returns the distance in bytes from one slot to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Returns the bytes of the guard, which begins at the low end of the slot.
    pub fn guard(&self) -> usize {
        self.guard
    }

    /// Returns the bytes that are reserved below the colour.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Returns the number of bytes that a goroutine can use on every slot. The slot with the largest colour has the
    /// fewest bytes.
    pub fn usable(&self) -> usize {
        self.stride - self.guard - self.top - COLOURS * COLOUR_STEP
    }

    /// Returns the address at which the frames of slot `index` begin, if the slot begins at `low`. The
    /// address is a multiple of 64.
    pub(super) fn frames(&self, low: usize, index: u32) -> usize {
        low + self.stride - self.top - (index as usize % COLOURS) * COLOUR_STEP
    }
}

impl Default for SlotLayout {
    /// Returns the layout of a goroutine's slot, unless the builder sets another layout.
    fn default() -> Self {
        SlotLayout::new(DEFAULT_STACK_SIZE, DEFAULT_GUARD_SIZE, 0)
            .expect("the defaults are in range")
    }
}
