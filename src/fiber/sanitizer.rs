//! Sanitizer: what AddressSanitizer is told of fibers, in builds that have it. In all others these are empty
//! functions of a type without size.
//!
//! The sanitizer keeps, for each kernel thread, the bounds of the stack that it runs on, and a *fake stack*: memory
//! of its own, in which the variables of instrumented functions lie, so that one that is used after its
//! function returned is found there, marked. Both belong to the stack, not to the thread. So each switch is
//! announced before it (where it goes; keep this fake stack), and once more after it (take back that fake
//! stack; where it came from).
//!
//! | side | before the jump | after it |
//! |---|---|---|
//! | resumer | [`Told::leaves`] | [`Told::is_back`] |
//! | fiber | [`Told::suspends`] | [`Told::goes_on`], or the first time [`Told::begins`] |
//!
//! A fiber keeps its fake stack from one goroutine to the next, so a variable of a goroutine that has ended is
//! found when another one uses it. A fiber that is given up gives its fake stack back: [`Told::ends`].
//! Checked by: .ci/asan.

#[cfg(not(selvedge_asan))]
pub(super) use absent::*;
#[cfg(selvedge_asan)]
pub(super) use present::*;

#[cfg(not(selvedge_asan))]
#[cfg_attr(not(selvedge_isolated), expect(dead_code, reason = "for thread-local blocks"))]
mod absent {
    /// Whether this build has it.
    pub const IS_ON: bool = false;

    pub fn unmark(_low: usize, _bytes: usize) {}

    pub fn is_kept(_memory: *const std::ffi::c_void) {}

    /// There is nobody to tell.
    pub struct Told;

    /// Nothing.
    pub struct Kept;

    impl Told {
        pub fn of(_low: usize, _top: usize) -> Self {
            Told
        }

        #[inline(always)]
        pub fn leaves(&self) -> Kept {
            Kept
        }

        #[inline(always)]
        pub fn is_back(&self, _: Kept) {}

        #[inline(always)]
        pub fn begins(&self) {}

        #[inline(always)]
        pub fn suspends(&self) {}

        #[inline(always)]
        pub fn goes_on(&self) {}

        pub fn ends(&self) {}
    }
}

#[cfg(selvedge_asan)]
mod present {
    use std::cell::Cell;
    use std::ffi::c_void;
    use std::ptr;

    // <sanitizer/common_interface_defs.h>, <sanitizer/asan_interface.h>
    unsafe extern "C" {
        fn __sanitizer_start_switch_fiber(
            fake_stack_save: *mut *mut c_void,
            bottom: *const c_void,
            size: usize,
        );
        fn __sanitizer_finish_switch_fiber(
            fake_stack_save: *mut c_void,
            bottom_old: *mut *const c_void,
            size_old: *mut usize,
        );
        fn __asan_unpoison_memory_region(address: *const c_void, size: usize);
        fn __lsan_ignore_object(memory: *const c_void);
    }

    /// Whether this build has it.
    pub const IS_ON: bool = true;

    /// Somebody else's memory may be read, or this memory is used anew: what is marked there is no more.
    pub fn unmark(low: usize, bytes: usize) {
        // SAFETY: changes the sanitizer's marks alone.
        unsafe { __asan_unpoison_memory_region(ptr::with_exposed_provenance(low), bytes) };
    }

    /// What leads to this memory of `malloc` lies where leaks are not searched for.
    pub fn is_kept(memory: *const c_void) {
        // SAFETY: changes the sanitizer's records alone.
        unsafe { __lsan_ignore_object(memory) };
    }

    /// One fiber, as the sanitizer knows it. It lies at the top of the fiber's stack.
    pub struct Told {
        own: Bounds,
        /// The stack that resumed it last, as the sanitizer answered.
        resumer: Bounds,
        /// The fiber's, while it does not run.
        fake_stack: Cell<*mut c_void>,
    }

    /// The fake stack of a resumer, while its fiber runs.
    #[must_use]
    pub struct Kept(*mut c_void);

    struct Bounds {
        low: Cell<*const c_void>,
        size: Cell<usize>,
    }

    impl Told {
        /// Of a new fiber. What the last one on this stack has left is not marked any more.
        pub fn of(low: usize, top: usize) -> Self {
            unmark(low, top - low);
            let own = Bounds {
                low: Cell::new(ptr::with_exposed_provenance(low)),
                size: Cell::new(top - low),
            };
            let resumer = Bounds { low: Cell::new(ptr::null()), size: Cell::new(0) };
            Told { own, resumer, fake_stack: Cell::new(ptr::null_mut()) }
        }

        /// The resumer is about to jump to the fiber. What it answers is for `is_back`.
        #[inline(always)]
        pub fn leaves(&self) -> Kept {
            let mut kept = Kept(ptr::null_mut());
            // SAFETY: the jump to this stack follows.
            unsafe { start(&mut kept.0, &self.own) };
            kept
        }

        /// The fiber has jumped to the resumer, which gives back what `leaves` answered.
        #[inline(always)]
        pub fn is_back(&self, kept: Kept) {
            // SAFETY: the fiber has announced the jump.
            unsafe { __sanitizer_finish_switch_fiber(kept.0, ptr::null_mut(), ptr::null_mut()) };
        }

        /// The fiber runs for the first time.
        #[inline(always)]
        pub fn begins(&self) {
            self.goes_on();
        }

        /// The fiber is about to jump to its resumer.
        #[inline(always)]
        pub fn suspends(&self) {
            // SAFETY: the jump to that stack follows.
            unsafe { start(self.fake_stack.as_ptr(), &self.resumer) };
        }

        /// The resumer, which may be another one, has jumped to the fiber.
        #[inline(always)]
        pub fn goes_on(&self) {
            // SAFETY: the resumer has announced the jump. The fake stack is this fiber's, or none.
            unsafe { finish(self.fake_stack.get(), &self.resumer) };
        }

        /// The fiber is resumed no more: its fake stack goes. The sanitizer frees one only where its fiber is left
        /// for good, so this pretends to go there.
        pub fn ends(&self) {
            let fake_stack = self.fake_stack.replace(ptr::null_mut());
            if fake_stack.is_null() {
                return;
            }
            let caller = Bounds { low: Cell::new(ptr::null()), size: Cell::new(0) };
            let kept = self.leaves();
            // SAFETY: the switch was announced, and this is the fiber's fake stack.
            unsafe { finish(fake_stack, &caller) };
            // SAFETY: nothing runs on the fiber's fake stack, and the caller's stack is where this stays.
            unsafe { start(ptr::null_mut(), &caller) };
            self.is_back(kept);
        }
    }

    /// # Safety
    /// A jump to the stack `to` follows, and then `finish` there. `keep` is null, or a place for the fake stack of
    /// this side; null frees that.
    #[inline(always)]
    unsafe fn start(keep: *mut *mut c_void, to: &Bounds) {
        // SAFETY: the caller's duty.
        unsafe { __sanitizer_start_switch_fiber(keep, to.low.get(), to.size.get()) };
    }

    /// # Safety
    /// The other side has called `start`. `fake_stack` is what the last `start` of this side has kept, or null.
    #[inline(always)]
    unsafe fn finish(fake_stack: *mut c_void, from: &Bounds) {
        // SAFETY: the caller's duty; both places are there.
        unsafe {
            __sanitizer_finish_switch_fiber(fake_stack, from.low.as_ptr(), from.size.as_ptr());
        }
    }
}
