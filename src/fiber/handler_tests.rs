//! Tests of the overflow handler beside other handlers: its mask, their masks, and the stack that all of them
//! use.

use super::overflow;
use super::overflow_tests::{alternate_stack, death_of, describe, write_to};
use crate::platform::MODELLED;

/// The earlier handler may leave by a jump. In that case the thread must not keep our mask, which blocks all signals.
#[test]
fn handler_before_us_runs_with_the_mask_that_it_asked_for() {
    extern "C" fn masked(_: libc::c_int, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
        let blocked = |signal| {
            // SAFETY: `mask` is a local set, for which all zeroes is a valid value. The call writes the mask to it.
            unsafe {
                let mut mask = std::mem::zeroed();
                libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut mask);
                libc::sigismember(&mask, signal) == 1
            }
        };
        let expected = [libc::SIGSEGV, libc::SIGUSR1, libc::SIGUSR2].map(blocked) == [true; 3];
        let others = [libc::SIGBUS, libc::SIGTERM, libc::SIGRTMIN()].map(blocked) == [false; 3];
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(if expected && others { 46 } else { 1 }) }
    }
    let death =
        death_of("handler_tests", "handler_before_us_runs_with_the_mask_that_it_asked_for", || {
            // SAFETY: `masked` has the type that SA_SIGINFO demands, and all pointers lead to local variables.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = masked as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO;
                libc::sigaddset(&mut action.sa_mask, libc::SIGUSR1);
                assert_eq!(libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()), 0);
                let mut own = std::mem::zeroed();
                libc::sigaddset(&mut own, libc::SIGUSR2);
                libc::pthread_sigmask(libc::SIG_BLOCK, &own, std::ptr::null_mut());
            }
            overflow::install(describe);
            write_to(64);
        });
    assert_eq!(death.code, Some(46), "{}", death.stderr);
}

#[test]
fn our_handler_blocks_every_signal() {
    let death = death_of("handler_tests", "our_handler_blocks_every_signal", || {
        overflow::install(describe);
        for signal in [libc::SIGSEGV, libc::SIGBUS] {
            // SAFETY: `action` is a local value, which may be all zeroes. The call writes the current action to it.
            let action: libc::sigaction = unsafe {
                let mut action = std::mem::zeroed();
                assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut action), 0);
                action
            };
            // SAFETY: `action.sa_mask` is a set that the C library filled in, and the call only reads it.
            let blocks = |other: &i32| unsafe { libc::sigismember(&action.sa_mask, *other) == 1 };
            assert!(
                [libc::SIGUSR1, libc::SIGTERM, libc::SIGSEGV, libc::SIGRTMAX()].iter().all(blocks)
            );
        }
        std::process::exit(47);
    });
    assert_eq!(death.code, Some(47), "{}", death.stderr);
}

/// `std`'s own alternate stack, of 8 KiB, holds two of the kernel's frames.
#[test]
fn an_alternate_stack_with_little_room_is_replaced() {
    if MODELLED {
        return;
    }
    let thread = crate::platform::thread::spawn("narrow".into(), || {
        let before = alternate_stack();
        overflow::ensure_alternate_stack();
        let after = alternate_stack();
        // SAFETY: the call takes no pointer.
        let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        assert_eq!(after.ss_flags & libc::SS_DISABLE, 0);
        assert!(after.ss_size >= 2 * frame + 16 * 1024, "{} bytes", after.ss_size);
        let had_room = before.ss_size >= 2 * frame + 16 * 1024;
        assert_eq!(after.ss_sp == before.ss_sp, had_room);
    });
    assert!(thread.unwrap().join());
}
