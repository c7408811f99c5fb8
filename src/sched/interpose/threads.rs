//! Functions that take a thread's handle. A goroutine's own handle leads to its block of thread-locals, and the
//! kernel does not know the number in it. So here this handle stands for the kernel thread that runs the goroutine.
//! Where another goroutine runs cannot be said, so our functions treat the handle of another goroutine as the
//! handle of no thread.

use super::raw;
use super::raw::thread_id;
use super::real::*;
use super::{changed, is_goroutine};
use crate::fiber::{own_pointer, stack_of};
use crate::sched::core::current::current_goroutine;
use libc::{c_int, c_long, c_uint, c_void, clockid_t, pid_t, pthread_t};
use std::ptr;

/// Calls the C library's function, which has this type. If there is none, returns `$none` from the calling
/// function.
macro_rules! call {
    ($real:ident as $type:ty, $none:expr, $($argument:expr),*) => {{
        let found = $real.find();
        if found.is_null() {
            return $none;
        }
        // SAFETY: `found` is the address of the C library's function of this name, which has this type.
        let function = unsafe { std::mem::transmute::<*mut c_void, $type>(found) };
        // SAFETY: the caller keeps the function's contract.
        unsafe { function($($argument),*) }
    }};
}

/// What a handle stands for.
enum Who {
    /// The calling goroutine, with the handle of its kernel thread.
    Caller(pthread_t),
    Goroutine,
    Thread,
}

/// # Safety
/// The handle must be that of a thread that lives or was not joined, or that of a goroutine.
unsafe fn who(thread: pthread_t) -> Who {
    // SAFETY: the caller guarantees that `thread` is the handle of a thread or of a goroutine, as this function
    // requires.
    if unsafe { stack_of(thread as usize) }.is_none() {
        return Who::Thread;
    }
    // SAFETY: this call takes no argument.
    let caller = unsafe { libc::pthread_self() };
    match own_pointer() {
        Some(own) if thread == caller => Who::Caller(own as pthread_t),
        _ => Who::Goroutine,
    }
}

/// Returns the same handle, or, for the calling goroutine's handle, the handle of its kernel thread.
///
/// # Safety
/// As for [`who`].
unsafe fn resolve(thread: pthread_t) -> Result<pthread_t, c_int> {
    // SAFETY: the caller guarantees that `thread` is the handle of a thread or of a goroutine, as this function
    // requires.
    match unsafe { who(thread) } {
        Who::Caller(own) => Ok(own),
        Who::Thread => Ok(thread),
        Who::Goroutine => Err(libc::ESRCH),
    }
}

macro_rules! resolved {
    ($thread:expr) => {
        // SAFETY: the caller keeps the contract of the C library's function, so the handle is valid.
        match unsafe { resolve($thread) } {
            Ok(thread) => thread,
            Err(errno) => return errno,
        }
    };
}

/// For a goroutine's handle, returns the stack that the goroutine's block names. All other attributes are those of
/// the caller's kernel thread, even if the handle is another goroutine's.
pub(super) unsafe extern "C" fn getattr(
    thread: pthread_t,
    attributes: *mut libc::pthread_attr_t,
) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, *mut libc::pthread_attr_t) -> c_int;
    // SAFETY: the caller keeps the contract of the C library's function, so the handle is valid.
    let Some((low, bytes)) = (unsafe { stack_of(thread as usize) }) else {
        return call!(GETATTR as Function, libc::ENOSYS, thread, attributes);
    };
    // SAFETY: this call takes no argument.
    let rest =
        own_pointer().map_or_else(|| unsafe { libc::pthread_self() }, |own| own as pthread_t);
    match call!(GETATTR as Function, libc::ENOSYS, rest, attributes) {
        0 => {}
        errno => return errno,
    }
    let low = ptr::with_exposed_provenance_mut(low);
    // SAFETY: the attributes were initialized just above. The call stores the stack's address and size, and does
    // not access the stack.
    unsafe {
        libc::pthread_attr_setguardsize(attributes, 0);
        libc::pthread_attr_setstack(attributes, low, bytes)
    }
}

pub(super) unsafe extern "C" fn getaffinity(
    thread: pthread_t,
    bytes: usize,
    set: *mut libc::cpu_set_t,
) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, usize, *mut libc::cpu_set_t) -> c_int;
    let thread = resolved!(thread);
    call!(GETAFFINITY as Function, libc::ENOSYS, thread, bytes, set)
}

pub(super) unsafe extern "C" fn setaffinity(
    thread: pthread_t,
    bytes: usize,
    set: *const libc::cpu_set_t,
) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, usize, *const libc::cpu_set_t) -> c_int;
    let resolved = resolved!(thread);
    let errno = call!(SETAFFINITY as Function, libc::ENOSYS, resolved, bytes, set);
    note_change(thread, resolved, errno)
}

/// Records that the caller has changed its own kernel thread, if the call succeeded.
fn note_change(asked: pthread_t, resolved: pthread_t, errno: c_int) -> c_int {
    if errno == 0 && asked != resolved {
        changed();
    }
    errno
}

pub(super) unsafe extern "C" fn getschedparam(
    thread: pthread_t,
    policy: *mut c_int,
    parameters: *mut libc::sched_param,
) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, *mut c_int, *mut libc::sched_param) -> c_int;
    let thread = resolved!(thread);
    call!(GETSCHEDPARAM as Function, libc::ENOSYS, thread, policy, parameters)
}

