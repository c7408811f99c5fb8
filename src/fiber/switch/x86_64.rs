//! The switch on x86-64, System V.
//!
//! The saved frame has, from the stack pointer upwards: the program counter, RBP, RBX. The other registers
//! that a call preserves are declared as clobbered, so that the compiler saves those in use. RBP and RBX
//! cannot be declared so, because the compiler reserves them.

use super::Entry;
use super::chosen::first;
use std::arch::{asm, naked_asm};

/// Whether `pass` is available.
pub const PASSES: bool = true;

/// Lays out the frame from which the first `resume` enters `begin`. Returns its stack pointer.
///
/// # Safety
/// The memory below `link` must be writable, and `link` must be a multiple of 16.
pub unsafe fn prepare(link: usize, entry: Entry) -> usize {
    let frame = std::ptr::with_exposed_provenance_mut::<[usize; 2]>(link - 16);
    // SAFETY: `frame` is the 16 bytes below `link`, which the caller guarantees to be writable and aligned.
    unsafe { frame.write([begin as *const () as usize, entry as *const () as usize]) };
    link - 16
}

/// The code at which a new stack begins. RSP points to the words that `prepare` has left just below the link,
/// and RDI is the argument.
#[unsafe(naked)]
unsafe extern "C" fn begin() -> ! {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip", // there is no caller, so an unwinder ends here
        "endbr64",            // a landing pad, in case branches are checked
        "pop rdx",            // the third argument: `entry`; now RSP is the link, so aligned
        "mov rsi, rsp",       // the second argument: the link
        "xor ebp, ebp",       // no caller, for code that follows frame pointers
        "call {first}",
        "ud2", // `first` never returns
        ".cfi_endproc",
        first = sym first,
    )
}

/// Saves this stack in `*link` and jumps to the stack at `sp`. Returns the number with which that stack suspends,
/// and its stack pointer. `pointers` are the thread pointer to take now, and the thread pointer to take on the
/// way back. The second pointer is stored beside the link. [C6]
///
/// # Safety
/// `sp` must be the result of the stack's last suspension, or of `prepare`. `link` must be the link of that
/// stack. `pointers` must be as in `Resumable::resume`.
#[inline(always)]
pub unsafe fn resume(
    sp: usize,
    link: usize,
    argument: *mut (),
    pointers: [usize; 2],
) -> (usize, usize) {
    let [there, back] = pointers;
    let (why, suspended);
    // SAFETY: the caller guarantees that `sp` is a suspended stack and `link` its link. Every register that the
    // code on that stack may change is declared as clobbered, or is saved here.
    unsafe {
        asm!(
            "push rbx", // saved here, because the compiler reserves these registers
            "push rbp",
            "lea rax, [rip + 2f]", // where this side continues
            "push rax",
            "mov [rsi], rsp",      // store it in the link
            "mov [rsi + 8], r9",   // the thread pointer for the way back
            "test r8, r8",
            "jz 4f",               // the fiber shares the thread pointer
            "test r8b, 1",
            "jnz 5f",
            "wrfsbase r8",
            "4:",
            "lea rsp, [rdx + 8]",  // the fiber's stack, without its program counter
            "jmp [rdx]",           // the program counter
            "5:",                  // write the thread pointer by a system call; save the registers that it needs
            "mov r12, rdi",
            "mov r13, rsi",
            "lea rsi, [r8 - 1]",
            "mov edi, 0x1002",     // ARCH_SET_FS
            "mov eax, 158",        // arch_prctl
            "syscall",
            "mov rdi, r12",
            "mov rsi, r13",
            "jmp 4b",
            "2:",                  // `suspend` jumps here, and has popped the program counter
            "endbr64",             // a landing pad
            "pop rbp",
            "pop rbx",
            inlateout("rdi") argument => why,
            inlateout("rdx") sp => suspended,
            in("rsi") link,
            in("r8") there,
            in("r9") back,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    (why, suspended)
}

/// Saves this stack and jumps back to the resumer. Returns the argument of the next resume.
///
/// # Safety
/// `link` must be the link of the stack that the caller runs on.
#[inline(always)]
pub unsafe fn suspend(link: *mut usize, why: usize) -> *mut () {
    let argument;
    // SAFETY: the links are as the caller guarantees. Every register that the code on the other stack may change
    // is declared as clobbered, or is saved here, as in `resume`.
    unsafe {
        asm!(
            "push rbx", // as in `resume`
            "push rbp",
            "lea rax, [rip + 2f]", // where this side continues
            "push rax",
            "mov rdx, rsp",        // the resumer keeps this
            "mov r8, [rsi + 8]",   // the resumer's thread pointer, before another thread can resume this stack [C6]
            "test r8, r8",
            "jz 4f",               // this stack shares the thread pointer
            "test r8b, 1",
            "jnz 5f",
            "wrfsbase r8",
            "4:",
            "mov rsp, [rsi]",      // the resumer's stack
            "pop rax",             // where the resumer continues
            "jmp rax",
            "5:",                  // as in `resume`
            "mov r12, rdi",
            "mov r13, rsi",
            "mov r14, rdx",
            "lea rsi, [r8 - 1]",
            "mov edi, 0x1002",
            "mov eax, 158",
            "syscall",
            "mov rdi, r12",
            "mov rsi, r13",
            "mov rdx, r14",
            "jmp 4b",
            "2:",                  // `resume` jumps here, and has skipped the program counter
            "endbr64",             // a landing pad
            "pop rbp",
            "pop rbx",
            inlateout("rdi") why => argument,
            in("rsi") link,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    argument
}

/// Saves this stack, stores its stack pointer in `*kept`, and jumps to the stack at `sp`, which has the same
/// resumer. Returns the argument of the next resume. `pointer` is the thread pointer of that stack. [C6]
///
/// # Safety
/// `sp` and `pointer` must be as in `resume`. The link of the stack at `sp` must hold the same words as the link of
/// this stack.
#[inline(always)]
pub unsafe fn pass(kept: *mut usize, sp: usize, argument: *mut (), pointer: usize) -> *mut () {
    let next;
    // SAFETY: the links are as the caller guarantees. Every register that the code on the other stack may change
    // is declared as clobbered, or is saved here, as in `resume`.
    unsafe {
        asm!(
            "push rbx", // as in `resume`
            "push rbp",
            "lea rax, [rip + 2f]", // where this side continues
            "push rax",
            "mov [rsi], rsp",
            "test r8, r8",
            "jz 4f",               // both stacks share the thread pointer
            "test r8b, 1",
            "jnz 5f",
            "wrfsbase r8",
            "4:",
            "lea rsp, [rdx + 8]",  // the other stack, without its program counter
            "jmp [rdx]",           // the program counter
            "5:",                  // as in `resume`
            "mov r12, rdi",
            "lea rsi, [r8 - 1]",
            "mov edi, 0x1002",
            "mov eax, 158",
            "syscall",
            "mov rdi, r12",
            "jmp 4b",
            "2:",                  // `resume` or `pass` jumps here, and has skipped the program counter
            "endbr64",             // a landing pad
            "pop rbp",
            "pop rbx",
            inlateout("rdi") argument => next,
            in("rsi") kept,
            in("rdx") sp,
            in("r8") pointer,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    next
}
