//! The alternate stack: where a handler runs once the goroutine's stack is used up, and where every
//! handler runs that asks for it (`SA_ONSTACK`).
//! Threads that `std` starts have one if `std`'s own handler is installed (not in a library within a
//! C program): 8 KiB, or the kernel's least for a signal frame where wide vector registers make that
//! larger. Handlers with an empty mask interrupt each other, a frame each, so 8 KiB hold two.
//! Our own handlers block every signal while they run, so they take one frame. The room beside is for
//! what they call: `std`'s handler, which prints, the handlers of others in whose mask a signal is
//! missing, and a fault in one of them.
//! Checked by: src/fiber/overflow_tests.rs, proptests/environment/storm.rs.

use crate::platform::page_size;
use std::cell::OnceCell;
use std::ptr;

/// The kernel's frames that must fit: a signal's, and that of a fault in its handler.
const FRAMES: usize = 2;
/// What handlers need beside the kernel's frames: an alternate stack with less is replaced. `std`'s
/// report of an overflow takes some 4 KiB.
const ROOM: usize = 16 * 1024;
/// What we install has this much beside the frames.
const OURS: usize = 32 * 1024;

/// Installs an alternate stack for the calling kernel thread if there is none, or one without room;
/// it is removed when the thread ends. For the start of each thread of ours. If the kernel refuses,
/// an overflow is a plain SIGSEGV.
pub fn ensure_alternate_stack() {
    thread_local! {
        static OWN: OnceCell<Option<AlternateStack>> = const { OnceCell::new() };
    }
    // While the thread-locals are torn down no worker starts.
    let _ = OWN.try_with(|own| own.get_or_init(AlternateStack::if_needed).is_some());
}

/// A mapped and installed alternate stack: a guard page below.
struct AlternateStack {
    low: *mut libc::c_void,
    bytes: usize,
}

impl AlternateStack {
    fn if_needed() -> Option<AlternateStack> {
        let current = current()?;
        let enough = FRAMES * least_frame() + ROOM;
        if current.ss_flags & libc::SS_DISABLE == 0 && current.ss_size >= enough {
            return None;
        }
        let page = page_size();
        let bytes = page + (FRAMES * least_frame() + OURS).next_multiple_of(page);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel likes.
        let low = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) };
        if low == libc::MAP_FAILED {
            return None;
        }
        // From here on it is unmapped when dropped.
        let own = AlternateStack { low, bytes };
        let stack = libc::stack_t {
            ss_sp: low.wrapping_byte_add(page),
            ss_flags: 0,
            ss_size: bytes - page,
        };
        // SAFETY: the lowest page is ours and unused; the rest stays mapped while it is installed.
        let installed = unsafe {
            libc::mprotect(low, page, libc::PROT_NONE) == 0
                && libc::sigaltstack(&stack, ptr::null_mut()) == 0
        };
        installed.then_some(own)
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let ours = self.low.addr()..self.low.addr() + self.bytes;
        // Not the one that was there before: `std` has freed it by now, and disabled ours with it.
        if current().is_some_and(|stack| ours.contains(&stack.ss_sp.addr())) {
            let none =
                libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            // SAFETY: the thread is ending, and not on its alternate stack.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
        // SAFETY: ours, and installed no more.
        unsafe { libc::munmap(self.low, self.bytes) };
    }
}

fn current() -> Option<libc::stack_t> {
    let mut stack =
        libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: asks only.
    let rc = unsafe { libc::sigaltstack(ptr::null(), &mut stack) };
    (rc == 0).then_some(stack)
}

/// The size of the kernel's signal frame on this machine.
fn least_frame() -> usize {
    // SAFETY: takes no pointer; 0 if the kernel doesn't say.
    let least = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    least.max(libc::MINSIGSTKSZ)
}
