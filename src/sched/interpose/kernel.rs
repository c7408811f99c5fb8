//! Functions of the C library that are bare system calls. Each function here calls the real one, and afterwards
//! records what the caller has changed.

use super::raw::{Answer, call, is_self};
use super::real::*;
use super::{changed, is_goroutine, wired};
use crate::platform::kernel_thread::{AlternateStack, Mask};
use libc::{c_int, c_long, c_uint, c_ulong, c_void, pid_t};
use std::ptr;

/// Returns `answer`. If the call succeeded and `counts`, records that it has changed the calling thread.
fn changing(answer: Answer, counts: bool) -> Answer {
    if answer.is_ok() && counts {
        changed();
    }
    answer
}

/// # Safety
/// The caller must keep the system call's contract.
unsafe fn call_changing(real: &Real, number: c_long, arguments: [usize; 6], counts: bool) -> c_int {
    // SAFETY: the caller keeps the call's contract.
    changing(unsafe { real.call(number, arguments) }, counts).returned_int()
}

pub(super) unsafe extern "C" fn unshare(flags: c_int) -> c_int {
    // SAFETY: this call takes no pointer.
    unsafe {
        call_changing(&UNSHARE, libc::SYS_unshare, [flags as usize, 0, 0, 0, 0, 0], flags != 0)
    }
}

pub(super) unsafe extern "C" fn setns(fd: c_int, kinds: c_int) -> c_int {
    // SAFETY: this call takes no pointer.
    unsafe {
        call_changing(&SETNS, libc::SYS_setns, [fd as usize, kinds as usize, 0, 0, 0, 0], true)
    }
}

pub(super) unsafe extern "C" fn sched_setaffinity(
    id: pid_t,
    bytes: usize,
    set: *const c_void,
) -> c_int {
    let arguments = [id as usize, bytes, set.addr(), 0, 0, 0];
    // SAFETY: the caller keeps the call's contract.
    unsafe { call_changing(&SET_AFFINITY, libc::SYS_sched_setaffinity, arguments, is_self(id)) }
}

pub(super) unsafe extern "C" fn sched_setscheduler(
    id: pid_t,
    policy: c_int,
    parameters: *const c_void,
) -> c_int {
    let arguments = [id as usize, policy as usize, parameters.addr(), 0, 0, 0];
    // SAFETY: the caller keeps the call's contract.
    unsafe { call_changing(&SET_SCHEDULER, libc::SYS_sched_setscheduler, arguments, is_self(id)) }
}

pub(super) unsafe extern "C" fn sched_setparam(id: pid_t, parameters: *const c_void) -> c_int {
    let arguments = [id as usize, parameters.addr(), 0, 0, 0, 0];
    // SAFETY: the caller keeps the call's contract.
    unsafe { call_changing(&SET_PARAMETERS, libc::SYS_sched_setparam, arguments, is_self(id)) }
}

pub(super) unsafe extern "C" fn setpriority(which: c_uint, id: c_uint, priority: c_int) -> c_int {
    let arguments = [which as usize, id as usize, priority as usize, 0, 0, 0];
    let is_own = which == libc::PRIO_PROCESS && is_self(id as pid_t);
    // SAFETY: this call takes no pointer.
    unsafe { call_changing(&SET_PRIORITY, libc::SYS_setpriority, arguments, is_own) }
}

pub(super) unsafe extern "C" fn nice(step: c_int) -> c_int {
    type Function = unsafe extern "C" fn(c_int) -> c_int;
    let found = NICE.find();
    if found.is_null() {
        return nice_by_calls(step);
    }
    // SAFETY: `found` is the address of the C library's function of this name, which has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, Function>(found) };
    // SAFETY: `__errno_location` returns a valid pointer to the calling thread's own `errno`.
    let errno = unsafe { &mut *libc::__errno_location() };
    // `errno` is cleared first, because -1 may also be a valid answer.
    let before = std::mem::take(errno);
    // SAFETY: this call takes no pointer.
    let answer = unsafe { function(step) };
    if *errno == 0 {
        *errno = before;
        if step != 0 {
            changed();
        }
    }
    answer
}

