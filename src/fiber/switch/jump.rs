//! The switch by jumps: the code that is the same on each machine that has assembly (`arch`).
//!
//! ```text
//!   +---------------+ top, aligned to 16
//!   | ...           | `Suspender`: with a sanitizer, what it was told
//!   | mark          | set if the stack has a thread-local block
//!   | resumer       | a word that the resumer writes, if the fiber has thread-locals of its own
//!   | pointer       | while the fiber runs: the resumer's thread pointer; 0 if they share it
//!   | link          | while the fiber runs: the resumer's stack pointer
//!   +---------------+ top - AREA
//!   | frames        |
//!   ~               ~
//!   | saved frame   | `arch`: what a resume restores
//!   +---------------+ sp, while it is suspended
//! ```

use super::{Entry, arch};
use crate::fiber::sanitizer;
use crate::fiber::sanitizer::Told;
use crate::platform::prefetch;
use crate::platform::unmodelled::AtomicPtr;
use std::cell::UnsafeCell;
use std::num::NonZero;

/// A suspended stack.
pub struct Resumable {
    /// The stack pointer. It is never null, so that a cell's `Option` of a fiber is no larger than the fiber.
    sp: NonZero<usize>,
    link: usize,
}

/// The handle by which the code on a fiber suspends. The handle lies on the fiber's stack, and begins with the link.
#[repr(C)]
pub struct Suspender {
    link: UnsafeCell<usize>,
    /// The resumer's thread pointer. The assembly writes this field together with the link.
    pointer: UnsafeCell<usize>,
    /// The resumer writes the first word. The mark is written when the block is made (see `thread_locals`).
    resumer: AtomicPtr<()>,
    mark: UnsafeCell<usize>,
    told: Told,
}

/// Whether code on a stack can jump to another stack without its resumer ([`Resumable::pass`]). With a sanitizer
/// it cannot, because the sanitizer is told only of the jumps from a resumer to a fiber and back.
pub const PASSES: bool = arch::PASSES && !sanitizer::IS_ON;

/// The bytes that a suspender takes at the top of a stack.
pub const AREA: usize = size_of::<Suspender>().next_multiple_of(16);

impl Resumable {
    /// Lays out the stack that ends at `top`.
    ///
    /// # Safety
    /// - The memory from `low` to `top` must be writable and lie above a guard. `top` must be a multiple of
    ///   16.
    /// - Nothing else may use that memory as long as the stack is resumed.
    pub unsafe fn prepare(low: usize, top: usize, entry: Entry) -> Self {
        let link = top - AREA;
        let place = std::ptr::with_exposed_provenance_mut::<Suspender>(link);
        // SAFETY: the caller guarantees that the memory up to `top` is writable and that nothing else uses it. The
        // suspender takes a few words at its top. The mark is not written here.
        unsafe {
            (&raw mut (*place).link).write(UnsafeCell::new(0));
            (&raw mut (*place).pointer).write(UnsafeCell::new(0));
            (&raw mut (*place).resumer).write(AtomicPtr::new(std::ptr::null_mut()));
            (&raw mut (*place).told).write(Told::of(low, top));
        }
        // SAFETY: the words below the link also lie in the memory that the caller guarantees to be writable.
        let sp = unsafe { arch::prepare(link, entry) };
        Resumable { sp: NonZero::new(sp).expect("a stack's address"), link }
    }

    /// Returns the address of the link.
    #[inline(always)]
    pub fn link(&self) -> usize {
        self.link
    }

    /// Prefetches the frames that a resume restores. The caller should resume the stack soon afterwards.
    #[inline(always)]
    pub fn prefetch(&self) {
        for line in 0..4 {
            prefetch((self.sp.get() + 64 * line) as *const u8);
        }
    }

    /// Continues the code on this stack, until a stack suspends to the caller. That is either this stack, or
    /// another stack to which this stack has [passed](Resumable::pass) on. Returns the number with which that
    /// stack suspends, and its stack pointer, which the caller must give to [`is_back`](Resumable::is_back).
    /// `pointers` are the thread pointer to take now and the thread pointer to take on the way back, in the form of
    /// `thread_locals::pointer`. Both are 0 if the thread pointer does not change.
    ///
    /// When this function returns, the stack may have passed on, and another thread may have run it to its end. So
    /// this function reads `this` only before the jump.
    ///
    /// # Safety
    /// - `this` must be valid until the code on the stack continues.
    /// - The stack must still be mapped, and the code on it must be allowed to run on this kernel thread.
    /// - The first pointer must be 0 or that of this stack's own block. The second pointer must be 0 or the
    ///   calling kernel thread's own.
    #[inline(always)]
    pub unsafe fn resume(
        this: *const Self,
        argument: *mut (),
        pointers: [usize; 2],
    ) -> (usize, usize) {
        // SAFETY: the caller guarantees that `this` is valid until the jump below.
        let (sp, link) = unsafe { ((*this).sp.get(), (*this).link) };
        // SAFETY: the caller guarantees that the stack is still mapped, and `prepare` wrote the suspender at `link`.
        let kept = unsafe { told(link) }.leaves();
        // SAFETY: `sp` is where this stack suspended last, and `link` is its link. The caller guarantees that the
        // stack is still mapped and that the pointers are as demanded.
        let back = unsafe { arch::resume(sp, link, argument, pointers) };
        if sanitizer::IS_ON {
            // SAFETY: with a sanitizer no stack passes on (`PASSES` is false), so the stack at `link` is the stack
            // that has just suspended, and it is still mapped.
            unsafe { told(link) }.is_back(kept);
        }
        back
    }

