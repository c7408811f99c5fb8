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
use crate::context::sanitizer::Told;
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

    /// Goes on there; answers the word with which it suspends. `pointers` are the thread pointer to take
    /// on the way there and the one to take on the way back, in the form of `thread_locals::pointer`; both
    /// are 0 if the thread pointer stays.
    ///
    /// # Safety
    /// - The stack is still there, and what is on it may run on this kernel thread.
    /// - The first pointer is 0 or that of this stack's own block, the second 0 or the calling kernel
    ///   thread's own.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut (), pointers: [usize; 2]) -> usize {
        // SAFETY: `sp` is where this stack suspended last, and the memory is the caller's duty. What comes
        // back is where it suspends now.
        unsafe {
            let kept = self.told().leaves();
            let (why, sp) = arch::resume(self.sp.get(), self.link, argument, pointers);
            self.told().is_back(kept);
            self.sp = NonZero::new_unchecked(sp);
            why
        }
    }

    /// It will be resumed no more, and its stack is still there.
    ///
    /// # Safety
    /// As said.
    pub unsafe fn end(&self) {
        // SAFETY: the caller's duty.
        unsafe { self.told() }.ends();
    }

    /// # Safety
    /// The stack is still there.
    #[inline(always)]
    unsafe fn told(&self) -> &Told {
        // SAFETY: `prepare` wrote it, and only shared references to it are made.
        unsafe { &(*std::ptr::with_exposed_provenance::<Suspender>(self.link)).told }
    }
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
    super::enter(entry, suspender, argument)
}
