//! The alternate stack: the stack on which a handler runs when the goroutine's stack is used up, and on which
//! every handler with `SA_ONSTACK` runs.
//! Threads that `std` starts have an alternate stack if `std`'s own handler is installed (which it is not in
//! a library of a C program). That stack has 8 KiB, or the kernel's minimum for a signal frame if wide vector
//! registers make the minimum larger. Handlers with an empty mask can interrupt each other, and each takes a
//! frame, so 8 KiB hold two frames.
//! The handlers of this runtime block every signal while they run, so they take one frame. The rest of the
//! alternate stack is for the code that they call. This code is `std`'s handler, which prints a message, or
//! another handler that leaves a signal unblocked. Each of these handlers may also cause a fault.
//! Checked by: src/fiber/overflow_tests.rs, proptests/environment/storm.rs.

use crate::platform::page_size;
use std::cell::OnceCell;
use std::ptr;

/// The number of the kernel's frames that must fit. One is the frame of a signal, and the other is the frame of
/// a fault in the handler of that signal.
const FRAMES: usize = 2;
/// The bytes that handlers need in addition to the kernel's frames. An alternate stack with less is replaced.
/// `std`'s report of an overflow takes some 4 KiB.
const ROOM: usize = 16 * 1024;
/// The bytes that our alternate stacks have in addition to the frames.
const OURS: usize = 32 * 1024;

/// Installs an alternate stack for the calling kernel thread if the thread has no alternate stack, or one that
/// is too small. The stack is removed when the thread ends. Each thread of a runtime calls this function when it
/// starts. If the kernel refuses the stack, an overflow ends the process by a plain SIGSEGV.
pub fn ensure_alternate_stack() {
    thread_local! {
        static OWN: OnceCell<Option<AlternateStack>> = const { OnceCell::new() };
    }
    // The access cannot fail here, because no worker starts while its thread-locals are torn down.
    let _ = OWN.try_with(|own| own.get_or_init(AlternateStack::if_needed).is_some());
}

/// An alternate stack that is mapped and installed, with a guard page below it.
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
        // SAFETY: this makes a new mapping at an address that the kernel chooses.
        let low = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) };
        if low == libc::MAP_FAILED {
            return None;
        }
        // If this function returns early from here on, the drop of `own` unmaps the stack.
        let own = AlternateStack { low, bytes };
        let stack = libc::stack_t {
            ss_sp: low.wrapping_byte_add(page),
            ss_flags: 0,
            ss_size: bytes - page,
        };
        // SAFETY: `low` is the mapping made above, and no code uses its lowest page. The rest stays mapped while it
        // is installed, because only `drop` unmaps it.
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
        // The earlier alternate stack is not restored, because `std` may have freed it. In that case `std` has also
        // disabled this alternate stack.
        if current().is_some_and(|stack| ours.contains(&stack.ss_sp.addr())) {
            let none =
                libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            // SAFETY: `none` is a valid `stack_t`. The thread is ending, and does not run on its alternate stack.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
        // SAFETY: `low` is the mapping that `if_needed` made. It is not installed any more, so no code uses it.
        unsafe { libc::munmap(self.low, self.bytes) };
    }
}

fn current() -> Option<libc::stack_t> {
    let mut stack =
        libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: the first pointer is null, so nothing is changed. `stack` is a local variable for the result.
    let rc = unsafe { libc::sigaltstack(ptr::null(), &mut stack) };
    (rc == 0).then_some(stack)
}

/// Returns the size of the kernel's signal frame on this machine.
fn least_frame() -> usize {
    // SAFETY: the call takes no pointer. It returns 0 if the kernel gives no size.
    let least = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
    least.max(libc::MINSIGSTKSZ)
}
