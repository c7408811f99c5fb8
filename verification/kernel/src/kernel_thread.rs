//! Of the battery: goroutines that change their kernel thread are wired to it.

use selvedge::{Builder, go, yield_now};
use std::ptr;

fn kernel_thread() -> libc::pid_t {
    // SAFETY: takes nothing.
    unsafe { libc::gettid() }
}

/// Whether the kernel thread has SIGUSR2 blocked.
fn is_blocked() -> bool {
    // SAFETY: a set of this frame.
    unsafe {
        let mut set = std::mem::zeroed();
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &mut set), 0);
        libc::sigismember(&set, libc::SIGUSR2) == 1
    }
}

fn change_mask(how: libc::c_int) {
    // SAFETY: a set of this frame.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigaddset(&mut set, libc::SIGUSR2);
        assert_eq!(libc::pthread_sigmask(how, &set, ptr::null_mut()), 0);
    }
}

fn priority() -> libc::c_int {
    // SAFETY: takes numbers.
    unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) }
}

/// The caller's children run elsewhere, and it stays where it is.
fn is_alone() {
    let own = kernel_thread();
    for _ in 0..20 {
        assert_ne!(go(kernel_thread).join().expect("no panic"), own);
        yield_now();
        assert_eq!(kernel_thread(), own);
    }
}

/// By the C library's functions, and by number.
pub fn changes() {
    let runtime = Builder::new().processors(2).build().unwrap_or_else(|error| panic!("{error}"));
    for _ in 0..5 {
        runtime.run(|| {
            change_mask(libc::SIG_BLOCK);
            is_alone();
            assert!(is_blocked());
            change_mask(libc::SIG_UNBLOCK);
            go(|| ()).join().expect("no panic");
            change_mask(libc::SIG_BLOCK);
            is_alone();
        });
        assert!(!runtime.run(is_blocked));
        let before = priority();
        runtime.run(move || {
            let arguments = (libc::PRIO_PROCESS, 0, before + 1);
            // SAFETY: takes numbers.
            let made = unsafe {
                libc::syscall(libc::SYS_setpriority, arguments.0, arguments.1, arguments.2)
            };
            assert_eq!(made, 0);
            is_alone();
            assert_eq!(priority(), before + 1);
        });
        assert_eq!(runtime.run(priority), before);
    }
}
