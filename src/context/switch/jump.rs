//! The switch by jumps: what is the same on each machine for which there is assembly (`arch`).
//!
//! ```text
//!   +---------------+ top, aligned to 16
//!   | unused        |
//!   | link          | while the fiber runs: the resumer's stack pointer
//!   +---------------+ top - 16
//!   | frames        |
//!   ~               ~
//!   | saved frame   | `arch`: what the fiber goes on with
//!   +---------------+ sp, while it is suspended
//! ```

use super::{Entry, arch};
use crate::platform::prefetch;
use std::cell::UnsafeCell;
use std::num::NonZero;

/// A suspended stack.
pub struct Resumable {
    /// Never null, so that a cell's `Option` of a fiber is no larger than the fiber.
    sp: NonZero<usize>,
    link: usize,
}

/// What runs on a fiber leaves it by this: the link, where it lies on the stack.
#[repr(transparent)]
pub struct Suspender(UnsafeCell<usize>);

impl Resumable {
    /// Lays out the stack that ends at `top`.
    ///
    /// # Safety
    /// - From `low` to `top` there is writable memory, above a guard; `top` is a multiple of 16.
    /// - Nothing else uses it as long as this is resumed.
    pub unsafe fn prepare(_low: usize, top: usize, entry: Entry) -> Self {
        let link = top - 16;
        // SAFETY: the caller's memory, of which this takes a few words at the top.
        let sp = unsafe { arch::prepare(link, entry) };
        Resumable { sp: NonZero::new(sp).expect("a stack's address"), link }
    }

    /// It will be resumed soon: fetches the frames that it goes on with.
    #[inline(always)]
    pub fn prefetch(&self) {
        for line in 0..4 {
            prefetch((self.sp.get() + 64 * line) as *const u8);
        }
    }

    /// Goes on there; answers the word with which it suspends.
    ///
    /// # Safety
    /// The stack is still there, and what is on it may run on this kernel thread.
    #[inline(always)]
    pub unsafe fn resume(&mut self, argument: *mut ()) -> usize {
        // SAFETY: `sp` is where this stack suspended last, and the memory is the caller's duty. What comes
        // back is where it suspends now.
        unsafe {
            let (why, sp) = arch::resume(self.sp.get(), self.link, argument);
            self.sp = NonZero::new_unchecked(sp);
            why
        }
    }
}

impl Suspender {
    /// Goes back to whoever resumed the fiber, which is told `why`; returns the argument of the next
    /// resume, maybe on another kernel thread.
    #[inline(always)]
    pub fn suspend(&self, why: usize) -> *mut () {
        // SAFETY: only what runs on this link's stack has a reference to it, and the last resume wrote it.
        unsafe { arch::suspend(self.0.get(), why) }
    }
}

/// Where the assembly goes first on a new stack, with what `prepare` was told last.
pub(super) extern "C" fn first(argument: *mut (), suspender: &Suspender, entry: *const ()) -> ! {
    // SAFETY: `prepare` was told an `Entry`.
    let entry = unsafe { std::mem::transmute::<*const (), Entry>(entry) };
    super::enter(entry, suspender, argument)
}
