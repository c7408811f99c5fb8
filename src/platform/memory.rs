//! Memory: asks the kernel for many pages at once, where one page after the other would be expensive.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// Returns the size of a page.
pub fn page_size() -> usize {
    // SAFETY: `sysconf` takes no pointer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("sysconf: Linux has a page size")
}

/// Asks for all pages of `place` at once, which is cheaper than one page at each first access (measured:
/// docs/goroutine.md). The call is a hint. A kernel older than Linux 5.14 does not understand it.
pub fn populate<T>(place: &mut [MaybeUninit<T>]) {
    let (range, page) = (place.as_mut_ptr_range(), page_size());
    let start = range.start.addr().next_multiple_of(page);
    let end = range.end.addr() / page * page;
    if start < end && !cfg!(miri) {
        let from = range.start.with_addr(start).cast();
        // SAFETY: the pages lie within `place`, and the call does not change their bytes.
        unsafe { libc::madvise(from, end - start, libc::MADV_POPULATE_WRITE) };
    }
}

/// The part of a thread's stack that `std`, its first frames and the C library's description of the thread use.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
const FIRST_FRAMES: usize = 32 << 10;

/// Returns how many bytes of a new thread's stack its code can't use: the first frames, and, in the GNU C
/// library, the thread-local variables of the program and its libraries.
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
pub fn taken_of_stacks() -> usize {
    unsafe extern "C" fn add(
        info: *mut libc::dl_phdr_info,
        _: usize,
        sum: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description of a module, and `sum` points to the caller's variable.
        let (info, sum) = unsafe { (&*info, &mut *sum.cast::<usize>()) };
        for index in 0..usize::from(info.dlpi_phnum) {
            // SAFETY: the loader's description says how many program headers the module has at this address.
            let header = unsafe { &*info.dlpi_phdr.add(index) };
            if header.p_type == libc::PT_TLS {
                *sum += header.p_memsz as usize + header.p_align as usize;
            }
        }
        0
    }
    let mut sum = 0_usize;
    if !cfg!(miri) {
        // SAFETY: `add` has the type that the loader calls, and `sum` is the `usize` that `add` expects.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut sum).cast()) };
    }
    sum + FIRST_FRAMES
}
