//! Functions of the C library that are defined anew: whoever calls them, and whoever else has defined them,
//! they do what those of the C library do.

use crate::c;
use crate::changes::{block, succeeds};
use crate::common::{process, process_with};
use crate::wired::{kernel_thread, runtime};
use selvedge::{go, yield_now};
use std::ffi::{CStr, c_int, c_long, c_void};
use std::ptr;

fn errno() -> &'static mut c_int {
    // SAFETY: the calling thread's, for as long as a test uses it.
    unsafe { &mut *libc::__errno_location() }
}

/// Calls that fail, that ask, and that change nothing: their names, and numbers and nulls for arguments.
const CALLS: &[(&CStr, [c_long; 5])] = &[
    (c"unshare", [-1, 0, 0, 0, 0]),
    (c"unshare", [0; 5]),
    (c"setns", [-1, 0, 0, 0, 0]),
    (c"sched_setaffinity", [0; 5]),
    (c"sched_setaffinity", [-5, 8, 0, 0, 0]),
    (c"sched_setscheduler", [0, 99, 0, 0, 0]),
    (c"sched_setparam", [0, 0, 0, 0, 0]),
    (c"setpriority", [99, 0, 0, 0, 0]),
    (c"setpriority", [0, 1 << 29, 0, 0, 0]),
    (c"nice", [0; 5]),
    (c"prctl", [-1, 0, 0, 0, 0]),
    (c"prctl", [libc::PR_GET_DUMPABLE as c_long, 0, 0, 0, 0]),
    (c"prctl", [libc::PR_CAPBSET_READ as c_long, 999, 0, 0, 0]),
    (c"arch_prctl", [-1, 0, 0, 0, 0]),
    (c"capset", [0; 5]),
    (c"setfsuid", [-1, 0, 0, 0, 0]),
    (c"setfsgid", [-1, 0, 0, 0, 0]),
    (c"personality", [0xffff_ffff, 0, 0, 0, 0]),
    (c"iopl", [9, 0, 0, 0, 0]),
    (c"ioperm", [-1, 1, 1, 0, 0]),
    (c"sigaltstack", [0; 5]),
    (c"sigprocmask", [99, 0, 0, 0, 0]),
    (c"pthread_sigmask", [99, 0, 0, 0, 0]),
    (c"pthread_sigmask", [0; 5]),
    (c"ptrace", [-1, 0, 0, 0, 0]),
    (c"pkey_alloc", [-1, -1, 0, 0, 0]),
    (c"pkey_set", [-1, -1, 0, 0, 0]),
    (c"pthread_mutexattr_setprotocol", [1, 99, 0, 0, 0]),
    (c"syscall", [-1, 0, 0, 0, 0]),
    (c"syscall", [99_999, 0, 0, 0, 0]),
    (c"syscall", [libc::SYS_getpid, 0, 0, 0, 0]),
    (c"syscall", [libc::SYS_close, -1, 0, 0, 0]),
    (c"syscall", [libc::SYS_unshare, -1, 0, 0, 0]),
    (c"syscall", [libc::SYS_prctl, -1, 0, 0, 0]),
    (c"syscall", [libc::SYS_rt_sigprocmask, 99, 0, 0, 8]),
    (c"syscall", [libc::SYS_rt_sigprocmask, 0, 0, 0, 7]),
    (c"syscall", [libc::SYS_sigaltstack, 0, 0, 0, 0]),
];

/// The answer, and the error if it is one.
fn answer(function: *mut c_void, arguments: [c_long; 5], is_long: bool) -> (c_long, c_int) {
    type Function = unsafe extern "C" fn(c_long, ...) -> c_long;
    assert!(!function.is_null());
    // SAFETY: a function that takes numbers and pointers, of which some are null.
    let function = unsafe { std::mem::transmute::<*mut c_void, Function>(function) };
    *errno() = 77;
    let [a, b, c, d, e] = arguments;
    // SAFETY: as above: it refuses what it can't read.
    let answer = unsafe { function(a, b, c, d, e) };
    // Of an `int` the upper half is anything.
    (if is_long { answer } else { answer as c_int as c_long }, *errno())
}

fn all_answer_as_the_c_library() {
    // SAFETY: a text.
    let library = unsafe { libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOW) };
    assert!(!library.is_null());
    for &(name, arguments) in CALLS {
        // SAFETY: texts.
        let (ours, real) = unsafe {
            (libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()), libc::dlsym(library, name.as_ptr()))
        };
        let is_long = [c"syscall", c"ptrace"].contains(&name);
        let expected = answer(real, arguments, is_long);
        assert_eq!(answer(ours, arguments, is_long), expected, "{name:?} {arguments:?}");
    }
}

