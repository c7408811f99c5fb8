//! Paint: measures how much of a stack was used at most. A stack is filled with a pattern before its first
//! use. After each use, the lowest word that differs from the pattern shows the depth, and the used part is
//! filled again.
//! Painted stacks are fully resident (320 KiB per goroutine by default), so painting is for programs that are
//! being measured.
//! If the lowest words of a frame were never written, the result is too small by those words.
//! Checked by: proptests/runtime/stacks.rs.

use super::segments::Claim;
use super::{Fiber, StackPool};

/// The pattern. No return address equals the pattern, and other values of a program are not likely to equal it.
const PAINT: u64 = 0xA5A5_5A5A_C3C3_3C3C;
/// The number of words that are compared together.
const AT_ONCE: usize = 64;
/// The largest part of its stack that a fiber at rest uses. This part is not painted, and counts as used.
const BASE: usize = 4096;

/// The words of a slot that are painted.
#[derive(Clone, Copy)]
struct Painted {
    start: *mut u64,
    words: usize,
    /// The address at which the frames begin.
    top: usize,
}

impl StackPool {
    /// Fills a slot that is open and has no fiber yet.
    pub(super) fn paint(&self, claim: Claim) {
        let painted = self.painted(claim.number);
        // SAFETY: the caller has claimed and opened the slot, so its words are writable, and no fiber uses them yet.
        unsafe { painted.fill(0) };
    }

    /// Returns the largest number of bytes of its stack that the calling fiber has used since the stack was painted.
    /// Returns `None` if the caller is not on a stack of this pool. The pool must have painted stacks.
    pub fn used_by_caller(&self) -> Option<usize> {
        let here = 0_u8;
        let number = self.lock().segments.number_at((&raw const here).addr())?;
        let painted = self.painted(number);
        Some(painted.used(painted.clean()))
    }

    /// Returns how many bytes of its stack a fiber has used at most, and paints the stack again.
    ///
    /// # Safety
    /// The fiber must be of this pool, and at rest.
    pub unsafe fn repaint(&self, fiber: &Fiber) -> usize {
        let painted = self.painted(fiber.slot() as u32);
        let clean = painted.clean();
        // SAFETY: the caller guarantees that the fiber is at rest. The painted words lie below the part of the stack
        // that a fiber at rest uses, so no code uses them.
        unsafe { painted.fill(clean) };
        painted.used(clean)
    }

    /// Returns the painted words of a slot that is in use.
    fn painted(&self, number: u32) -> Painted {
        let layout = self.layout();
        let low = self.lock().segments.slot(number).low;
        let (start, top) = (low + layout.guard(), layout.frames(low, number));
        let words = (top - BASE - start) / size_of::<u64>();
        Painted { start: std::ptr::with_exposed_provenance_mut(start), words, top }
    }
}

impl Painted {
    /// Returns how many of the lowest words still have the pattern.
    fn clean(self) -> usize {
        // SAFETY: `at` is less than `words`, so the word lies in an open slot, which stays mapped while it is in use.
        let word = |at: usize| unsafe { self.start.add(at).read_volatile() };
        let mut clean = 0;
        // This loop compares many words with one branch.
        while clean + AT_ONCE <= self.words {
            let others = (clean..clean + AT_ONCE).fold(0, |others, at| others | (word(at) ^ PAINT));
            if others != 0 {
                break;
            }
            clean += AT_ONCE;
        }
        clean + (clean..self.words).take_while(|&at| word(at) == PAINT).count()
    }

    fn used(self, clean: usize) -> usize {
        self.top - (self.start.addr() + clean * size_of::<u64>())
    }

    /// Paints the words from number `from` on.
    ///
    /// # Safety
    /// The stack must be open, and nobody else may use these words.
    unsafe fn fill(self, from: usize) {
        for at in from..self.words {
            // SAFETY: the caller guarantees that the stack is open and that nobody else uses these words.
            unsafe { self.start.add(at).write_volatile(PAINT) };
        }
    }
}
