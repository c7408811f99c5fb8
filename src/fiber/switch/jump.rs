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

/// The handle by which the code on a fiber suspends. It lies on the fiber's stack, and begins with the link.
#[repr(C)]
pub struct Suspender {
    link: UnsafeCell<usize>,
    /// Written together with the link, by the assembly.
    pointer: UnsafeCell<usize>,
    /// Written by the resumer. The mark is written when the block is made: see `thread_locals`.
    resumer: AtomicPtr<()>,
    mark: UnsafeCell<usize>,
    told: Told,
}

/// Whether a stack can go on at another stack without its resumer. With a sanitizer it cannot, because the
/// sanitizer is told only of the ways from a resumer to a fiber and back.
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
        // SAFETY: the memory is the caller's, and this takes a few words at its top. The mark stays as it is.
        unsafe {
            (&raw mut (*place).link).write(UnsafeCell::new(0));
            (&raw mut (*place).pointer).write(UnsafeCell::new(0));
            (&raw mut (*place).resumer).write(AtomicPtr::new(std::ptr::null_mut()));
            (&raw mut (*place).told).write(Told::of(low, top));
        }
        // SAFETY: as above, for the words below the link.
        let sp = unsafe { arch::prepare(link, entry) };
        Resumable { sp: NonZero::new(sp).expect("a stack's address"), link }
    }

    /// Returns the address of the link.
    #[inline(always)]
    pub fn link(&self) -> usize {
        self.link
    }

    /// Prefetches the frames that a resume restores. For a stack that will be resumed soon.
    #[inline(always)]
    pub fn prefetch(&self) {
        for line in 0..4 {
            prefetch((self.sp.get() + 64 * line) as *const u8);
        }
    }

    /// Goes on at this stack, until a stack suspends to the caller: this stack, or another stack to which it
    /// has [passed](Resumable::pass) on. Returns the word with which that stack suspends, and its stack
    /// pointer, which is for [`is_back`](Resumable::is_back). `pointers` are the thread pointer for the way
    /// there and the thread pointer for the way back, in the form of `thread_locals::pointer`. Both are 0 if
    /// the thread pointer does not change.
    ///
    /// When this function returns, the stack may have passed on, and another thread may have run it to its end. So
    /// `this` is read before the jump only.
    ///
    /// # Safety
    /// - `this` must be valid until the stack goes on.
    /// - The stack must still exist, and the code on it must be allowed to run on this kernel thread.
    /// - The first pointer must be 0 or that of this stack's own block. The second pointer must be 0 or the
    ///   calling kernel thread's own.
    #[inline(always)]
    pub unsafe fn resume(
        this: *const Self,
        argument: *mut (),
        pointers: [usize; 2],
    ) -> (usize, usize) {
        // SAFETY: the caller ensures that `this` is valid now.
        let (sp, link) = unsafe { ((*this).sp.get(), (*this).link) };
        // SAFETY: the caller ensures that the stack still exists.
        let kept = unsafe { told(link) }.leaves();
        // SAFETY: `sp` is where this stack suspended last, and the caller ensures that the memory exists.
        let back = unsafe { arch::resume(sp, link, argument, pointers) };
        if sanitizer::IS_ON {
            // SAFETY: where a sanitizer is, no stack passes on (`PASSES`), so this one is back and still there.
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
        // SAFETY: the address of a stack is not null.
        self.sp = unsafe { NonZero::new_unchecked(sp) };
    }

    /// Suspends this stack, on which the caller runs, and goes on at `next` in its place. The resumer of this
    /// stack becomes the resumer of `next`. Returns the argument of the next resume of this stack, which may
    /// be on another kernel thread. `pointer` is the thread pointer of the next stack, or 0 if the stacks
    /// share it.
    ///
    /// # Safety
    /// - Both pointers must be valid, and `this` must stay in place until the next stack goes on.
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
        // SAFETY: the caller fulfils the duties, so the words of both links belong to this kernel thread now.
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
    /// The stack must not be resumed any more, and its memory must still exist.
    pub unsafe fn end(&self) {
        // SAFETY: the caller's duty.
        unsafe { told(self.link) }.ends();
    }
}

/// What the sanitizer knows of the stack with this link.
///
/// # Safety
/// The stack is still there, and stays as long as the reference is used.
#[inline(always)]
unsafe fn told<'a>(link: usize) -> &'a Told {
    // SAFETY: `prepare` wrote it, and only shared references to it are made.
    unsafe { &(*std::ptr::with_exposed_provenance::<Suspender>(link)).told }
}

impl Suspender {
    /// Returns the place of the word that the resumer has left for this fiber, above a stack with
    /// thread-locals of its own. The word changes with each resume.
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
        // SAFETY: this is the link of the stack that the caller runs on, and the last resume wrote it.
        let argument = unsafe { arch::suspend(self.link.get(), why) };
        self.told.goes_on();
        argument
    }
}

/// The function that the assembly calls first on a new stack. `entry` is the function that `prepare` got.
pub(super) extern "C" fn first(argument: *mut (), suspender: &Suspender, entry: *const ()) -> ! {
    // SAFETY: `prepare` got an `Entry`.
    let entry = unsafe { std::mem::transmute::<*const (), Entry>(entry) };
    suspender.told.begins();
    crate::fiber::switch::enter(entry, suspender, argument)
}