/// Does what the C library's `nice` does, by the two system calls about priorities.
fn nice_by_calls(step: c_int) -> c_int {
    // SAFETY: this call takes no pointer. The kernel returns 20 minus the priority.
    let get =
        || unsafe { call(libc::SYS_getpriority, [libc::PRIO_PROCESS as usize, 0, 0, 0, 0, 0]) };
    let before = get();
    if !before.is_ok() {
        return before.returned_int();
    }
    let wanted = (20 - before.0 as c_int).saturating_add(step);
    let arguments = [libc::PRIO_PROCESS as usize, 0, wanted as usize, 0, 0, 0];
    // SAFETY: this call takes no pointer.
    let set = changing(unsafe { call(libc::SYS_setpriority, arguments) }, step != 0);
    match set.errno() {
        0 => 20 - get().0 as c_int,
        libc::EACCES => Answer(-(libc::EPERM as isize)).returned_int(),
        _ => set.returned_int(),
    }
}

/// The options of `prctl` that change only the calling thread, as far as they were known when this was written:
/// from `PR_SET_PDEATHSIG` to `PR_SET_SYSCALL_USER_DISPATCH`, and `PR_SCHED_CORE`.
const OF_THREAD: [c_int; 17] = [1, 6, 8, 10, 14, 22, 24, 26, 28, 29, 33, 38, 47, 53, 57, 59, 62];
const PR_CAP_AMBIENT: c_int = 47;
const PR_CAP_AMBIENT_IS_SET: usize = 1;

pub(super) unsafe extern "C" fn prctl(
    option: c_int,
    second: usize,
    third: usize,
    fourth: usize,
    fifth: usize,
) -> c_int {
    let asks = option == PR_CAP_AMBIENT && second == PR_CAP_AMBIENT_IS_SET;
    let counts = OF_THREAD.contains(&option) && !asks;
    let arguments = [option as usize, second, third, fourth, fifth, 0];
    // SAFETY: the caller keeps the call's contract.
    unsafe { call_changing(&PRCTL, libc::SYS_prctl, arguments, counts) }
}

/// The options of `arch_prctl` for one thread: the base of GS, and whether the instruction `cpuid` is allowed.
pub(super) const ARCH_OF_THREAD: [c_int; 2] = [0x1001, 0x1012];

pub(super) unsafe extern "C" fn arch_prctl(option: c_int, argument: c_ulong) -> c_int {
    let arguments = [option as usize, argument as usize, 0, 0, 0, 0];
    // SAFETY: the caller keeps the call's contract.
    unsafe {
        call_changing(
            &ARCH_PRCTL,
            libc::SYS_arch_prctl,
            arguments,
            ARCH_OF_THREAD.contains(&option),
        )
    }
}

pub(super) unsafe extern "C" fn capset(header: *mut c_void, data: *const c_void) -> c_int {
    // SAFETY: the caller keeps the call's contract. The kernel changes only the calling thread.
    unsafe {
        call_changing(&CAPSET, libc::SYS_capset, [header.addr(), data.addr(), 0, 0, 0, 0], true)
    }
}

/// The argument of a call that reads a value and changes nothing.
const ASKS: c_uint = c_uint::MAX;

pub(super) unsafe extern "C" fn setfsuid(id: c_uint) -> c_int {
    // SAFETY: this call takes no pointer.
    unsafe {
        call_changing(&SET_FSUID, libc::SYS_setfsuid, [id as usize, 0, 0, 0, 0, 0], id != ASKS)
    }
}

pub(super) unsafe extern "C" fn setfsgid(id: c_uint) -> c_int {
    // SAFETY: this call takes no pointer.
    unsafe {
        call_changing(&SET_FSGID, libc::SYS_setfsgid, [id as usize, 0, 0, 0, 0, 0], id != ASKS)
    }
}

pub(super) unsafe extern "C" fn personality(kind: c_ulong) -> c_int {
    let asks = kind as c_uint == ASKS;
    // SAFETY: this call takes no pointer.
    unsafe {
        call_changing(&PERSONALITY, libc::SYS_personality, [kind as usize, 0, 0, 0, 0, 0], !asks)
    }
}

pub(super) unsafe extern "C" fn iopl(level: c_int) -> c_int {
    // SAFETY: this call takes no pointer.
    unsafe { call_changing(&IOPL, libc::SYS_iopl, [level as usize, 0, 0, 0, 0, 0], true) }
}

pub(super) unsafe extern "C" fn ioperm(from: c_ulong, ports: c_ulong, on: c_int) -> c_int {
    let arguments = [from as usize, ports as usize, on as usize, 0, 0, 0];
    // SAFETY: this call takes no pointer.
    unsafe { call_changing(&IOPERM, libc::SYS_ioperm, arguments, true) }
}

// ---- changes that can be undone ----------------------------------------------------------------------

