//! Signal handlers: their alternate stack, and what they do to the mask.

use crate::changes::{block, of_status};
use crate::common::process;
use crate::wired::runtime;
use selvedge::{go, yield_now};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

static HANDLED: AtomicUsize = AtomicUsize::new(0);

/// For SIGUSR1.
fn install(handler: extern "C" fn(libc::c_int), flags: libc::c_int) {
    // SAFETY: a handler that does what handlers may.
    unsafe {
        let mut action = std::mem::zeroed::<libc::sigaction>();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, ptr::null_mut()), 0);
    }
}

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, SeqCst);
}

fn raise() {
    // SAFETY: a signal that is handled.
    assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
}

/// As wasmtime does it: a stack for handlers, kept in a thread-local, whose destructor frees it.
struct Stack(*mut libc::c_void);

const BYTES: usize = 256 * 1024;

thread_local!(static OWN: Stack = Stack::install());

impl Stack {
    fn install() -> Stack {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, which is installed, and freed by the destructor.
        unsafe {
            let low = libc::mmap(ptr::null_mut(), BYTES, rights, flags, -1, 0);
            assert_ne!(low, libc::MAP_FAILED);
            let new = libc::stack_t { ss_sp: low, ss_flags: 0, ss_size: BYTES };
            assert_eq!(libc::sigaltstack(&new, ptr::null_mut()), 0);
            Stack(low)
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        yield_now();
        assert_eq!(current().ss_sp, self.0);
        // SAFETY: made above.
        unsafe { libc::munmap(self.0, BYTES) };
    }
}

fn current() -> libc::stack_t {
    // SAFETY: asks.
    unsafe {
        let mut stack = std::mem::zeroed();
        assert_eq!(libc::sigaltstack(ptr::null(), &mut stack), 0);
        stack
    }
}

#[test]
fn an_alternate_stack_in_a_thread_local_serves_its_goroutine() {
    process("handlers::an_alternate_stack_in_a_thread_local_serves_its_goroutine", || {
        install(count, libc::SA_ONSTACK);
        runtime(2).run(|| {
            let one = || {
                OWN.with(|_| ());
                for _ in 0..20 {
                    yield_now();
                    OWN.with(|own| assert_eq!(current().ss_sp, own.0));
                    raise();
                }
            };
            let all: Vec<_> = (0..30).map(|_| go(one)).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
            // Nobody's stack is left behind.
            for _ in 0..100 {
                go(raise).join().unwrap();
            }
        });
        assert_eq!(HANDLED.load(SeqCst), 30 * 20 + 100);
    })
    .is_success();
}

/// The kernel takes back what a handler has done to the mask, and what it had blocked for the handler.
#[test]
fn a_handler_that_changes_the_mask_leaves_nothing_behind() {
    process("handlers::a_handler_that_changes_the_mask_leaves_nothing_behind", || {
        extern "C" fn blocks_another(_: libc::c_int) {
            block(libc::SIGUSR2);
            HANDLED.fetch_add(1, SeqCst);
        }
        install(blocks_another, 0);
        let runtime = runtime(1);
        let before = runtime.run(|| of_status("SigBlk:"));
        for turn in 1..=10 {
            runtime.run(raise);
            assert_eq!(HANDLED.load(SeqCst), turn);
            assert_eq!(runtime.run(|| of_status("SigBlk:")), before);
        }
    })
    .is_success();
}
