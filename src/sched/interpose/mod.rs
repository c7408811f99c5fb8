//! Interposed: functions of the C library that change or name the kernel thread of their caller. A program
//! that has this library linked finds ours under the same names. They do what those of the C library do;
//! a goroutine that changes its kernel thread by one of them is wired to it.
//!
//! The names are *weak* definitions: where the program has a definition of its own, or another copy of
//! this library, that one counts, and nothing is in conflict. Nothing of the C library calls them, nor
//! does what makes system calls by itself; docs/thread-locals.md says what follows.
//! - `kernel`: what the C library has as bare system calls. In programs that are linked statically they are
//!   made here.
//! - `number`: `syscall`, by which the same is called by number.
//! - `threads`: what takes a thread's handle: a goroutine's is its own, and stands for the kernel thread.
//! - `load`: `dlopen`.
//! - `real`: the functions behind ours. `raw`: system calls.
//!
//! Checked by: proptests/kernel/interposed.rs, proptests/kernel/wired.rs, proptests/kernel/handlers.rs,
//! proptests/kernel/handles.rs, proptests/kernel/late.rs.

mod kernel;
#[cfg(not(target_feature = "crt-static"))]
mod load;
mod number;
mod raw;
mod real;
#[cfg(not(target_feature = "crt-static"))]
mod threads;

use crate::fiber::own_pointer;
use crate::sched::core::wired;

/// Defines weak functions under the C library's names, which go on in ours.
macro_rules! interpose {
    ($($name:ident => $function:path;)*) => {
        std::arch::global_asm!(
            $(
                concat!(".pushsection .text.", stringify!($name), ",\"ax\",@progbits"),
                concat!(".weak ", stringify!($name)),
                concat!(".type ", stringify!($name), ",@function"),
                concat!(stringify!($name), ":"),
                ".cfi_startproc",
                "endbr64",
                concat!("jmp {", stringify!($name), "}"),
                ".cfi_endproc",
                concat!(".size ", stringify!($name), ", . - ", stringify!($name)),
                ".popsection",
            )*
            $($name = sym $function,)*
        );
    };
}

interpose! {
    unshare => kernel::unshare;
    setns => kernel::setns;
    sched_setaffinity => kernel::sched_setaffinity;
    sched_setscheduler => kernel::sched_setscheduler;
    sched_setparam => kernel::sched_setparam;
    setpriority => kernel::setpriority;
    nice => kernel::nice;
    prctl => kernel::prctl;
    arch_prctl => kernel::arch_prctl;
    capset => kernel::capset;
    setfsuid => kernel::setfsuid;
    setfsgid => kernel::setfsgid;
    personality => kernel::personality;
    iopl => kernel::iopl;
    ioperm => kernel::ioperm;
    sigaltstack => kernel::sigaltstack;
    sigprocmask => kernel::sigprocmask;
    pthread_sigmask => kernel::pthread_sigmask;
    syscall => number::syscall;
}

#[cfg(not(target_feature = "crt-static"))]
interpose! {
    ptrace => threads::ptrace;
    pkey_alloc => threads::pkey_alloc;
    pkey_set => threads::pkey_set;
    pthread_getattr_np => threads::getattr;
    pthread_getaffinity_np => threads::getaffinity;
    pthread_setaffinity_np => threads::setaffinity;
    pthread_getschedparam => threads::getschedparam;
    pthread_setschedparam => threads::setschedparam;
    pthread_setschedprio => threads::setschedprio;
    pthread_getcpuclockid => threads::getcpuclockid;
    pthread_kill => threads::kill;
    pthread_sigqueue => threads::sigqueue;
    pthread_cancel => threads::cancel;
    pthread_exit => threads::exit;
    pthread_mutexattr_setprotocol => threads::setprotocol;
    dlopen => load::dlopen;
    dlclose => load::dlclose;
}

// What the linker is asked for, so that it takes the definitions above out of the library's archive.
std::arch::global_asm!(
    ".weak selvedge_interposed",
    ".hidden selvedge_interposed",
    "selvedge_interposed:"
);

/// Called when an isolated runtime is built: a program that has none needs none of this.
pub(crate) fn link() {
    // SAFETY: loads an address.
    unsafe {
        std::arch::asm!(
            "lea {}, [rip + selvedge_interposed]",
            out(reg) _,
            options(nostack, nomem, preserves_flags)
        );
    }
}

/// Whether a goroutine calls, on thread-locals of its own.
fn is_goroutine() -> bool {
    own_pointer().is_some()
}

/// The caller has changed its kernel thread, in a way that is not taken back.
fn changed() {
    if is_goroutine() {
        wired::wire(wired::FOR_GOOD);
    }
}