pub(super) unsafe extern "C" fn setschedparam(
    thread: pthread_t,
    policy: c_int,
    parameters: *const libc::sched_param,
) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, c_int, *const libc::sched_param) -> c_int;
    let resolved = resolved!(thread);
    let errno = call!(SETSCHEDPARAM as Function, libc::ENOSYS, resolved, policy, parameters);
    note_change(thread, resolved, errno)
}

pub(super) unsafe extern "C" fn setschedprio(thread: pthread_t, priority: c_int) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, c_int) -> c_int;
    let resolved = resolved!(thread);
    let errno = call!(SETSCHEDPRIO as Function, libc::ENOSYS, resolved, priority);
    note_change(thread, resolved, errno)
}

pub(super) unsafe extern "C" fn getcpuclockid(thread: pthread_t, clock: *mut clockid_t) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, *mut clockid_t) -> c_int;
    let thread = resolved!(thread);
    call!(GETCPUCLOCKID as Function, libc::ENOSYS, thread, clock)
}

pub(super) unsafe extern "C" fn kill(thread: pthread_t, signal: c_int) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, c_int) -> c_int;
    // SAFETY: the caller keeps the contract of the C library's function, so the handle is valid.
    match unsafe { who(thread) } {
        Who::Thread => call!(KILL as Function, libc::ENOSYS, thread, signal),
        Who::Goroutine => libc::ESRCH,
        Who::Caller(_) => {
            let arguments = [std::process::id() as usize, thread_id() as usize, signal as usize];
            let [process, own, signal] = arguments;
            // SAFETY: this call takes no pointer.
            unsafe { raw::call(libc::SYS_tgkill, [process, own, signal, 0, 0, 0]) }.errno()
        }
    }
}

pub(super) unsafe extern "C" fn sigqueue(
    thread: pthread_t,
    signal: c_int,
    value: libc::sigval,
) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t, c_int, libc::sigval) -> c_int;
    let thread = resolved!(thread);
    call!(SIGQUEUE as Function, libc::ENOSYS, thread, signal, value)
}

/// A goroutine cannot be cancelled, because that would unwind the goroutine from outside.
pub(super) unsafe extern "C" fn cancel(thread: pthread_t) -> c_int {
    type Function = unsafe extern "C" fn(pthread_t) -> c_int;
    // SAFETY: the caller keeps the contract of the C library's function, so the handle is valid.
    match unsafe { who(thread) } {
        Who::Thread => call!(CANCEL as Function, libc::ENOSYS, thread),
        _ => libc::ESRCH,
    }
}

/// Ends a plain thread. Aborts the process if called by a goroutine, which must not end its kernel thread.
pub(super) unsafe extern "C-unwind" fn exit(value: *mut c_void) {
    type Function = unsafe extern "C-unwind" fn(*mut c_void);
    if is_goroutine() {
        let id = current_goroutine().map_or(0, |goroutine| goroutine.id());
        eprintln!(
            "selvedge: aborting: goroutine {id} called pthread_exit, which ends a kernel thread: let \
             it return, or panic"
        );
        std::process::abort();
    }
    let found = EXIT.find();
    if !found.is_null() {
        // SAFETY: `found` is the address of the C library's function of this name, which has this type.
        let function = unsafe { std::mem::transmute::<*mut c_void, Function>(found) };
        // SAFETY: the caller keeps the function's contract.
        unsafe { function(value) }
    }
}

/// Refuses a mutex with priority inheritance or protection for a goroutine, because the kernel would have to know
/// which goroutine owns the mutex.
pub(super) unsafe extern "C" fn setprotocol(
    attributes: *mut libc::pthread_mutexattr_t,
    protocol: c_int,
) -> c_int {
    type Function = unsafe extern "C" fn(*mut libc::pthread_mutexattr_t, c_int) -> c_int;
    if [libc::PTHREAD_PRIO_INHERIT, libc::PTHREAD_PRIO_PROTECT].contains(&protocol)
        && is_goroutine()
    {
        return libc::ENOTSUP;
    }
    call!(SETPROTOCOL as Function, libc::ENOSYS, attributes, protocol)
}

/// Records that the caller has become a tracer, because a tracer is a kernel thread.
pub(super) unsafe extern "C" fn ptrace(
    request: c_uint,
    id: pid_t,
    address: *mut c_void,
    data: *mut c_void,
) -> c_long {
    type Function = unsafe extern "C" fn(c_uint, pid_t, *mut c_void, *mut c_void) -> c_long;
    const MAKES_A_TRACER: [c_uint; 3] = [0, 16, 0x4206];
    let answer = call!(PTRACE as Function, -1, request, id, address, data);
    if answer != -1 && MAKES_A_TRACER.contains(&request) {
        changed();
    }
    answer
}

/// Allocates a key, which sets the rights of the calling thread.
pub(super) unsafe extern "C" fn pkey_alloc(flags: c_uint, rights: c_uint) -> c_int {
    type Function = unsafe extern "C" fn(c_uint, c_uint) -> c_int;
    let key = call!(PKEY_ALLOC as Function, -1, flags, rights);
    if key >= 0 {
        changed();
    }
    key
}

pub(super) unsafe extern "C" fn pkey_set(key: c_int, rights: c_uint) -> c_int {
    type Function = unsafe extern "C" fn(c_int, c_uint) -> c_int;
    let result = call!(PKEY_SET as Function, -1, key, rights);
    if result == 0 {
        changed();
    }
    result
}
