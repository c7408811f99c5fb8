//! Heap: an allocator that makes a use after free visible without a sanitizer.
//!
//! Freed memory is not reused for a while. A large block has pages of its own, and once it is freed, each
//! access to it is a SIGSEGV. A small block is filled with a pattern, so that a pointer read from it leads
//! nowhere; when it leaves the quarantine, its pattern must be as it was. Under AddressSanitizer all this
//! is left to the sanitizer.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering::SeqCst};

/// Blocks of this size have pages of their own.
const LARGE: usize = 1024;
const PAGE: usize = 4096;
/// So many blocks of each sort are kept.
const KEPT: usize = 2048;
const KEPT_LARGE: usize = 512;
const PATTERN: u8 = 0xdd;

/// See the module.
pub struct Trapping {
    small: Lock<Ring<KEPT>>,
    large: Lock<Ring<KEPT_LARGE>>,
}

impl Trapping {
    pub const fn new() -> Self {
        Trapping { small: Lock::new(Ring::new()), large: Lock::new(Ring::new()) }
    }
}

fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE && layout.align() <= PAGE
}

fn pages(size: usize) -> usize {
    size.next_multiple_of(PAGE)
}

// SAFETY: each block is the system's, or a fresh mapping; both are given out once until they are freed.
unsafe impl GlobalAlloc for Trapping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) || sanitized() {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping, anywhere.
        let at = unsafe { libc::mmap(ptr::null_mut(), pages(layout.size()), access, flags, -1, 0) };
        if at == libc::MAP_FAILED { ptr::null_mut() } else { at.cast() }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if sanitized() {
            // SAFETY: the caller's promise.
            return unsafe { System.dealloc(block, layout) };
        }
        if is_large(layout) {
            let length = pages(layout.size());
            // SAFETY: the mapping that `alloc` made, and nobody uses it any more.
            unsafe { libc::madvise(block.cast(), length, libc::MADV_DONTNEED) };
            // SAFETY: as above.
            unsafe { libc::mprotect(block.cast(), length, libc::PROT_NONE) };
            if let Some((oldest, layout)) = self.large.with(|ring| ring.push(block, layout)) {
                // SAFETY: as above; it is in the ring no more.
                unsafe { libc::munmap(oldest.cast(), pages(layout.size())) };
            }
            return;
        }
        // SAFETY: the block is this long, and nobody uses it any more.
        unsafe { ptr::write_bytes(block, PATTERN, layout.size()) };
        if let Some((oldest, layout)) = self.small.with(|ring| ring.push(block, layout)) {
            // SAFETY: in the ring nobody else has freed it.
            let bytes = unsafe { std::slice::from_raw_parts(oldest, layout.size()) };
            if bytes.iter().any(|byte| *byte != PATTERN) {
                crate::ledger::fault("freed memory was written to");
            }
            // SAFETY: allocated by the system with this layout.
            unsafe { System.dealloc(oldest, layout) };
        }
    }
}

/// Freed blocks, in the order in which they were freed.
struct Ring<const N: usize> {
    blocks: [Option<(*mut u8, Layout)>; N],
    next: usize,
}

impl<const N: usize> Ring<N> {
    const fn new() -> Self {
        Ring { blocks: [None; N], next: 0 }
    }

    /// The oldest block leaves where there is no room.
    fn push(&mut self, block: *mut u8, layout: Layout) -> Option<(*mut u8, Layout)> {
        let oldest = self.blocks[self.next].replace((block, layout));
        self.next = (self.next + 1) % N;
        oldest
    }
}

/// A lock that allocates nothing.
struct Lock<T> {
    locked: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is touched by one thread at a time: see `with`.
unsafe impl<T> Sync for Lock<T> {}

impl<T> Lock<T> {
    const fn new(value: T) -> Self {
        Lock { locked: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        while self.locked.swap(true, SeqCst) {
            std::thread::yield_now();
        }
        // SAFETY: `locked` was false, and so the value is ours until it is false again.
        let result = f(unsafe { &mut *self.value.get() });
        self.locked.store(false, SeqCst);
        result
    }
}

/// Whether this program was built with AddressSanitizer.
fn sanitized() -> bool {
    static KNOWN: AtomicU8 = AtomicU8::new(0);
    match KNOWN.load(SeqCst) {
        0 => {
            let is = has_sanitizer();
            KNOWN.store(if is { 2 } else { 1 }, SeqCst);
            is
        }
        known => known == 2,
    }
}

#[cfg(target_arch = "x86_64")]
fn has_sanitizer() -> bool {
    let init: usize;
    // SAFETY: reads the address of a symbol, which is 0 where nobody defines it.
    unsafe {
        std::arch::asm!(
            ".weak __asan_init",
            "mov {}, qword ptr [rip + __asan_init@GOTPCREL]",
            out(reg) init
        );
    }
    init != 0
}

/// Not known: nothing is trapped.
#[cfg(not(target_arch = "x86_64"))]
fn has_sanitizer() -> bool {
    true
}
