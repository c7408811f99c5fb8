//! Paint: how much of a stack was used at most. A stack is filled with a pattern before its first use; after
//! each, the lowest word that is another tells how deep it was, and what was used is filled anew.
//! The whole stack is resident then: 320 KiB a goroutine by default. For programs that are being measured.
//! A frame whose lowest words were never written counts as less than it is.
//! Checked by: proptests/runtime/stacks.rs.

use super::segments::Claim;
use super::{Fiber, StackPool};

/// No return address, and no likely value.
const PAINT: u64 = 0xA5A5_5A5A_C3C3_3C3C;
/// Words that are looked at together.
const AT_ONCE: usize = 64;
/// What a fiber at rest has on its stack, at most: it is not painted, and counts as used.
const BASE: usize = 4096;

/// The words of a slot that are painted.
#[derive(Clone, Copy)]
struct Painted {
    start: *mut u64,
    words: usize,
    /// Where the frames begin.
    top: usize,
}

impl StackPool {
    /// Fills a slot that is open and on which no fiber is yet.
    pub(super) fn paint(&self, claim: Claim) {
        let painted = self.painted(claim.number);
        // SAFETY: the slot is the caller's, open, and not in use.
        unsafe { painted.fill(0) };
    }

    /// How many bytes of its stack the calling fiber has used at most, since it was painted. `None` if the
    /// caller is on no stack of this arena. For arenas whose stacks are painted.
    pub fn used_by_caller(&self) -> Option<usize> {
        let here = 0_u8;
        let number = self.lock().segments.number_at((&raw const here).addr())?;
        let painted = self.painted(number);
        Some(painted.used(painted.clean()))
    }

    /// How many bytes of its stack a fiber has used at most, which is painted anew.
    ///
    /// # Safety
    /// The fiber is this arena's, and at rest.
    pub unsafe fn repaint(&self, fiber: &Fiber) -> usize {
        let painted = self.painted(fiber.slot() as u32);
        let clean = painted.clean();
        // SAFETY: below what a fiber at rest has on its stack, and nobody else uses it.
        unsafe { painted.fill(clean) };
        painted.used(clean)
    }

    /// Of a slot that is in use.
    fn painted(&self, number: u32) -> Painted {
        let layout = self.layout();
        let low = self.lock().segments.slot(number).low;
        let (start, top) = (low + layout.guard(), layout.frames(low, number));
        let words = (top - BASE - start) / size_of::<u64>();
        Painted { start: std::ptr::with_exposed_provenance_mut(start), words, top }
    }
}

impl Painted {
    /// How many of the lowest words are as they were painted.
    fn clean(self) -> usize {
        // SAFETY: the stack is open, and stays, since its slot is in use.
        let word = |at: usize| unsafe { self.start.add(at).read_volatile() };
        let mut clean = 0;
        // Many at a time, with one comparison.
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
    /// The stack is open, and nobody else uses these words.
    unsafe fn fill(self, from: usize) {
        for at in from..self.words {
            // SAFETY: the caller's promise.
            unsafe { self.start.add(at).write_volatile(PAINT) };
        }
    }
}
