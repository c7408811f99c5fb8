//! Sanitizer: tells AddressSanitizer about fibers, in builds that use it. In all other builds the functions of
//! this file are empty, and their type has no size.
//!
//! For each kernel thread, the sanitizer keeps the bounds of the current stack, and a *fake stack*. A fake
//! stack is memory of the sanitizer that holds the variables of instrumented functions, so that the use of a
//! variable after its function returned is detected. Both belong to the stack, not to the thread. So each
//! switch is announced before the jump (the target, and that the fake stack must be kept), and completed
//! after the jump (the fake stack to restore, and the stack that the jump came from).
//!
//! | side | before the jump | after it |
//! |---|---|---|
//! | resumer | [`Told::leaves`] | [`Told::is_back`] |
//! | fiber | [`Told::suspends`] | [`Told::goes_on`], or the first time [`Told::begins`] |
//!
//! A fiber keeps its fake stack from one goroutine to the next, so the use of a variable of an ended
//! goroutine by another goroutine is detected. When a fiber is given up, its fake stack is freed by
//! [`Told::ends`].
//! Checked by: .ci/asan.

#[cfg(not(selvedge_asan))]
pub(super) use absent::*;
#[cfg(selvedge_asan)]
pub(super) use present::*;

#[cfg(not(selvedge_asan))]
#[cfg_attr(not(selvedge_isolated), expect(dead_code, reason = "for thread-local blocks"))]
mod absent {
    /// Whether this build has the sanitizer.
    pub const IS_ON: bool = false;

    pub fn unmark(_low: usize, _bytes: usize) {}

    pub fn is_kept(_memory: *const std::ffi::c_void) {}

    /// This type is empty, because without a sanitizer there is nothing to remember.
    pub struct Told;

    /// This type is empty, because without a sanitizer there is nothing to keep.
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

    /// Whether this build has the sanitizer.
    pub const IS_ON: bool = true;

    /// Removes the sanitizer's marks from this memory. The caller uses the memory for something else afterwards, or
    /// reads it although other code owns it.
    pub fn unmark(low: usize, bytes: usize) {
        // SAFETY: the call changes only the sanitizer's marks.
        unsafe { __asan_unpoison_memory_region(ptr::with_exposed_provenance(low), bytes) };
    }

    /// Tells the sanitizer that memory of `malloc` is not a leak. The pointer to this memory lies where the search
    /// for leaks does not look.
    pub fn is_kept(memory: *const c_void) {
        // SAFETY: the call changes only the sanitizer's records.
        unsafe { __lsan_ignore_object(memory) };
    }

    /// The sanitizer's data about one fiber. It lies at the top of the fiber's stack.
    pub struct Told {
        own: Bounds,
        /// The bounds of the stack that resumed the fiber last, as the sanitizer gave them.
        resumer: Bounds,
        /// The fiber's fake stack, while the fiber does not run.
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
        /// Makes the data of a new fiber, and removes the marks that an earlier fiber has left on this stack.
        pub fn of(low: usize, top: usize) -> Self {
            unmark(low, top - low);
            let own = Bounds {
                low: Cell::new(ptr::with_exposed_provenance(low)),
                size: Cell::new(top - low),
            };
            let resumer = Bounds { low: Cell::new(ptr::null()), size: Cell::new(0) };
            Told { own, resumer, fake_stack: Cell::new(ptr::null_mut()) }
        }

        /// Announces that the resumer is about to jump to the fiber. The returned value must be given to
        /// `is_back`.
        #[inline(always)]
        pub fn leaves(&self) -> Kept {
            let mut kept = Kept(ptr::null_mut());
            // SAFETY: `kept` is a local variable. The caller jumps to the fiber's stack next, and `begins` or
            // `goes_on` calls `finish` there.
            unsafe { start(&mut kept.0, &self.own) };
            kept
        }

        /// Completes a jump from the fiber to the resumer, which gives back what `leaves` returned.
        #[inline(always)]
        pub fn is_back(&self, kept: Kept) {
            // SAFETY: the fiber has called `suspends` before it jumped here, and `kept` is from this side's `leaves`.
            unsafe { __sanitizer_finish_switch_fiber(kept.0, ptr::null_mut(), ptr::null_mut()) };
        }

        /// Completes the first jump to the fiber.
        #[inline(always)]
        pub fn begins(&self) {
            self.goes_on();
        }

        /// Announces that the fiber is about to jump to its resumer.
        #[inline(always)]
        pub fn suspends(&self) {
            // SAFETY: the cell `fake_stack` is this fiber's own. The caller jumps to the resumer's stack next, and the
            // resumer calls `is_back` there.
            unsafe { start(self.fake_stack.as_ptr(), &self.resumer) };
        }

        /// Completes a jump to the fiber from its resumer, which may differ from the last resumer.
        #[inline(always)]
        pub fn goes_on(&self) {
            // SAFETY: the resumer has called `leaves` before it jumped here. `fake_stack` is the value that this
            // fiber's last `suspends` kept, or null.
            unsafe { finish(self.fake_stack.get(), &self.resumer) };
        }

        /// Frees the fake stack of a fiber that will not be resumed any more. The sanitizer frees a fake
        /// stack only when code leaves the stack for good, so this function pretends to jump to the fiber and
        /// to leave it.
        pub fn ends(&self) {
            let fake_stack = self.fake_stack.replace(ptr::null_mut());
            if fake_stack.is_null() {
                return;
            }
            let caller = Bounds { low: Cell::new(ptr::null()), size: Cell::new(0) };
            let kept = self.leaves();
            // SAFETY: `leaves` has announced the switch, and `fake_stack` is what the fiber's last `suspends` kept.
            unsafe { finish(fake_stack, &caller) };
            // SAFETY: no function on the fiber's fake stack runs, so it may be freed. `is_back` follows on this stack.
            unsafe { start(ptr::null_mut(), &caller) };
            self.is_back(kept);
        }
    }

    /// # Safety
    /// A jump to the stack `to` must follow, and then a call of `finish` there. `keep` must be null, or must point to
    /// memory for the address of this side's fake stack. If `keep` is null, the fake stack is freed.
    #[inline(always)]
    unsafe fn start(keep: *mut *mut c_void, to: &Bounds) {
        // SAFETY: the caller guarantees that `keep` is null or valid, and that the jump to `to` follows.
        unsafe { __sanitizer_start_switch_fiber(keep, to.low.get(), to.size.get()) };
    }

    /// # Safety
    /// The other side must have called `start`. `fake_stack` must be null, or the fake stack that the last `start` of
    /// this side kept.
    #[inline(always)]
    unsafe fn finish(fake_stack: *mut c_void, from: &Bounds) {
        // SAFETY: the caller guarantees that `start` was called and that `fake_stack` is right. The other two
        // pointers lead to the cells of `from`.
        unsafe {
            __sanitizer_finish_switch_fiber(fake_stack, from.low.as_ptr(), from.size.as_ptr());
        }
    }
}
