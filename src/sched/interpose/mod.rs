//! Interposition replaces functions of the C library that change or name the kernel thread of their caller. A
//! program that links this library calls our functions under the same names. They do what the C library's functions
//! do. In addition, a goroutine that changes its kernel thread by such a function is wired to that thread.
//!
//! The names are *weak* definitions. If the program has a definition of its own, or another copy of this library,
//! that definition counts, and there is no conflict. The C library itself never calls our functions, nor does code
//! that makes system calls by itself. The chapter docs/thread-locals.md describes the consequences.
//! - `kernel`: functions that are bare system calls in the C library. In statically linked programs, the system
//!   calls are made here.
//! - `number`: `syscall`, which makes the same system calls by number.
//! - `threads`: functions that take a thread's handle. A goroutine's handle is its own, and stands here for its
//!   kernel thread.
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

/// Defines weak functions under the C library's names, which jump to our functions.
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

// A symbol that the program asks the linker for, so that the linker takes the definitions above out of the
// library's archive.
std::arch::global_asm!(
    ".weak selvedge_interposed",
    ".hidden selvedge_interposed",
    "selvedge_interposed:"
);

/// Makes the linker include the definitions. Called when an isolated runtime is built, so that a program without
/// such a runtime does not get them.
pub(crate) fn link() {
    // SAFETY: this instruction only loads an address.
    unsafe {
        std::arch::asm!(
            "lea {}, [rip + selvedge_interposed]",
            out(reg) _,
            options(nostack, nomem, preserves_flags)
        );
    }
}

/// Returns true if the caller is a goroutine that has thread-locals of its own.
fn is_goroutine() -> bool {
    own_pointer().is_some()
}

/// Records that the caller has changed its kernel thread in a way that cannot be undone.
fn changed() {
    if is_goroutine() {
        wired::wire(wired::FOR_GOOD);
    }
}
