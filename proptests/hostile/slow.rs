//! Slow: lets the calling kernel thread go on one instruction at a time, and holds it up at one of them.
//!
//! A signal handler is foreign code, and may run between any two instructions of ours. The processor
//! raises a trap after each instruction while the trap flag is set; the handler counts, and at the last
//! one it sleeps. So a race that is open for a few instructions is found by a few dozen tries.

use std::time::Duration;

/// For how long the thread is held up.
pub const HOLD: Duration = Duration::from_millis(12);

/// Where it is dropped, the thread is held up after so many more instructions, if there are to be any.
pub struct Late(pub u32);

impl Drop for Late {
    fn drop(&mut self) {
        if self.0 > 0 {
            slowly(self.0);
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub use trap::slowly;

/// Where there is no trap flag to be set, the thread is held up at once.
#[cfg(not(target_arch = "x86_64"))]
pub fn slowly(_steps: u32) {
    std::thread::sleep(HOLD);
}

#[cfg(target_arch = "x86_64")]
mod trap {
    use super::HOLD;
    use std::arch::asm;
    use std::cell::Cell;
    use std::sync::Once;

    const TRAP_FLAG: i64 = 0x100;

    thread_local! {
        /// Instructions that are left. Without a destructor, so that the handler may use it at any time.
        static LEFT: Cell<u32> = const { Cell::new(0) };
    }

    /// Holds the calling thread up after so many more instructions, wherever it is then.
    #[inline(never)]
    pub fn slowly(steps: u32) {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(install);
        LEFT.set(steps.max(1));
        // SAFETY: sets the trap flag; the handler, which is installed, clears it.
        unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    }

    fn install() {
        // SAFETY: a zeroed action is a valid one; its fields are set below.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        // SAFETY: the handler does only what a handler may do.
        assert_eq!(unsafe { libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut()) }, 0);
    }

    extern "C" fn handler(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let left = LEFT.get().saturating_sub(1);
        LEFT.set(left);
        if left > 0 {
            return;
        }
        // SAFETY: the kernel passes the interrupted context, which is ours while the handler runs.
        let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
        context.uc_mcontext.gregs[libc::REG_EFL as usize] &= !TRAP_FLAG;
        let hold = libc::timespec { tv_sec: 0, tv_nsec: HOLD.as_nanos() as i64 };
        // SAFETY: the place of errno is the thread's own.
        let errno = unsafe { *libc::__errno_location() };
        // SAFETY: may be called in a handler; what is left of the time is not asked for.
        unsafe { libc::nanosleep(&hold, std::ptr::null_mut()) };
        // SAFETY: as above: what was interrupted finds its errno as it was.
        unsafe { *libc::__errno_location() = errno };
    }
}