    /// Records that this stack has suspended with this stack pointer.
    ///
    /// # Safety
    /// `resume` must have just returned `sp`, for this stack.
    #[inline(always)]
    pub unsafe fn is_back(&mut self, sp: usize) {
        // SAFETY: the caller guarantees that `sp` is a stack pointer that `resume` returned, so it is not null.
        self.sp = unsafe { NonZero::new_unchecked(sp) };
    }

    /// Suspends this stack, on which the caller runs, and continues the code on `next` instead. The resumer of this
    /// stack becomes the resumer of `next`. Returns the argument of the next resume of this stack. That resume may
    /// come from another kernel thread. `pointer` is the thread pointer of the next stack, or 0 if both stacks
    /// have the same thread pointer.
    ///
    /// # Safety
    /// - Both pointers must be valid, and `this` must not be moved until the code on the next stack continues.
    /// - The caller must run on the stack of `this`.
    /// - The stack of `next` must be suspended, and the code on it must be allowed to run on this kernel
    ///   thread.
    #[inline(always)]
    pub unsafe fn pass(
        this: *mut Self,
        next: *const Self,
        argument: *mut (),
        pointer: usize,
    ) -> *mut () {
        // SAFETY: the caller guarantees that both pointers are valid, that it runs on `this`, and that `next` is
        // suspended. So only this kernel thread uses the suspenders of both stacks, which `prepare` wrote.
        unsafe {
            let own = &*std::ptr::with_exposed_provenance::<Suspender>((*this).link);
            let other = &*std::ptr::with_exposed_provenance::<Suspender>((*next).link);
            *other.link.get() = *own.link.get();
            *other.pointer.get() = *own.pointer.get();
            arch::pass((&raw mut (*this).sp).cast(), (*next).sp.get(), argument, pointer)
        }
    }

    /// Tells the sanitizer that this stack will not be resumed any more.
    ///
    /// # Safety
    /// The stack must not be resumed any more, and its memory must still be mapped.
    pub unsafe fn end(&self) {
        // SAFETY: the caller guarantees that the stack's memory is still mapped, and `prepare` wrote the suspender.
        unsafe { told(self.link) }.ends();
    }
}

/// What the sanitizer knows of the stack with this link.
///
/// # Safety
/// `link` must be the link of a stack that `prepare` laid out. The stack must stay mapped while the reference is used.
#[inline(always)]
unsafe fn told<'a>(link: usize) -> &'a Told {
    // SAFETY: the caller guarantees that the stack is mapped. `prepare` wrote the suspender at `link`, and code
    // makes only shared references to its field `told`.
    unsafe { &(*std::ptr::with_exposed_provenance::<Suspender>(link)).told }
}

impl Suspender {
    /// Returns a pointer to the word that the resumer has written for this fiber. Only a stack with thread-locals
    /// of its own has this word. The word changes with each resume.
    pub fn resumer(&self) -> *const AtomicPtr<()> {
        &raw const self.resumer
    }

    /// Suspends the fiber: goes back to its resumer, which gets `why`. Returns the argument of the next
    /// resume, which may be on another kernel thread.
    ///
    /// # Safety
    /// The caller must run on the stack of this fiber.
    #[inline(always)]
    pub unsafe fn suspend(&self, why: usize) -> *mut () {
        self.told.suspends();
        // SAFETY: `self` is the suspender of the stack that the caller runs on, so its link is that of this stack. The
        // last resume wrote the link.
        let argument = unsafe { arch::suspend(self.link.get(), why) };
        self.told.goes_on();
        argument
    }
}

/// The function that the assembly calls first on a new stack. `entry` is the function that `prepare` got.
pub(super) extern "C" fn first(argument: *mut (), suspender: &Suspender, entry: *const ()) -> ! {
    // SAFETY: `entry` is the value that `prepare` stored on the stack, which is an `Entry`.
    let entry = unsafe { std::mem::transmute::<*const (), Entry>(entry) };
    suspender.told.begins();
    crate::fiber::switch::enter(entry, suspender, argument)
}
