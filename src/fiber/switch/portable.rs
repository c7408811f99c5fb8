//! The switch by corosensei. This switch enters a fiber by a call and leaves it by a return. The processor
//! predicts the returns correctly if the suspension is inlined into the fiber's loop. If there is a call frame
//! in between, a round trip has two mispredicted returns.

use super::Entry;
use crate::fiber::sanitizer::Told;
use crate::platform::unmodelled::AtomicPtr;
use corosensei::stack::{Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::convert::Infallible;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// A suspended stack. Its coroutine is never dropped, because dropping it would unwind the stack.
pub struct Resumable {
    coroutine: ManuallyDrop<Coroutine<*mut (), usize, Infallible, Place>>,
    /// The sanitizer's data, at the top of the stack.
    told: NonNull<Told>,
}

/// `PASSES` is false, because a coroutine of corosensei can only suspend to its resumer.
pub const PASSES: bool = false;

/// The handle by which the code on a fiber suspends. The handle lies in the fiber's first frame.
pub struct Suspender {
    yielder: NonNull<Yielder<*mut (), usize>>,
    told: NonNull<Told>,
}

impl Resumable {
    /// Lays out the stack from `low` to `top`.
    ///
    /// # Safety
    /// - The memory must be writable and lie above a guard. `top` must be a multiple of 16.
    /// - Nothing else may use that memory as long as the stack is resumed.
    pub unsafe fn prepare(low: usize, top: usize, entry: Entry) -> Self {
        let at = |address| StackPointer::new(address).expect("a mapping is never at address 0");
        let base = top - size_of::<Told>().next_multiple_of(16);
        let told = NonNull::new(ptr::with_exposed_provenance_mut::<Told>(base)).expect("not null");
        // SAFETY: the caller guarantees that the memory up to `top` is writable and that nothing else uses it. `told`
        // points into it, and the coroutine gets only the memory below `base`.
        unsafe { told.write(Told::of(low, top)) };
        let first = move |yielder: &Yielder<*mut (), usize>, argument| -> Infallible {
            // SAFETY: `told` points to the value that was written above, at the top of the stack that runs this code.
            unsafe { told.as_ref() }.begins();
            let suspender = Suspender { yielder: NonNull::from(yielder), told };
            crate::fiber::switch::enter(entry, &suspender, argument)
        };
        let place = Place { low: at(low), top: at(base) };
        let coroutine = ManuallyDrop::new(Coroutine::with_stack(place, first));
        Resumable { coroutine, told }
    }

    /// Returns 0, because there are no thread-local blocks above such stacks.
    #[inline(always)]
    pub fn link(&self) -> usize {
        0
    }

    /// Does nothing, because only the coroutine knows where its frames are.
    #[inline(always)]
    pub fn prefetch(&self) {}

    /// Continues the code on this stack. Returns the number with which the code suspends. The second number is unused.
    ///
    /// # Safety
    /// The stack must still be mapped, and the code on it must be allowed to run on this kernel thread.
    #[inline(always)]
    pub unsafe fn resume(
        this: *const Self,
        argument: *mut (),
        _pointers: [usize; 2],
    ) -> (usize, usize) {
        // SAFETY: the caller guarantees that `this` is valid, and only this thread uses it. It stays so during the
        // call, because with this switch the stack always suspends to this caller (`PASSES` is false).
        let this = unsafe { &mut *this.cast_mut() };
        // SAFETY: `prepare` wrote the value that `told` points to, at the top of the stack. The caller guarantees
        // that the stack is still mapped.
        let told = unsafe { this.told.as_ref() };
        let kept = told.leaves();
        let result = this.coroutine.resume(argument);
        told.is_back(kept);
        match result {
            CoroutineResult::Yield(why) => (why, 0),
            CoroutineResult::Return(never) => match never {},
        }
    }

    /// Does nothing, because the coroutine knows where it has suspended.
    ///
    /// # Safety
    /// `resume` must have just returned for this stack.
    #[inline(always)]
    pub unsafe fn is_back(&mut self, _sp: usize) {}

    /// Not available, because `PASSES` is false.
    ///
    /// # Safety
    /// This function must not be called.
    pub unsafe fn pass(_: *mut Self, _: *const Self, _: *mut (), _: usize) -> *mut () {
        unreachable!("`PASSES` is false")
    }

    /// Tells the sanitizer that this stack will not be resumed any more.
    ///
    /// # Safety
    /// The stack must not be resumed any more, and its memory must still be mapped.
    pub unsafe fn end(&self) {
        // SAFETY: `told` points to the top of the stack, and the caller guarantees that its memory is still mapped.
        unsafe { self.told.as_ref() }.ends();
    }
}

impl Suspender {
    /// Returns null, because no such stack has thread-locals of its own.
    pub fn resumer(&self) -> *const AtomicPtr<()> {
        std::ptr::null()
    }

    /// Suspends the fiber: goes back to its resumer, which gets `why`. Returns the argument of the next
    /// resume, which may be on another kernel thread.
    ///
    /// # Safety
    /// The caller must run on the stack of this fiber.
    #[inline(always)]
    pub unsafe fn suspend(&self, why: usize) -> *mut () {
        // SAFETY: both pointers lead to values on the stack that the caller runs on. `prepare` and the coroutine wrote
        // the values, and they stay as long as the stack.
        let (yielder, told) = unsafe { (self.yielder.as_ref(), self.told.as_ref()) };
        told.suspends();
        let argument = yielder.suspend(why);
        told.goes_on();
        argument
    }
}

/// The bounds of a stack.
struct Place {
    low: StackPointer,
    top: StackPointer,
}

// SAFETY: `prepare` demands a guard page at `low` and writable memory up to `top`. A slot has at least
// `MIN_STACK_SIZE` bytes, and colour and guard take less than half of them.
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
