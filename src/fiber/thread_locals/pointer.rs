//! The thread pointer of x86-64: the base of the segment FS.
//!
//! A program may write the pointer by an instruction (`wrfsbase`) if the kernel allows that, and otherwise by
//! a system call (`arch_prctl`). The auxiliary vector tells whether the kernel allows the instruction. The
//! processor's own feature bit is not enough, because the instruction faults if the kernel has not enabled
//! it.

use crate::platform::unmodelled::{AtomicU8, Ordering};

/// The bit of `AT_HWCAP2` that is set if FS may be written by an instruction.
const HWCAP2_FSGSBASE: libc::c_ulong = 1 << 1;

/// This bit is set in a thread pointer that must be written by a system call. Thread pointers do not use the
/// bit, because they are multiples of 64.
pub(in crate::fiber) const BY_SYSTEM_CALL: usize = 1;

/// Returns the thread pointer with which the calling code runs.
#[inline(always)]
pub fn read() -> usize {
    let pointer: usize;
    // SAFETY: by the ABI, the word at the thread pointer is the thread pointer itself.
    unsafe {
        std::arch::asm!(
            "mov {}, fs:0", out(reg) pointer, options(nostack, readonly, preserves_flags)
        );
    }
    pointer
}

const UNKNOWN: u8 = 2;
static KNOWN: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Makes this process behave as on a kernel that does not allow the instruction. Only tests call this function,
/// before the first runtime.
pub fn write_by_system_call() {
    // Relaxed: see `how_to_write`.
    KNOWN.store(BY_SYSTEM_CALL as u8, Ordering::Relaxed);
}

/// Returns `BY_SYSTEM_CALL` if the kernel does not allow the instruction, and 0 otherwise. The kernel is
/// asked once per process.
pub fn how_to_write() -> usize {
    // Relaxed: every thread finds the same value.
    match KNOWN.load(Ordering::Relaxed) {
        UNKNOWN => {
            // SAFETY: the call takes no pointer. It returns 0 if the kernel gives no value.
            let allowed = unsafe { libc::getauxval(libc::AT_HWCAP2) } & HWCAP2_FSGSBASE != 0;
            let how = if allowed { 0 } else { BY_SYSTEM_CALL };
            KNOWN.store(how as u8, Ordering::Relaxed);
            how
        }
        known => usize::from(known),
    }
}

/// Calls `f` with these arguments while the calling kernel thread has the thread pointer `pointer`, and then
/// restores the current thread pointer.
///
/// # Safety
/// - `pointer` must be that of a complete block, or the kernel thread's own. No other kernel thread may use
///   it meanwhile.
/// - `f` must return: it must neither unwind nor switch stacks.
#[inline]
pub unsafe fn with(
    pointer: usize,
    f: unsafe extern "C" fn(usize, usize, usize),
    arguments: [usize; 3],
) {
    let [first, second, third] = arguments;
    // SAFETY: the caller guarantees that `pointer` may be taken and that `f` returns. `how_to_write` adds the bit
    // that `call_with` needs.
    unsafe { call_with(first, second, third, f, pointer | how_to_write()) }
}

/// # Safety
/// The conditions are those of [`with`]. If the instruction is not allowed, the bit `BY_SYSTEM_CALL` of `tagged`
/// must be set.
#[unsafe(naked)]
unsafe extern "C" fn call_with(
    first: usize,
    second: usize,
    third: usize,
    f: unsafe extern "C" fn(usize, usize, usize),
    tagged: usize,
) {
    std::arch::naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset rbx, 0",
        "push r12",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r12, 0",
        "push r13",
        ".cfi_adjust_cfa_offset 8",
        ".cfi_rel_offset r13, 0",
        "mov rbx, fs:0", // the pointer to come back to
        "test r8b, 1",
        "jnz 3f",
        "wrfsbase r8",
        "call rcx",
        "wrfsbase rbx",
        "2:",
        ".cfi_remember_state",
        "pop r13",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r13",
        "pop r12",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore r12",
        "pop rbx",
        ".cfi_adjust_cfa_offset -8",
        ".cfi_restore rbx",
        "ret",
        "3:", // by a system call, which changes RAX, RCX and R11
        ".cfi_restore_state",
        "mov r12, rcx",
        "mov r13, rdi",
        "mov r9, rsi",
        "lea rsi, [r8 - 1]",
        "mov edi, 0x1002", // ARCH_SET_FS
        "mov eax, 158",    // arch_prctl
        "syscall",
        "mov rdi, r13",
        "mov rsi, r9",
        "call r12",
        "mov rsi, rbx",
        "mov edi, 0x1002",
        "mov eax, 158",
        "syscall",
        "jmp 2b",
        ".cfi_endproc",
    )
}
