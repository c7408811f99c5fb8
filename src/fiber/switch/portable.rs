//! The switch by corosensei. It calls into a fiber and returns from it: exact where the suspension is
//! inlined, and two mispredicted returns a round trip behind any frame.

use super::Entry;
use crate::fiber::sanitizer::Told;
use crate::platform::unmodelled::AtomicPtr;
use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// A suspended stack. Its coroutine is never dropped: that would unwind it.
pub struct Resumable {
    coroutine: ManuallyDrop<Coroutine<*mut (), usize, Infallible, Place>>,
    /// At the top of the stack.
    told: NonNull<Told>,
}

/// Such a stack goes back to its resumer only.
pub const PASSES: bool = false;

/// What runs on a fiber leaves it by this. It lies in the first frame.
pub struct Suspender {
    yielder: NonNull<Yielder<*mut (), usize>>,
    told: NonNull<Told>,
}

impl Resumable {
    /// Lays out the stack from `low` to `top`.
    ///
    /// # Safety
    /// - There is writable memory, above a guard; `top` is a multiple of 16.
    /// - Nothing else uses it as long as this is resumed.
    pub unsafe fn prepare(low: usize, top: usize, entry: Entry) -> Self {
        let at = |address| StackPointer::new(address).expect("a mapping is never at address 0");
        let base = top - size_of::<Told>().next_multiple_of(16);
        let told = NonNull::new(ptr::with_exposed_provenance_mut::<Told>(base)).expect("not null");
        // SAFETY: the caller's memory; the coroutine gets what is below.
        unsafe { told.write(Told::of(low, top)) };
        let first = move |yielder: &Yielder<*mut (), usize>, argument| -> Infallible {
            // SAFETY: written above, on the stack that this runs on.
            unsafe { told.as_ref() }.begins();
            let suspender = Suspender { yielder: NonNull::from(yielder), told };
            crate::fiber::switch::enter(entry, &suspender, argument)
        };
        let place = Place { low: at(low), top: at(base) };
        let coroutine = ManuallyDrop::new(Coroutine::with_stack(place, first));
        Resumable { coroutine, told }
    }

    /// There are no thread-local blocks above such stacks.
    #[inline(always)]
    pub fn link(&self) -> usize {
        0
    }

    /// It will be resumed soon; where its frames are is the coroutine's secret.
    #[inline(always)]
    pub fn prefetch(&self) {}

    /// Goes on there; answers the word with which it suspends, and nothing else of use.
    ///
    /// # Safety
    /// The stack is still there, and what is on it may run on this kernel thread.
    #[inline(always)]
    pub unsafe fn resume(
        this: *const Self,
        argument: *mut (),
        _pointers: [usize; 2],
    ) -> (usize, usize) {
        // SAFETY: the caller's duties; here no stack passes on, so this one comes back, and nobody else has it.
        let this = unsafe { &mut *this.cast_mut() };
        // SAFETY: the stack is still there, by the caller's duty, and `prepare` wrote this.
        let told = unsafe { this.told.as_ref() };
        let kept = told.leaves();
        let result = this.coroutine.resume(argument);
        told.is_back(kept);
        match result {
            CoroutineResult::Yield(why) => (why, 0),
            CoroutineResult::Return(never) => match never {},
        }
    }

    /// It has suspended; where, the coroutine knows.
    ///
    /// # Safety
    /// `resume` has just returned it, for this stack.
    #[inline(always)]
    pub unsafe fn is_back(&mut self, _sp: usize) {}

    /// Not possible.
    ///
    /// # Safety
    /// Not to be called.
    pub unsafe fn pass(_: *mut Self, _: *const Self, _: *mut (), _: usize) -> *mut () {
        unreachable!("`PASSES` is false")
    }

    /// It will be resumed no more, and its stack is still there.
    ///
    /// # Safety
    /// As said.
    pub unsafe fn end(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.told.as_ref() }.ends();
    }
}

impl Suspender {
    /// There is none: no such stack has thread-locals of its own.
    pub fn resumer(&self) -> *const AtomicPtr<()> {
        std::ptr::null()
    }

    /// Goes back to whoever resumed the fiber, which is told `why`; returns the argument of the next
    /// resume, maybe on another kernel thread.
    ///
    /// # Safety
    /// The caller runs on the stack of this very fiber.
    #[inline(always)]
    pub unsafe fn suspend(&self, why: usize) -> *mut () {
        // SAFETY: both lie on the stack that the caller runs on, and stay there.
        let (yielder, told) = unsafe { (self.yielder.as_ref(), self.told.as_ref()) };
        told.suspends();
        let argument = yielder.suspend(why);
        told.goes_on();
        argument
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
