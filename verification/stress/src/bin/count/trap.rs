//! Single-stepping of the calling thread by the trap flag.

use super::Figures;
use std::arch::asm;
use std::sync::atomic::{AtomicU64, Ordering};

static INSTRUCTIONS: AtomicU64 = AtomicU64::new(0);
static LOCKED: AtomicU64 = AtomicU64::new(0);

/// Whether a trap comes after each instruction. To be called first.
pub fn works() -> bool {
    // SAFETY: all zeroes is a valid action; `on_trap` is a handler of the kind that the flags say. It
    // runs on the alternate stack that each worker has.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        assert_eq!(libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut()), 0);
    }
    counted(|| (0..100).for_each(|n| _ = std::hint::black_box(n))).instructions >= 100
}

/// What this thread takes for `run`.
pub fn counted(run: impl FnOnce()) -> Figures {
    let read = || Figures {
        // Relaxed: this thread's own.
        instructions: INSTRUCTIONS.load(Ordering::Relaxed),
        locked: LOCKED.load(Ordering::Relaxed),
    };
    let before = read();
    // SAFETY: each instruction from here on traps to `on_trap`, which changes nothing but the counts.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    run();
    // SAFETY: the end of it.
    unsafe { asm!("pushfq", "and qword ptr [rsp], ~0x100", "popfq") };
    let after = read();
    Figures {
        instructions: after.instructions - before.instructions,
        locked: after.locked - before.locked,
    }
}

extern "C" fn on_trap(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // Relaxed: one thread at a time is stepped.
    INSTRUCTIONS.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the kernel passes a context; its program counter is at the next instruction, which has
    // more than three bytes or others behind it.
    let next = unsafe {
        let context = &*context.cast::<libc::ucontext_t>();
        let at = context.uc_mcontext.gregs[libc::REG_RIP as usize] as *const u8;
        at.cast::<[u8; 3]>().read()
    };
    if locks(next) {
        // Relaxed: as above.
        LOCKED.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether an instruction that begins so is locked: by its prefix, or as `xchg` with memory is.
fn locks(code: [u8; 3]) -> bool {
    let (opcode, operand) = match code {
        [0xf0, ..] => return true,
        [0x40..=0x4f, opcode, operand] => (opcode, operand),
        [opcode, operand, _] => (opcode, operand),
    };
    matches!(opcode, 0x86 | 0x87) && operand < 0xc0
}
