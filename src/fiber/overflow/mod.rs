//! Overflow: a fault in a guard page is named and ends the process; every other fault goes on to
//! the handler that was there before.
//!
//! on SIGSEGV, SIGBUS (alternate stack): is the address in a live arena's guard, and the stack
//! pointer in that slot? then write one message and abort; else chain. Every signal is blocked
//! meanwhile: with handlers that interrupt each other an alternate stack would be used up.
//!
//! [O1] The handler takes no lock and allocates nothing: it reads the registry's atomics, fills a
//! buffer of its own, writes it once.
//! [O2] A fault that is not an overflow of ours dies as it would have without us.
//! Known limit: foreign code with frames larger than a page that does not probe them (C without
//! `-fstack-clash-protection`) can step over a guard; Rust always probes.
//! Checked by: src/fiber/overflow_tests.rs.

mod alternate;
pub(super) mod registry;
mod report;

pub use alternate::ensure_alternate_stack;
pub use report::Report;

use crate::platform::OnceLock;
use std::mem::MaybeUninit;
use std::ptr;

const SIGNALS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
/// Highest number of a signal.
const LAST: libc::c_int = 64;

/// What the handler needs; written once, before the handler is installed.
struct Installed {
    describe: fn(&mut Report),
    /// The handlers that were there before, in the order of `SIGNALS`.
    before: [libc::sigaction; 2],
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Installs the handler, once a process; the first `describe` stands. It is called in the handler,
/// on the thread that overflowed, to write who that was, such as `goroutine 17 "name"`; it must be
/// async-signal-safe. If it writes nothing, the message says `a goroutine`.
pub fn install(describe: fn(&mut Report)) {
    INSTALLED.get_or_init(|| {
        let before = SIGNALS.map(current_action);
        Installed { describe, before }
    });
    static DONE: OnceLock<()> = OnceLock::new();
    // A second step, so that no handler runs before `INSTALLED` is there.
    DONE.get_or_init(|| SIGNALS.into_iter().for_each(take_over));
}

fn current_action(signal: libc::c_int) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; all zeroes is a valid sigaction, should the kernel refuse.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

fn take_over(signal: libc::c_int) {
    let mut action = current_action(signal);
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // Every signal waits until it is known whose fault this is; the handler before gets the mask that
    // it asked for: see `chain`.
    // SAFETY: fills in a set.
    unsafe { libc::sigfillset(&mut action.sa_mask) };
    // SAFETY: `on_fault` has the signature that SA_SIGINFO asks for, and is async-signal-safe. [O1]
    unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel passes both, and SIGSEGV and SIGBUS carry an address.
    let (address, code, stack) =
        unsafe { ((*info).si_addr().addr(), (*info).si_code, stack_pointer(context)) };
    // A code above 0: from a fault, not from `kill`, which carries no address.
    if code > 0
        && let Some(stack_size) = registry::overflowed(address, stack)
    {
        report_and_abort(stack_size);
    }
    chain(signal, info, context);
}

fn report_and_abort(stack_size: usize) -> ! {
    let mut report = Report::new();
    report.text("selvedge: ");
    let before = report.len();
    if let Some(installed) = INSTALLED.get() {
        (installed.describe)(&mut report);
    }
    if report.len() == before {
        report.text("a goroutine");
    }
    report.finish(stack_size);
    report.write_to_stderr();
    // SAFETY: both are async-signal-safe. The default action first, so that nobody's handler of
    // SIGABRT runs in a process that is beyond repair.
    unsafe {
        libc::signal(libc::SIGABRT, libc::SIG_DFL);
        libc::abort()
    }
}

/// Does what would have been done without us. [O2]
fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(installed) = INSTALLED.get() else { return };
    let before = &installed.before[usize::from(signal != SIGNALS[0])];
    // SAFETY: the kernel passed `context`.
    unsafe { use_mask_of(before, signal, context) };
    // SAFETY: the kernel passed `info`.
    let from_fault = unsafe { (*info).si_code } > 0;
    match before.sa_sigaction {
        // What a process ignores, `kill` may send; a fault ends it all the same.
        libc::SIG_IGN if !from_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // Once the default is back, a return makes the fault happen again; what `kill` sent
            // must be sent again (it is blocked until we return).
            // SAFETY: both are async-signal-safe.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if !from_fault {
                    libc::raise(signal);
                }
            }
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Action = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: with SA_SIGINFO, whoever installed it gave a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Action>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO, whoever installed it gave a function of this type.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Blocks what would have been blocked had the kernel called the handler `before`: it may leave by a
/// jump, and would else leave every signal blocked. Our return restores the mask of the code that
/// faulted, as the kernel's return from a handler does.
///
/// # Safety
/// `context` is the third argument of the handler of `signal`.
unsafe fn use_mask_of(before: &libc::sigaction, signal: libc::c_int, context: *mut libc::c_void) {
    // SAFETY: see above.
    let mut mask = unsafe { (*context.cast::<libc::ucontext_t>()).uc_sigmask };
    let itself = before.sa_flags & libc::SA_NODEFER == 0;
    for other in 1..=LAST {
        // SAFETY: asks only.
        let asked = unsafe { libc::sigismember(&before.sa_mask, other) } == 1;
        if asked || itself && other == signal {
            // SAFETY: changes a set of our own.
            unsafe { libc::sigaddset(&mut mask, other) };
        }
    }
    // SAFETY: async-signal-safe; the kernel reads as much of the set as it has written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &mask, ptr::null_mut()) };
}

/// The stack pointer of the code that faulted.
///
/// # Safety
/// `context` is the third argument of a signal handler.
unsafe fn stack_pointer(context: *mut libc::c_void) -> usize {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: see above.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    return machine.gregs[libc::REG_RSP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    return machine.sp as usize;
}
