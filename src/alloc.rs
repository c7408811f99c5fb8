//! Allocators that keep something for each thread.
//!
//! In an isolated runtime each goroutine has thread-local variables of its own, so an allocator that keeps
//! a cache in a thread-local would make one for each goroutine: with mimalloc some 75 KiB for each
//! goroutine that allocates. [`PerKernelThread`] lets the allocator see the kernel thread instead.
//!
//! The C library's `malloc`, which is `std`'s default here, needs no wrapper: the switch carries the words
//! of its cache along.

use crate::fiber::as_kernel_thread;
use std::alloc::{GlobalAlloc, Layout};

/// An allocator whose thread-local variables are those of the kernel thread, also when a goroutine with
/// thread-locals of its own calls it.
///
/// On a goroutine each call writes the thread pointer twice, some 25 ns on the machines that this was
/// measured on; on a kernel thread it costs a look at one word.
///
/// ```
/// use selvedge::alloc::PerKernelThread;
/// use std::alloc::System;
///
/// // As well with another allocator, such as mimalloc's: `PerKernelThread::new(mimalloc::MiMalloc)`.
/// #[global_allocator]
/// static ALLOCATOR: PerKernelThread<System> = PerKernelThread::new(System);
///
/// # let runtime = selvedge::Runtime::new()?;
/// assert_eq!(runtime.run(|| vec![1, 2, 3].len()), 3);
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct PerKernelThread<A>(A);

impl<A> PerKernelThread<A> {
    /// Wraps an allocator.
    pub const fn new(allocator: A) -> Self {
        PerKernelThread(allocator)
    }
}

// SAFETY: each call is the wrapped allocator's, by the same kernel thread. It has no way to switch
// goroutines: `GlobalAlloc` may not unwind, and an allocator that suspends would call itself.
unsafe impl<A: GlobalAlloc> GlobalAlloc for PerKernelThread<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's duties are the wrapped one's.
        as_kernel_thread(|| unsafe { self.0.alloc(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        as_kernel_thread(|| unsafe { self.0.dealloc(pointer, layout) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        as_kernel_thread(|| unsafe { self.0.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        as_kernel_thread(|| unsafe { self.0.realloc(pointer, layout, size) })
    }
}
