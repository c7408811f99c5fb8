//! The functions behind ours: those of the C library, or of another library that was put before it (`LD_PRELOAD`).
//! In a statically linked program no function can be looked up, so `find` returns null there.

use super::raw;
use super::raw::Answer;
use crate::platform::unmodelled::{AtomicPtr, Ordering};
use libc::{c_int, c_long, c_void};
use std::ffi::CStr;
use std::ptr;

/// The function that the program would call under this name if we had not defined it.
pub(super) struct Real {
    name: &'static CStr,
    pub(super) found: AtomicPtr<c_void>,
}

macro_rules! real {
    ($($constant:ident $name:literal;)*) => {
        $(pub(in crate::sched::interpose) static $constant: Real =
            Real { name: $name, found: AtomicPtr::new(ptr::null_mut()) };)*

        /// Runs before the program's first call, because some of these functions may be called where nothing can be
        /// looked up, as in a signal handler.
        extern "C" fn look_up() {
            $($constant.find();)*
        }
    };
}

real! {
    UNSHARE c"unshare";
    SETNS c"setns";
    SET_AFFINITY c"sched_setaffinity";
    SET_SCHEDULER c"sched_setscheduler";
    SET_PARAMETERS c"sched_setparam";
    SET_PRIORITY c"setpriority";
    NICE c"nice";
    PRCTL c"prctl";
    ARCH_PRCTL c"arch_prctl";
    CAPSET c"capset";
    SET_FSUID c"setfsuid";
    SET_FSGID c"setfsgid";
    PERSONALITY c"personality";
    IOPL c"iopl";
    IOPERM c"ioperm";
    ALTERNATE_STACK c"sigaltstack";
    PROCESS_MASK c"sigprocmask";
    THREAD_MASK c"pthread_sigmask";
    SYSCALL c"syscall";
}

#[cfg(not(target_feature = "crt-static"))]
mod handles {
    use super::*;

    real! {
        PTRACE c"ptrace";
        PKEY_ALLOC c"pkey_alloc";
        PKEY_SET c"pkey_set";
        GETATTR c"pthread_getattr_np";
        GETAFFINITY c"pthread_getaffinity_np";
        SETAFFINITY c"pthread_setaffinity_np";
        GETSCHEDPARAM c"pthread_getschedparam";
        SETSCHEDPARAM c"pthread_setschedparam";
        SETSCHEDPRIO c"pthread_setschedprio";
        GETCPUCLOCKID c"pthread_getcpuclockid";
        KILL c"pthread_kill";
        SIGQUEUE c"pthread_sigqueue";
        CANCEL c"pthread_cancel";
        EXIT c"pthread_exit";
        SETPROTOCOL c"pthread_mutexattr_setprotocol";
        OPEN c"dlopen";
        CLOSE c"dlclose";
    }

    #[used]
    #[unsafe(link_section = ".init_array")]
    static AT_START: extern "C" fn() = look_up;
}

#[cfg(not(target_feature = "crt-static"))]
pub(super) use handles::*;

#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = look_up;

impl Real {
    /// Returns the address of the function, or null if there is none.
    pub(super) fn find(&self) -> *mut c_void {
        // Relaxed: every thread finds the same address.
        let found = self.found.load(Ordering::Relaxed);
        if !found.is_null() || cfg!(target_feature = "crt-static") {
            return found;
        }
        #[cfg(not(target_feature = "crt-static"))]
        {
            // SAFETY: `name` is a C string that lives as long as the process.
            let found = unsafe { libc::dlsym(libc::RTLD_NEXT, self.name.as_ptr()) };
            // Relaxed: for the same reason as above.
            self.found.store(found, Ordering::Relaxed);
        }
        // Relaxed: for the same reason as above.
        self.found.load(Ordering::Relaxed)
    }

    /// Calls the function with integers and pointers, where -1 is an error. If there is no function, makes the
    /// system call of this number.
    ///
    /// # Safety
    /// The caller must keep the contract of the function, which must be a bare system call with these arguments.
    pub(super) unsafe fn call(&self, number: c_long, arguments: [usize; 6]) -> Answer {
        // SAFETY: the caller keeps the function's contract.
        match unsafe { self.returned(arguments) } {
            // SAFETY: the caller keeps the call's contract.
            None => unsafe { raw::call(number, arguments) },
            Some(-1) => Answer::of_errno(),
            Some(answer) => Answer(answer as isize),
        }
    }

    /// Like [`call`](Self::call), for a function that returns the number of an error.
    ///
    /// # Safety
    /// The caller must do the same as for [`call`](Self::call).
    pub(super) unsafe fn call_for_errno(&self, number: c_long, arguments: [usize; 6]) -> Answer {
        // SAFETY: the caller keeps the function's contract.
        match unsafe { self.returned(arguments) } {
            // SAFETY: the caller keeps the call's contract.
            None => unsafe { raw::call(number, arguments) },
            Some(errno) => Answer(-(errno as isize)),
        }
    }

    /// # Safety
    /// The caller must do the same as for [`call`](Self::call).
    unsafe fn returned(&self, [a, b, c, d, e, _]: [usize; 6]) -> Option<c_int> {
        // Integers and pointers are passed in the same registers, whether or not the function's type is variadic.
        type Function = unsafe extern "C" fn(usize, ...) -> c_int;
        let found = self.find();
        if found.is_null() {
            return None;
        }
        // SAFETY: `found` is the address of a function. The function may be called as a variadic function, because
        // the arguments are passed in the same registers.
        let function = unsafe { std::mem::transmute::<*mut c_void, Function>(found) };
        // SAFETY: the caller keeps the function's contract.
        Some(unsafe { function(a, b, c, d, e) })
    }
}

/// Makes a system call by `syscall`, as the program would make it.
///
/// # Safety
/// The caller must keep the system call's contract.
pub(super) unsafe fn call_by_number(number: c_long, arguments: [usize; 6]) -> Answer {
    type Function = unsafe extern "C" fn(c_long, ...) -> c_long;
    let found = SYSCALL.find();
    if found.is_null() {
        // SAFETY: the caller keeps the call's contract.
        return unsafe { raw::call(number, arguments) };
    }
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: `found` is the address of the C library's function of this name, which has this type.
    let function = unsafe { std::mem::transmute::<*mut c_void, Function>(found) };
    // SAFETY: the caller keeps the call's contract.
    match unsafe { function(number, a, b, c, d, e, f) } {
        -1 => Answer::of_errno(),
        answer => Answer(answer as isize),
    }
}
