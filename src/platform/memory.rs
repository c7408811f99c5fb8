//! Memory: from the kernel by the many pages at once, where one after the other would be dear.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// The size of a page.
pub fn page_size() -> usize {
    // SAFETY: takes no pointer.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).expect("sysconf: Linux has a page size")
}

/// Asks for the memory behind `place` at once, which is cheaper than page by page at the first touch
/// (measured: docs/goroutine.md). A hint, which an older kernel than Linux 5.14 does not understand.
pub fn populate<T>(place: &mut [MaybeUninit<T>]) {
    let (range, page) = (place.as_mut_ptr_range(), page_size());
    let start = range.start.addr().next_multiple_of(page);
    let end = range.end.addr() / page * page;
    if start < end && !cfg!(miri) {
        let from = range.start.with_addr(start).cast();
        // SAFETY: the pages lie within `place`, whose bytes stay as they are.
        unsafe { libc::madvise(from, end - start, libc::MADV_POPULATE_WRITE) };
    }
}