pub(super) unsafe extern "C" fn sigaltstack(
    new: *const libc::stack_t,
    old: *mut libc::stack_t,
) -> c_int {
    if new.is_null() || !is_goroutine() {
        let arguments = [new.addr(), old.addr(), 0, 0, 0, 0];
        // SAFETY: the caller keeps the call's contract.
        return unsafe { ALTERNATE_STACK.call(libc::SYS_sigaltstack, arguments) }.returned_int();
    }
    // SAFETY: `new` is not null, and the caller guarantees that it then points to a `stack_t`.
    let now = unsafe { new.read() };
    // SAFETY: a `stack_t` of zero bytes is valid.
    let mut before = unsafe { std::mem::zeroed::<libc::stack_t>() };
    let arguments = [new.addr(), (&raw mut before).addr(), 0, 0, 0, 0];
    // SAFETY: the caller keeps the call's contract, and `before` lies in this frame.
    let answer = unsafe { ALTERNATE_STACK.call(libc::SYS_sigaltstack, arguments) };
    if answer.is_ok() {
        if !old.is_null() {
            // SAFETY: `old` is not null, and the caller guarantees that it is then valid for a write.
            unsafe { old.write(before) };
        }
        wired::note_stack(AlternateStack::new(now));
    }
    answer.returned_int()
}

/// The signals 32 and 33, which the C library never lets a program block.
const OF_THE_C_LIBRARY: Mask = 1 << 31 | 1 << 32;

/// Changes the signal mask by `change`, and records the new mask of a goroutine. `change` makes the system call, or
/// calls a function of the C library that makes it.
///
/// # Safety
/// `set` and `old` must each be null or point to a set of signals. Only the part that the kernel uses is accessed.
pub(super) unsafe fn change_mask(
    how: c_int,
    set: *const libc::sigset_t,
    old: *mut libc::sigset_t,
    change: unsafe fn([usize; 6]) -> Answer,
) -> Answer {
    // SAFETY: the caller guarantees that `set` is null or points to a set of signals. A set of the kernel has one
    // bit for each signal, and is the first part of a set of the C library.
    let set = unsafe { set.cast::<Mask>().as_ref() }.map(|set| set & !OF_THE_C_LIBRARY);
    let (mut new, mut before) = ([0 as Mask; MASKS], [0 as Mask; MASKS]);
    new[0] = set.unwrap_or(0);
    let place = if set.is_some() { new.as_ptr() } else { ptr::null() };
    let arguments =
        [how as usize, place.addr(), before.as_mut_ptr().addr(), size_of::<Mask>(), 0, 0];
    // SAFETY: the pointers in `arguments` lead to two sets in this stack frame.
    let answer = unsafe { change(arguments) };
    if !answer.is_ok() {
        return answer;
    }
    if !old.is_null() {
        // SAFETY: `old` is not null, and the caller guarantees that it is then valid for a write.
        unsafe { old.cast::<Mask>().write(before[0]) };
    }
    if let Some(set) = set
        && is_goroutine()
    {
        let now = match how {
            libc::SIG_BLOCK => before[0] | set,
            libc::SIG_UNBLOCK => before[0] & !set,
            _ => set,
        };
        let always = 1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1);
        wired::note_mask(now & !always);
    }
    answer
}

/// The length of a set of the C library, in words of the kernel's set.
const MASKS: usize = size_of::<libc::sigset_t>() / size_of::<Mask>();

pub(super) unsafe extern "C" fn sigprocmask(
    how: c_int,
    set: *const libc::sigset_t,
    old: *mut libc::sigset_t,
) -> c_int {
    // SAFETY: `change_mask` passes pointers to its own two sets, which stay valid during the call.
    let change = |arguments| unsafe { PROCESS_MASK.call(libc::SYS_rt_sigprocmask, arguments) };
    // SAFETY: the caller keeps the call's contract.
    unsafe { change_mask(how, set, old, change) }.returned_int()
}

pub(super) unsafe extern "C" fn pthread_sigmask(
    how: c_int,
    set: *const libc::sigset_t,
    old: *mut libc::sigset_t,
) -> c_int {
    // SAFETY: `change_mask` passes pointers to its own two sets, which stay valid during the call.
    let change =
        |arguments| unsafe { THREAD_MASK.call_for_errno(libc::SYS_rt_sigprocmask, arguments) };
    // SAFETY: the caller keeps the call's contract.
    unsafe { change_mask(how, set, old, change) }.errno()
}
