//! The switch by jumps: what is the same on each machine for which there is assembly (`arch`).
//!
//! ```text
//!   +---------------+ top, aligned to 16
//!   | ...           | `Suspender`: with a sanitizer, what it was told
//!   | mark          | of a stack with a thread-local block
//!   | resumer       | a word that the resumer leaves, if the fiber has thread-locals of its own
//!   | pointer       | while the fiber runs: the resumer's thread pointer; 0 if it shares it
//!   | link          | while the fiber runs: the resumer's stack pointer
//!   +---------------+ top - AREA
//!   | frames        |
//!   ~               ~
//!   | saved frame   | `arch`: what the fiber goes on with
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
    /// Never null, so that a cell's `Option` of a fiber is no larger than the fiber.
    sp: NonZero<usize>,
    link: usize,
}

/// What runs on a fiber leaves it by this: the link first, where it lies on the stack.
#[repr(C)]
pub struct Suspender {
    link: UnsafeCell<usize>,
    /// Written with the link, by the assembly.
    pointer: UnsafeCell<usize>,
    /// Written by the resumer, and the mark by whoever makes the block: see `thread_locals`.
    resumer: AtomicPtr<()>,
    mark: UnsafeCell<usize>,
    told: Told,
}

/// Whether a stack can go on at another without its resumer. A sanitizer is told of the ways from a resumer and back
/// alone.
pub const PASSES: bool = arch::PASSES && !sanitizer::IS_ON;

/// What a suspender takes of a stack, at its top.
pub const AREA: usize = size_of::<Suspender>().next_multiple_of(16);

impl Resumable {
    /// Lays out the stack that ends at `top`.
    ///
    /// # Safety
    /// - From `low` to `top` there is writable memory, above a guard; `top` is a multiple of 16.
    /// - Nothing else uses it as long as this is resumed.
    pub unsafe fn prepare(low: usize, top: usize, entry: Entry) -> Self {
        let link = top - AREA;
        let place = std::ptr::with_exposed_provenance_mut::<Suspender>(link);
        // SAFETY: the caller's memory, of which this takes a few words at the top. The mark stays.
        unsafe {
            (&raw mut (*place).link).write(UnsafeCell::new(0));
            (&raw mut (*place).pointer).write(UnsafeCell::new(0));
            (&raw mut (*place).resumer).write(AtomicPtr::new(std::ptr::null_mut()));
            (&raw mut (*place).told).write(Told::of(low, top));
        }
        // SAFETY: as above; the words below that.
        let sp = unsafe { arch::prepare(link, entry) };
        Resumable { sp: NonZero::new(sp).expect("a stack's address"), link }
    }

    /// Where its link lies.
    #[inline(always)]
    pub fn link(&self) -> usize {
        self.link
    }

    /// It will be resumed soon: fetches the frames that it goes on with.
    #[inline(always)]
    pub fn prefetch(&self) {
        for line in 0..4 {
            prefetch((self.sp.get() + 64 * line) as *const u8);
        }
    }

    /// Goes on there, until a stack suspends that goes back to the caller: this one, or another to which it has
    /// [passed](Resumable::pass) on. Answers the word with which that suspends, and its stack pointer, which is for
    /// [`is_back`](Resumable::is_back). `pointers` are the thread pointer to take
    /// on the way there and the one to take on the way back, in the form of `thread_locals::pointer`; both
    /// are 0 if the thread pointer stays.
    ///
    /// When this returns, `this` may lead to something else: another thread may have run the stack to its end, if it
    /// has passed on. So it is read before the jump only.
    ///
    /// # Safety
    /// - `this` is valid until the stack goes on.
    /// - The stack is still there, and what is on it may run on this kernel thread.
    /// - The first pointer is 0 or that of this stack's own block, the second 0 or the calling kernel
    ///   thread's own.
    #[inline(always)]
    pub unsafe fn resume(
        this: *const Self,
        argument: *mut (),
        pointers: [usize; 2],
    ) -> (usize, usize) {
        // SAFETY: `this` is valid now.
        let (sp, link) = unsafe { ((*this).sp.get(), (*this).link) };
        // SAFETY: the stack is still there.
        let kept = unsafe { told(link) }.leaves();
        // SAFETY: `sp` is where this stack suspended last, and the memory is the caller's duty.
        let back = unsafe { arch::resume(sp, link, argument, pointers) };
        if sanitizer::IS_ON {
            // SAFETY: where a sanitizer is, no stack passes on (`PASSES`), so this one is back and still there.
            unsafe { told(link) }.is_back(kept);
        }
        back
    }

    /// It has suspended, with this stack pointer.
    ///
    /// # Safety
    /// `resume` has just returned it, for this stack.
    #[inline(always)]
    pub unsafe fn is_back(&mut self, sp: usize) {
        // SAFETY: a stack's address.
        self.sp = unsafe { NonZero::new_unchecked(sp) };
    }

    /// Suspends this stack, on which the caller runs, and goes on at `next` in its place: whoever resumed this
    /// one is now the resumer of that. Returns the argument of the next resume of this stack, maybe on another
    /// kernel thread. `pointer`: the thread pointer of the next stack, or 0 if they share one.
    ///
    /// # Safety
    /// - Both are valid, and `this` stays in place until the next stack goes on.
    /// - The caller runs on the stack of `this`. That of `next` is suspended, and what is on it may run on this
    ///   kernel thread.
    #[inline(always)]
    pub unsafe fn pass(
        this: *mut Self,
        next: *const Self,
        argument: *mut (),
        pointer: usize,
    ) -> *mut () {
        // SAFETY: the caller's duties; the words of both links are this kernel thread's now.
        unsafe {
            let own = &*std::ptr::with_exposed_provenance::<Suspender>((*this).link);
            let other = &*std::ptr::with_exposed_provenance::<Suspender>((*next).link);
            *other.link.get() = *own.link.get();
            *other.pointer.get() = *own.pointer.get();
            arch::pass((&raw mut (*this).sp).cast(), (*next).sp.get(), argument, pointer)
        }
    }

    /// It will be resumed no more, and its stack is still there.
    ///
    /// # Safety
    /// As said.
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
    /// Where the word is that whoever resumes the fiber has left for it, above a stack with thread-locals
    /// of its own: it changes with each resume.
    pub fn resumer(&self) -> *const AtomicPtr<()> {
        &raw const self.resumer
    }

    /// Goes back to whoever resumed the fiber, which is told `why`; returns the argument of the next
    /// resume, maybe on another kernel thread.
    ///
    /// # Safety
    /// The caller runs on the stack of this very fiber.
    #[inline(always)]
    pub unsafe fn suspend(&self, why: usize) -> *mut () {
        self.told.suspends();
        // SAFETY: this is the link of the stack that the caller runs on, and the last resume wrote it.
        let argument = unsafe { arch::suspend(self.link.get(), why) };
        self.told.goes_on();
        argument
    }
}

/// Where the assembly goes first on a new stack, with what `prepare` was told last.
pub(super) extern "C" fn first(argument: *mut (), suspender: &Suspender, entry: *const ()) -> ! {
    // SAFETY: `prepare` was told an `Entry`.
    let entry = unsafe { std::mem::transmute::<*const (), Entry>(entry) };
    suspender.told.begins();
    crate::fiber::switch::enter(entry, suspender, argument)
}
