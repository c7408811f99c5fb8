//! Fiber: a stack on a slot, and the way in and out of it (`switch`).
//! resume: the owner's stack -> the fiber's.   suspend: back, with a word that says why.
//! pass: from one fiber to another of the same owner.
//! The base frame is made once a slot (`Fiber::on`); entry loops, so a goroutine starts and ends by
//! plain calls within it.
//! [C4] A fiber is never unwound from outside: `Fiber` has no destructor, and what entry leaves on
//! the stack when a fiber is dropped or trimmed is forgotten, not dropped.
//! Checked by: src/fiber/tests.rs.

use super::SlotLayout;
use super::switch::{Entry, Resumable};
use super::thread_locals::Blocks;
use std::fmt;

/// A stack on a slot, suspended. It serves one goroutine after another.
///
/// Dropping it runs no code and gives up its slot for good: give it back to its arena instead.
#[must_use = "give it back to its arena, or its slot is lost"]
// As written, so that there is no gap: a goroutine's cell holds one.
#[repr(C)]
pub struct Fiber {
    stack: Resumable,
    slot: u32,
    arena: u32,
}

// SAFETY: a suspended fiber is plain memory. That the frames on it may move to another kernel
// thread is promised by whoever resumes it (duty of `resume`).
unsafe impl Send for Fiber {}

impl Fiber {
    /// Makes the base frame of a fiber on slot `index`, which lies at `low`, of the arena with this number.
    /// Touches the page on which the frames begin.
    ///
    /// # Safety
    /// - Above its guard, the slot is writable memory, and stays so until the fiber is resumed no more.
    /// - Nothing else uses it.
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
            // SAFETY: the caller's memory above the frames, in which there is no block.
            unsafe { blocks.make(pointer, low + layout.guard()) };
        }
        // SAFETY: the caller's duties; above the guard there is room for the least stack.
        let stack = unsafe { Resumable::prepare(low, top, entry) };
        Fiber { stack, slot: index, arena }
    }

    /// Runs the fiber until it suspends; answers the word that it gave. `own`: if its arena has
    /// thread-local blocks, these, and a word that the fiber finds at [`Suspender::resumer`].
    ///
    /// Inlined, and to be called in the frame of the caller's own loop: see `switch`. What it costs:
    /// docs/switch.md.
    ///
    /// # Safety
    /// - `argument` is what the fiber expects at this point, and `own` has the blocks of its arena.
    /// - Its arena still exists, or was leaked, or a fiber of it is out (as this one is).
    /// - The frames on it may run on this kernel thread: with thread-locals of its own they may.
    /// - Once it has left a goroutine unfinished, it is not given back to its arena until that
    ///   goroutine has ended and the fiber is at rest.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut (), own: Option<(&Blocks, *const ())>) -> usize {
        // SAFETY: the caller's duties; nothing on the fiber passes on.
        unsafe {
            let (why, at) = Fiber::go(self, argument, own);
            self.is_back(at, own.map(|(blocks, _)| blocks));
            why
        }
    }

    /// As [`resume`](Fiber::resume), where goroutines pass on ([`pass`](Fiber::pass)): what suspends may be another
    /// fiber. The caller, who knows which, must call [`is_back`](Fiber::is_back) on that one, with the second of
    /// the words, before anything else.
    ///
    /// # Safety
    /// As said, and as for `resume`. `this` is valid until the fiber goes on; when this returns, the fiber may have
    /// passed on and be another thread's, so no reference to it is kept across the jump.
    #[inline(always)]
    pub unsafe fn go(
        this: *mut Self,
        argument: *mut (),
        own: Option<(&Blocks, *const ())>,
    ) -> (usize, usize) {
        let Some((blocks, resumer)) = own else {
            // SAFETY: the caller's duties; the thread pointer stays.
            return unsafe { Resumable::resume(&raw const (*this).stack, argument, [0; 2]) };
        };
        // SAFETY: the caller's duties; the block above the stack is the fiber's own.
        unsafe {
            let to = blocks.set_out((*this).stack.link(), resumer);
            Resumable::resume(&raw const (*this).stack, argument, to)
        }
    }

    /// The fiber is suspended since `go` returned, with this word.
    ///
    /// # Safety
    /// As said, and `blocks` are those of `go`.
    #[inline(always)]
    pub unsafe fn is_back(&mut self, at: usize, blocks: Option<&Blocks>) {
        // SAFETY: the caller's duties; the fiber has not been published yet.
        unsafe {
            self.stack.is_back(at);
            if let Some(blocks) = blocks {
                blocks.come_back(self.stack.link());
            }
        }
    }

    /// Suspends `this`, on which the caller runs, and runs `next` for the same resumer, which finds that one
    /// suspended when it goes on. Returns the argument of the next resume of `this`. For where
    /// [`PASSES`](crate::fiber::PASSES).
    ///
    /// # Safety
    /// - Both are of one arena, or of arenas with the same blocks, which are in `own`; `this` stays in place until
    ///   `next` goes on, and `next` is not moved until it has suspended again.
    /// - For `next`, the duties of `resume`.
    #[inline(always)]
    pub unsafe fn pass(
        this: *mut Fiber,
        next: *const Fiber,
        argument: *mut (),
        own: Option<(&Blocks, *const ())>,
    ) -> *mut () {
        // SAFETY: the caller's duties; the blocks above the stacks are the fibers' own.
        unsafe {
            let pointer = match own {
                Some((blocks, resumer)) => blocks.set_out((*next).stack.link(), resumer)[0],
                None => 0,
            };
            Resumable::pass(&raw mut (*this).stack, &raw const (*next).stack, argument, pointer)
        }
    }

    /// Its memory is about to go: frees what its block owns.
    ///
    /// # Safety
    /// The fiber is at rest, and is resumed no more.
    pub(super) unsafe fn retire(&self, blocks: &Blocks) {
        // SAFETY: the caller's duties.
        unsafe { blocks.retire(blocks.pointer(self.stack.link())) }
    }

    /// It will be resumed no more, and its slot is still there.
    ///
    /// # Safety
    /// As said.
    pub(super) unsafe fn end(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.stack.end() };
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
