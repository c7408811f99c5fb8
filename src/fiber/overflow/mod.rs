//! Overflow: a handler that reports a fault in a guard page and ends the process. Every other fault goes to
//! the handler that was installed before.
//!
//! on SIGSEGV or SIGBUS, on the alternate stack: if the address lies in a guard of a live stack pool, and the
//! stack pointer lies near that slot, write one message and abort. Otherwise call the earlier handler. Every
//! signal is blocked meanwhile, because handlers that interrupt each other would use up the alternate stack.
//!
//! [O1] The handler takes no lock and allocates nothing. It reads the registry's atomics, fills its own
//! buffer, and writes the buffer in one message.
//! [O2] A fault that is not an overflow of a goroutine ends as it would have ended without this handler.
//! Known limit: foreign code that does not probe frames larger than the guard (C without
//! `-fstack-clash-protection`) can step over the guard. Rust code always probes its frames.
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
/// The highest number of a signal.
const LAST: libc::c_int = 64;

/// The data that the handler needs. It is written once, before the handler is installed.
struct Installed {
    describe: fn(&mut Report),
    /// The handlers that were installed before, in the order of `SIGNALS`.
    before: [libc::sigaction; 2],
}

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Installs the handler, once per process. The first `describe` stays. The handler calls `describe` on the
/// thread that overflowed, to write a name for it, such as `goroutine 17 "name"`. `describe` must be
/// async-signal-safe. If it writes nothing, the message says `a goroutine`.
pub fn install(describe: fn(&mut Report)) {
    INSTALLED.get_or_init(|| {
        let before = SIGNALS.map(current_action);
        Installed { describe, before }
    });
    static DONE: OnceLock<()> = OnceLock::new();
    // The handlers are installed in a second step, so that no handler runs before `INSTALLED` is set.
    DONE.get_or_init(|| SIGNALS.into_iter().for_each(take_over));
}

fn current_action(signal: libc::c_int) -> libc::sigaction {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: the call writes the current action to `action`. If the call fails, `action` is all zeroes, which is a
    // valid `sigaction`.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    }
}

fn take_over(signal: libc::c_int) {
    let mut action = current_action(signal);
    action.sa_sigaction = on_fault as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // Every signal stays blocked until the handler knows the cause of this fault. The earlier handler gets
    // the mask that it asked for: see `chain`.
    // SAFETY: the call only writes to the local set `action.sa_mask`.
    unsafe { libc::sigfillset(&mut action.sa_mask) };
    // SAFETY: `on_fault` has the signature that SA_SIGINFO demands, and is async-signal-safe. [O1]
    unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: `info` and `context` are the pointers that the kernel passed to this handler. For SIGSEGV and
    // SIGBUS, `info` has an address.
    let (address, code, stack) =
        unsafe { ((*info).si_addr().addr(), (*info).si_code, stack_pointer(context)) };
    // A code above 0 comes from a fault. A signal sent by `kill` has another code and carries no address.
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
    // SAFETY: both calls are async-signal-safe. The default action is set first, so that no handler of SIGABRT
    // runs in a process that cannot continue.
    unsafe {
        libc::signal(libc::SIGABRT, libc::SIG_DFL);
        libc::abort()
    }
}

/// Does what would have happened without our handler. [O2]
fn chain(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(installed) = INSTALLED.get() else { return };
    let before = &installed.before[usize::from(signal != SIGNALS[0])];
    // SAFETY: `context` is the third argument that the kernel passed to `on_fault`.
    unsafe { use_mask_of(before, signal, context) };
    // SAFETY: `info` is the second argument that the kernel passed to `on_fault`, so it is valid.
    let from_fault = unsafe { (*info).si_code } > 0;
    match before.sa_sigaction {
        // `kill` may send a signal that the process ignores, but a fault ends the process even if it is
        // ignored.
        libc::SIG_IGN if !from_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // Once the default action is back, a return repeats the fault. A signal sent by `kill` must be
            // sent again (it is blocked until the handler returns).
            // SAFETY: both calls are async-signal-safe and take no pointer to memory.
            unsafe {
                libc::signal(signal, libc::SIG_DFL);
                if !from_fault {
                    libc::raise(signal);
                }
            }
        }
        handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
            type Action = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            // SAFETY: `handler` was installed with SA_SIGINFO, so it is a function of this type.
            let handler = unsafe { std::mem::transmute::<usize, Action>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: `handler` was installed without SA_SIGINFO, so it is a function of this type.
            let handler =
                unsafe { std::mem::transmute::<usize, extern "C" fn(libc::c_int)>(handler) };
            handler(signal);
        }
    }
}

/// Blocks the signals that the kernel would have blocked for the handler `before`. That handler may leave by
/// a jump, and would otherwise leave every signal blocked. Our return restores the mask of the code that
/// faulted, as the kernel's return from a handler does.
///
/// # Safety
/// `context` must be the third argument of the handler of `signal`.
unsafe fn use_mask_of(before: &libc::sigaction, signal: libc::c_int, context: *mut libc::c_void) {
    // SAFETY: the caller guarantees that `context` is the third argument of a handler, so it points to a
    // `ucontext_t` of the kernel.
    let mut mask = unsafe { (*context.cast::<libc::ucontext_t>()).uc_sigmask };
    let itself = before.sa_flags & libc::SA_NODEFER == 0;
    for other in 1..=LAST {
        // SAFETY: `before.sa_mask` is a set that the C library filled in, and the call only reads it.
        let asked = unsafe { libc::sigismember(&before.sa_mask, other) } == 1;
        if asked || itself && other == signal {
            // SAFETY: `mask` is a local copy of the kernel's set.
            unsafe { libc::sigaddset(&mut mask, other) };
        }
    }
    // SAFETY: the call is async-signal-safe. The kernel reads only the part of `mask` that it has also written.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &mask, ptr::null_mut()) };
}

/// Returns the stack pointer of the code that faulted.
///
/// # Safety
/// `context` must be the third argument of a signal handler.
unsafe fn stack_pointer(context: *mut libc::c_void) -> usize {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the caller guarantees that `context` is the third argument of a handler, so it points to a
    // `ucontext_t` of the kernel.
    let machine = unsafe { &(*context).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    return machine.gregs[libc::REG_RSP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    return machine.sp as usize;
}