/// On a plain thread, before the first runtime and after; and in a goroutine.
#[test]
fn each_answers_as_the_c_library() {
    process("interposed::each_answers_as_the_c_library", || {
        // The program's own calls lead to ours, and those of libraries, too.
        // SAFETY: a text.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"setfsuid".as_ptr()) };
        assert_eq!(found, libc::setfsuid as *mut c_void, "the program exports ours");
        all_answer_as_the_c_library();
        let runtime = runtime(2);
        all_answer_as_the_c_library();
        runtime.run(all_answer_as_the_c_library);
    })
    .is_success();
}

/// A definition of the program's own: it counts, and nothing is in conflict with it.
#[unsafe(no_mangle)]
extern "C" fn pthread_sigqueue(_: libc::pthread_t, _: c_int, _: libc::sigval) -> c_int {
    4711
}

#[test]
fn a_definition_of_the_programs_own_counts() {
    unsafe extern "C" {
        #[link_name = "pthread_sigqueue"]
        fn linked(thread: libc::pthread_t, signal: c_int, value: libc::sigval) -> c_int;
    }
    let value = libc::sigval { sival_ptr: ptr::null_mut() };
    // SAFETY: takes numbers.
    assert_eq!(unsafe { linked(0, 0, value) }, 4711);
}

/// What another library has put before the C library's functions is called by ours.
#[test]
fn a_library_that_was_loaded_before_is_called() {
    let source = r#"
        #define _GNU_SOURCE
        #include <dlfcn.h>
        int calls[4];
        #define NEXT(type, name) static __typeof__(type) *next; if (!next) next = dlsym(RTLD_NEXT, name)
        int setpriority(int which, unsigned id, int priority) {
            NEXT(int (int, unsigned, int), "setpriority");
            calls[0]++;
            return next(which, id, priority);
        }
        int pthread_sigmask(int how, const void *set, void *old) {
            NEXT(int (int, const void *, void *), "pthread_sigmask");
            calls[1]++;
            return next(how, set, old);
        }
        long syscall(long number, long a, long b, long c, long d, long e, long f) {
            NEXT(long (long, ...), "syscall");
            calls[number == 141 ? 2 : 3]++;
            return next(number, a, b, c, d, e, f);
        }
    "#;
    let library = match std::env::var("LD_PRELOAD") {
        Ok(_) => None,
        Err(_) => match c::library_with("before", source, &["-ldl"]) {
            Some(library) => Some(library.to_str().expect("a name in UTF-8").to_owned()),
            None => return,
        },
    };
    let variables = library.as_deref().map(|library| ("LD_PRELOAD", library));
    let test = "interposed::a_library_that_was_loaded_before_is_called";
    let end = process_with(test, variables.as_slice(), || {
        let before: [c_int; 4] = calls();
        let wired = move || {
            let own = kernel_thread();
            // SAFETY: takes numbers.
            unsafe {
                succeeds(libc::setpriority(libc::PRIO_PROCESS, 0, 3).into());
                succeeds(libc::syscall(libc::SYS_setpriority, libc::PRIO_PROCESS, 0, 4));
            }
            block(libc::SIGUSR2);
            let children: Vec<_> = (0..10).map(|_| go(kernel_thread)).collect();
            for child in children {
                assert_ne!(child.join().unwrap(), own, "it is wired");
            }
            let after = calls();
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                assert!(*before < after, "{at}: {before} {after}");
            }
        };
        runtime(2).run(wired);
    });
    end.is_success();
}

fn calls() -> [c_int; 4] {
    // SAFETY: the preloaded library's numbers.
    unsafe { *libc::dlsym(libc::RTLD_DEFAULT, c"calls".as_ptr()).cast::<[c_int; 4]>() }
}

/// The child has its parent's memory for a while, and changes its own kernel thread.
#[test]
fn the_child_of_a_vfork_wires_nobody() {
    let source = "
        #define _GNU_SOURCE
        #include <sched.h>
        #include <sys/resource.h>
        #include <sys/syscall.h>
        #include <sys/wait.h>
        #include <unistd.h>
        int start(void) {
            pid_t child = vfork();
            if (child == 0) {
                int failed = setpriority(PRIO_PROCESS, 0, 5) || syscall(SYS_setpriority, PRIO_PROCESS, 0, 6);
                _exit(failed ? 1 : 7);
            }
            int status;
            return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
        }
    ";
    process("interposed::the_child_of_a_vfork_wires_nobody", || {
        let Some(library) = c::library("vforks", source) else { return };
        let library = std::ffi::CString::new(library.to_str().unwrap()).unwrap();
        // SAFETY: a library of ours, with this function.
        let start = unsafe {
            let handle = libc::dlopen(library.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null());
            let start = libc::dlsym(handle, c"start".as_ptr());
            std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(start)
        };
        let runtime = runtime(1);
        let first = runtime.run(move || {
            // SAFETY: takes nothing.
            assert_eq!(unsafe { start() }, 7);
            yield_now();
            kernel_thread()
        });
        for _ in 0..20 {
            assert_eq!(runtime.run(kernel_thread), first, "it has not ended");
        }
    })
    .is_success();
}
