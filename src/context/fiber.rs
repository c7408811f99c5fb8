//! Fiber: a coroutine on a slot, and the switch in and out of it.
//! resume: the owner's stack -> the fiber's.   suspend: back, with a word that says why.
//! The base frame is made once a slot (`Fiber::on`); entry loops, so a goroutine starts and ends by
//! plain calls within it.
//! [C4] A fiber is never unwound from outside: `Fiber` has no destructor, and what entry leaves on
//! the stack when a fiber is dropped or trimmed is forgotten, not dropped.
//! Checked by: src/context/tests.rs.

use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::convert::Infallible;
use std::fmt;
use std::mem::ManuallyDrop;

/// Slots differ in where their stack begins, so that the hot frames of many goroutines don't fall
/// into the same cache sets: page-aligned stacks would share one set a frame. A round trip of 100
/// fibers in turn takes 12 ns with 1 colour, 9 with 8, 6.5 with 16, 5.7 with 32; behind a real call
/// frame 25 to 27 with any of them (measured). What a colour takes of the top page is missing where
/// a parked goroutine's frames want to fit one page: 16 leave them 3 KiB of it, 32 only 2 KiB.
const COLOURS: usize = 16;
const COLOUR_STEP: usize = 64;

/// What every fiber of an arena runs: it gets the fiber's suspender and the argument of the first
/// resume, and serves goroutines for ever. If it unwinds, the process aborts.
///
/// *At rest*, that is between two goroutines, its frame holds nothing that must be dropped, and
/// nothing that belongs to one modelled execution: a fiber at rest can be forgotten or reused.
pub type Entry = fn(&Suspender, *mut ()) -> !;

/// A coroutine on a slot, suspended. It serves one goroutine after another.
///
/// Dropping it runs no code and gives up its slot for good: give it back to its arena instead.
#[must_use = "give it back to its arena, or its slot is lost"]
pub struct Fiber {
    coroutine: ManuallyDrop<Coroutine<*mut (), usize, Infallible, Slot>>,
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
        let slot = Slot {
            top: StackPointer::new(top).expect("a mapping is never at address 0"),
            low: StackPointer::new(low).expect("a mapping is never at address 0"),
        };
        let base = move |yielder: &Yielder<*mut (), usize>, argument| -> Infallible {
            // SAFETY: `Suspender` is a transparent wrapper of the yielder.
            let suspender = unsafe { &*std::ptr::from_ref(yielder).cast::<Suspender>() };
            let _bomb = AbortOnUnwind;
            entry(suspender, argument)
        };
        let coroutine = ManuallyDrop::new(Coroutine::with_stack(slot, base));
        Fiber { coroutine, slot: index, arena }
    }

    /// Runs the fiber until it suspends; answers the word that it gave.
    ///
    /// There and back takes 3-6 ns if the suspension is inlined into what entry calls, and 21-31 ns
    /// behind one to three real call frames, as user code has them: returns are mispredicted after
    /// a switch. 10,000 fibers in turn: 11-14 and 39-48 ns. (measured: `measure.rs`) Inlined, so
    /// that the caller decides how many frames there are.
    ///
    /// # Safety
    /// - `argument` is what the fiber expects at this point.
    /// - Its arena still exists, or was leaked, or a fiber of it is out (as this one is).
    /// - The frames on it may run on this kernel thread.
    /// - Once it has left a goroutine unfinished, it is not given back to its arena until that
    ///   goroutine has ended and the fiber is at rest.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut ()) -> usize {
        match self.coroutine.resume(argument) {
            CoroutineResult::Yield(why) => why,
            CoroutineResult::Return(never) => match never {},
        }
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

/// What runs on a fiber leaves it by this.
#[repr(transparent)]
pub struct Suspender(Yielder<*mut (), usize>);

impl Suspender {
    /// Goes back to whoever resumed the fiber, which is told `why`; returns the argument of the
    /// next resume, maybe on another kernel thread.
    #[inline(always)]
    pub fn suspend(&self, why: usize) -> *mut () {
        self.0.suspend(why)
    }
}

impl fmt::Debug for Suspender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suspender").finish_non_exhaustive()
    }
}

/// Where a fiber's stack lies.
#[derive(Clone, Copy)]
struct Slot {
    top: StackPointer,
    low: StackPointer,
}

// SAFETY: `Fiber::on` demands a guard page at `low` and writable memory up to `top`; a slot has at
// least `MIN_STACK_SIZE` bytes, of which colour and guard take less than half.
unsafe impl Stack for Slot {
    #[inline]
    fn base(&self) -> StackPointer {
        self.top
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.low
    }
}

/// Entry never returns, so this is dropped only if it unwinds.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        eprintln!("selvedge: Fiber: expected entry to catch every panic, yet it unwinds");
        std::process::abort();
    }
}
