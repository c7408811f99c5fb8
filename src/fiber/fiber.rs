//! Fiber: a stack on a slot, and the ways onto the stack and off it (see `switch`).
//! resume: jumps from the owner's stack to the fiber's stack.
//! suspend: jumps back, and returns a number that tells the owner why.
//! pass: jumps from one fiber to another fiber of the same owner.
//! The base frame is made once per slot (`Fiber::on`). The entry function loops, so a goroutine starts and
//! ends by plain calls within it.
//! [C4] A fiber is never unwound from outside. `Fiber` has no destructor: when a fiber is dropped or trimmed,
//! the values on its stack are forgotten, not dropped.
//! Checked by: src/fiber/tests.rs.

use super::SlotLayout;
use super::switch::{Entry, Resumable};
use super::thread_locals::Blocks;
use std::fmt;

/// A suspended stack on a slot. It serves one goroutine after another.
///
/// Dropping a fiber runs no code and loses its slot for good. Give the fiber back to its pool instead.
#[must_use = "give it back to its arena, or its slot is lost"]
// `repr(C)` keeps the fields in this order without a gap, because each goroutine's cell holds a fiber.
#[repr(C)]
pub struct Fiber {
    stack: Resumable,
    slot: u32,
    arena: u32,
}

// SAFETY: code on the fiber runs only during `resume` and `go`. Their callers guarantee that the frames on the
// fiber may run on the calling kernel thread.
unsafe impl Send for Fiber {}

impl Fiber {
    /// Makes the base frame of a fiber on slot `index`, which begins at address `low`, of the pool with this
    /// number. Touches the page on which the frames begin.
    ///
    /// # Safety
    /// - The slot must be writable memory above its guard for as long as the fiber is resumed.
    /// - The caller must ensure that nothing else uses that memory.
    pub(super) unsafe fn on(
        low: usize,
        layout: SlotLayout,
        index: u32,
        arena: u32,
        entry: Entry,
        blocks: Option<&Blocks>,
    ) -> Fiber {
        let (top, pointer) = match blocks {
            None => (layout.frames(low, index), 0),
            Some(blocks) => blocks.above(layout.frames(low, index) + layout.top()),
        };
        if let Some(blocks) = blocks {
            // SAFETY: `pointer` comes from `above`. The caller guarantees that nothing else uses the slot's memory.
            // A slot without a fiber has no block.
            unsafe { blocks.make(pointer, low + layout.guard()) };
        }
        // SAFETY: the caller guarantees that the slot is writable above its guard and that nothing else uses it. By
        // the layout, the memory up to `top` is enough for the smallest stack, and `top` is a multiple of 64.
        let stack = unsafe { Resumable::prepare(low, top, entry) };
        Fiber { stack, slot: index, arena }
    }

