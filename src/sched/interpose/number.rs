//! `syscall`: makes a system call by its number. Most numbers continue at once in the real function. The
//! numbers that may change the calling thread go to `watched`.

use super::raw::{Answer, is_self};
use super::real::{Real, SYSCALL, call_by_number};
use super::{changed, kernel};
use libc::{c_int, c_long, pid_t};
use std::arch::naked_asm;

const SYS_LANDLOCK_RESTRICT_SELF: c_long = 446;
const SYS_MAP_SHADOW_STACK: c_long = 453;
/// The number of bits in `WATCHED`. Larger numbers of system calls are not watched.
const NUMBERS: usize = 512;

/// The system calls that change the calling thread, if they succeed, whatever their arguments are. The `set*id`
/// calls are among these, because they change only one thread if they are made by number.
const ALWAYS: &[c_long] = &[
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_capset,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_set_mempolicy,
    libc::SYS_seccomp,
    SYS_LANDLOCK_RESTRICT_SELF,
    SYS_MAP_SHADOW_STACK,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_pkey_alloc,
];

/// The system calls that change the calling thread for some arguments.
const SOMETIMES: &[c_long] = &[
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setattr,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_prctl,
    libc::SYS_arch_prctl,
    libc::SYS_personality,
    libc::SYS_keyctl,
    libc::SYS_ptrace,
    libc::SYS_perf_event_open,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigprocmask,
];

/// One bit for each number. The bit of a number is set if the number is watched.
static WATCHED: [u64; NUMBERS / 64] = {
    let mut bits = [0; NUMBERS / 64];
    let lists = [ALWAYS, SOMETIMES];
    let mut list = 0;
    while list < lists.len() {
        let mut at = 0;
        while at < lists[list].len() {
            let number = lists[list][at] as usize;
            bits[number / 64] |= 1 << (number % 64);
            at += 1;
        }
        list += 1;
    }
    bits
};

/// For a number that is not watched, this function leaves the argument registers and the stack unchanged, because
/// the child of a `vfork` or a `clone` returns through it, too. No function is looked up here, because the caller
/// may be a part of what a look-up needs.
///
/// # Safety
/// The caller must keep the system call's contract.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn syscall() {
    naked_asm!(
        ".cfi_startproc",
        "cmp rdi, {numbers}",
        "jae 2f",
        "mov r10, rdi",
        "shr r10, 6",
        "lea r11, [rip + {watched_bits}]",
        "mov r11, [r11 + 8*r10]",
        "bt r11, rdi", // the lowest six bits select the bit
        "jc {watched}",
        "2:",
        "mov r11, [rip + {real} + {found}]",
        "test r11, r11",
        "jz 4f",
        "jmp r11",
        // Makes the system call as the C library does.
        "4:",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rsi, rdx",
        "mov rdx, rcx",
        "mov r10, r8",
        "mov r8, r9",
        "mov r9, [rsp + 8]",
        "syscall",
        "cmp rax, -4095",
        "jae 3f",
        "ret",
        "3:",
        "neg eax",
        "push rax",
        ".cfi_adjust_cfa_offset 8",
        "call {errno}",
        "pop rcx",
        ".cfi_adjust_cfa_offset -8",
        "mov [rax], ecx",
        "mov rax, -1",
        "ret",
        ".cfi_endproc",
        numbers = const NUMBERS,
        watched_bits = sym WATCHED,
        real = sym SYSCALL,
        found = const std::mem::offset_of!(Real, found),
        watched = sym watched,
        errno = sym errno,
    )
}

unsafe extern "C" fn errno() -> *mut c_int {
    // SAFETY: this call takes no argument.
    unsafe { libc::__errno_location() }
}

/// Called for a number that has its bit set in `WATCHED`.
unsafe extern "C" fn watched(
    number: c_long,
    first: usize,
    second: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
    sixth: usize,
) -> isize {
    let place = std::ptr::with_exposed_provenance::<libc::stack_t>;
    match number {
        libc::SYS_sigaltstack => {
            let old = std::ptr::with_exposed_provenance_mut(second);
            // SAFETY: the caller keeps the call's contract.
            return unsafe { kernel::sigaltstack(place(first), old) } as isize;
        }
        // The kernel refuses sets of other lengths.
        libc::SYS_rt_sigprocmask if fourth == 8 => {
            let set = std::ptr::with_exposed_provenance(second);
            let old = std::ptr::with_exposed_provenance_mut(third);
            // SAFETY: the caller keeps the call's contract.
            return unsafe { kernel::change_mask(first as c_int, set, old, set_mask) }.returned();
        }
        libc::SYS_prctl => {
            // SAFETY: the caller keeps the call's contract.
            return unsafe { kernel::prctl(first as c_int, second, third, fourth, fifth) } as isize;
        }
        _ => {}
    }
    // SAFETY: the caller keeps the call's contract.
    let answer = unsafe { call_by_number(number, [first, second, third, fourth, fifth, sixth]) };
    if answer.is_ok() && changes(number, first, second) {
        changed();
    }
    answer.returned()
}

/// # Safety
/// The caller must keep the system call's contract.
unsafe fn set_mask(arguments: [usize; 6]) -> Answer {
    // SAFETY: the caller keeps the call's contract.
    unsafe { call_by_number(libc::SYS_rt_sigprocmask, arguments) }
}

const IOPRIO_WHO_PROCESS: usize = 1;
const KEYCTL_OF_CREDENTIALS: [usize; 2] = [1, 14];
const PTRACE_MAKES_A_TRACER: [usize; 3] = [0, 16, 0x4206];

fn changes(number: c_long, first: usize, second: usize) -> bool {
    match number {
        libc::SYS_sched_setaffinity
        | libc::SYS_sched_setscheduler
        | libc::SYS_sched_setparam
        | libc::SYS_sched_setattr => is_self(first as pid_t),
        libc::SYS_setpriority => first == libc::PRIO_PROCESS as usize && is_self(second as pid_t),
        libc::SYS_ioprio_set => first == IOPRIO_WHO_PROCESS && is_self(second as pid_t),
        libc::SYS_arch_prctl => kernel::ARCH_OF_THREAD.contains(&(first as c_int)),
        libc::SYS_personality => first as u32 != u32::MAX,
        libc::SYS_keyctl => KEYCTL_OF_CREDENTIALS.contains(&first),
        libc::SYS_ptrace => PTRACE_MAKES_A_TRACER.contains(&first),
        // Such a counter counts what the calling kernel thread does, and would not follow the goroutine to another
        // thread.
        libc::SYS_perf_event_open => is_self(second as pid_t),
        libc::SYS_rt_sigprocmask => false,
        _ => true,
    }
}
