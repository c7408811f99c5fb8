//! The switch by corosensei. It calls into a fiber and returns from it: exact where the suspension is
//! inlined, and two mispredicted returns a round trip behind any frame.

use super::Entry;
use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::convert::Infallible;
use std::mem::ManuallyDrop;

/// A suspended stack. Its coroutine is never dropped: that would unwind it.
pub struct Resumable(ManuallyDrop<Coroutine<*mut (), usize, Infallible, Place>>);

/// What runs on a fiber leaves it by this.
#[repr(transparent)]
pub struct Suspender(Yielder<*mut (), usize>);

impl Resumable {
    /// Lays out the stack from `low` to `top`.
    ///
    /// # Safety
    /// - There is writable memory, above a guard; `top` is a multiple of 16.
    /// - Nothing else uses it as long as this is resumed.
    pub unsafe fn prepare(low: usize, top: usize, entry: Entry) -> Self {
        let at = |address| StackPointer::new(address).expect("a mapping is never at address 0");
        let first = move |yielder: &Yielder<*mut (), usize>, argument| -> Infallible {
            // SAFETY: `Suspender` is a transparent wrapper of the yielder.
            let suspender = unsafe { &*std::ptr::from_ref(yielder).cast::<Suspender>() };
            super::enter(entry, suspender, argument)
        };
        let place = Place { low: at(low), top: at(top) };
        Resumable(ManuallyDrop::new(Coroutine::with_stack(place, first)))
    }

    /// It will be resumed soon; where its frames are is the coroutine's secret.
    #[inline(always)]
    pub fn prefetch(&self) {}

    /// Goes on there; answers the word with which it suspends.
    ///
    /// # Safety
    /// The stack is still there, and what is on it may run on this kernel thread.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut ()) -> usize {
        match self.0.resume(argument) {
            CoroutineResult::Yield(why) => why,
            CoroutineResult::Return(never) => match never {},
        }
    }
}

impl Suspender {
    /// Goes back to whoever resumed the fiber, which is told `why`; returns the argument of the next
    /// resume, maybe on another kernel thread.
    #[inline(always)]
    pub fn suspend(&self, why: usize) -> *mut () {
        self.0.suspend(why)
    }
}

/// Where a stack lies.
struct Place {
    low: StackPointer,
    top: StackPointer,
}

// SAFETY: `prepare` demands a guard page at `low` and writable memory up to `top`; a slot has at least
// `MIN_STACK_SIZE` bytes, of which colour and guard take less than half.
unsafe impl Stack for Place {
    #[inline]
    fn base(&self) -> StackPointer {
        self.top
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        self.low
    }
}