    /// Runs the fiber until it suspends. Returns the number that the fiber passed to `suspend`. If the pool has
    /// thread-local blocks, `own` must hold these blocks, and a pointer that the fiber finds at
    /// [`Suspender::resumer`].
    ///
    /// This function is inlined. The caller should call this function in the frame of its own loop, for the reason
    /// that `switch` gives. The costs are in docs/switch.md.
    ///
    /// # Safety
    /// - `argument` must be what the fiber expects at this point, and `own` must hold the blocks of the
    ///   fiber's pool.
    /// - The fiber's slot must still be mapped. It is, because a segment with a slot in use is never unmapped.
    /// - The frames on the fiber must be allowed to run on this kernel thread. This holds if the fiber has
    ///   thread-locals of its own.
    /// - If the fiber suspends with an unfinished goroutine, the caller must not give it back to its pool
    ///   until that goroutine has ended and the fiber is at rest.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut (), own: Option<(&Blocks, *const ())>) -> usize {
        // SAFETY: the caller guarantees the conditions of `resume`, which include those of `go`. The code on this
        // fiber does not pass on to another fiber, so `at` belongs to this fiber.
        unsafe {
            let (why, at) = Fiber::go(self, argument, own);
            self.is_back(at, own.map(|(blocks, _)| blocks));
            why
        }
    }

    /// Does the same as [`resume`](Fiber::resume), for goroutines that pass on to other fibers
    /// ([`pass`](Fiber::pass)). The fiber that suspends may then be another fiber. The caller must know which fiber
    /// has suspended, and must first call [`is_back`](Fiber::is_back) on it, with the second returned number.
    ///
    /// # Safety
    /// The caller must ensure the conditions of `resume`, and must call `is_back` as described above. `this` must be
    /// valid until the fiber continues. When this function returns, the fiber may have passed on and belong to another
    /// thread, so nothing is read through `this` after the jump.
    #[inline(always)]
    pub unsafe fn go(
        this: *mut Self,
        argument: *mut (),
        own: Option<(&Blocks, *const ())>,
    ) -> (usize, usize) {
        let Some((blocks, resumer)) = own else {
            // SAFETY: the caller guarantees that `this` is valid and that the fiber may run on this kernel
            // thread. Two zeros mean that the thread pointer does not change.
            return unsafe { Resumable::resume(&raw const (*this).stack, argument, [0; 2]) };
        };
        // SAFETY: the caller guarantees that `this` is valid and that the fiber may run on this kernel thread. The
        // block above the fiber's stack is complete since `on`, and nobody else uses it while the fiber is suspended.
        unsafe {
            let to = blocks.set_out((*this).stack.link(), resumer);
            Resumable::resume(&raw const (*this).stack, argument, to)
        }
    }

    /// Records that this fiber has suspended. `at` is the second word that `go` returned.
    ///
    /// # Safety
    /// `go` must have just returned `at` for this fiber. `blocks` must be the blocks that were passed to `go`.
    #[inline(always)]
    pub unsafe fn is_back(&mut self, at: usize, blocks: Option<&Blocks>) {
        // SAFETY: the caller guarantees that `go` has just returned `at` for this fiber. The fiber has not been
        // published yet, so no other thread uses it or its block.
        unsafe {
            self.stack.is_back(at);
            if let Some(blocks) = blocks {
                blocks.come_back(self.stack.link());
            }
        }
    }

    /// Suspends `this`, on which the caller runs, and runs `next` for the same resumer. When `next` continues,
    /// `this` is suspended. Returns the argument of the next resume of `this`. This function may be called only if
    /// [`PASSES`](crate::fiber::PASSES) is true.
    ///
    /// # Safety
    /// - Both fibers must be of one pool, or of pools with the same blocks, which must be in `own`.
    /// - The caller must not move `this` until `next` continues, and must not move `next` until it has
    ///   suspended again.
    /// - The conditions of `resume` must hold for `next`.
    #[inline(always)]
    pub unsafe fn pass(
        this: *mut Fiber,
        next: *const Fiber,
        argument: *mut (),
        own: Option<(&Blocks, *const ())>,
    ) -> *mut () {
        // SAFETY: the caller runs on `this` and guarantees that `next` is suspended, valid, and allowed to run here.
        // The block above the stack of `next` is complete, and nobody else uses it while `next` is suspended.
        unsafe {
            let pointer = match own {
                Some((blocks, resumer)) => blocks.set_out((*next).stack.link(), resumer)[0],
                None => 0,
            };
            Resumable::pass(&raw mut (*this).stack, &raw const (*next).stack, argument, pointer)
        }
    }

    /// Frees what the fiber's block owns, before the memory of the slot is given back.
    ///
    /// # Safety
    /// The fiber must be at rest, and must not be resumed any more.
    pub(super) unsafe fn retire(&self, blocks: &Blocks) {
        // SAFETY: the caller guarantees that the fiber is at rest, so the destructors of its block have run, and
        // that the fiber is not resumed any more, so no code runs on the block.
        unsafe { blocks.retire(blocks.pointer(self.stack.link())) }
    }

    /// Tells the sanitizer that the fiber will not be resumed any more.
    ///
    /// # Safety
    /// The fiber must not be resumed any more, and its slot must still be mapped.
    pub(super) unsafe fn end(&self) {
        // SAFETY: the caller guarantees that the fiber is not resumed any more and that its slot is still mapped.
        unsafe { self.stack.end() };
    }

    /// Prefetches the memory that a resume touches. The caller should resume the fiber soon afterwards.
    #[inline(always)]
    pub fn prefetch(&self) {
        self.stack.prefetch();
    }

    /// Returns the number of the fiber's slot, which is less than the pool's `slots()`.
    #[inline]
    pub fn slot(&self) -> usize {
        self.slot as usize
    }

    /// Returns the number of the fiber's pool.
    pub(super) fn arena(&self) -> u32 {
        self.arena
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fiber").field("slot", &self.slot).finish_non_exhaustive()
    }
}
