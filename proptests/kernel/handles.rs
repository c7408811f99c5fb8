//! Threads' handles: a goroutine's own answers for its stack and its kernel thread.

use crate::common::process;
use selvedge::{Builder, Runtime, go, yield_now};
use std::mem::MaybeUninit;
use std::ptr;

fn runtime() -> Runtime {
    Builder::new().processors(2).build().unwrap()
}

fn own() -> libc::pthread_t {
    // SAFETY: takes nothing.
    unsafe { libc::pthread_self() }
}

/// Where the stack of this handle lies.
fn stack(thread: libc::pthread_t) -> Result<std::ops::Range<usize>, i32> {
    // SAFETY: attributes of this frame, initialized by the first call.
    unsafe {
        let mut attributes = MaybeUninit::uninit();
        match libc::pthread_getattr_np(thread, attributes.as_mut_ptr()) {
            0 => {}
            errno => return Err(errno),
        }
        let (mut low, mut bytes) = (ptr::null_mut(), 0);
        assert_eq!(libc::pthread_attr_getstack(attributes.as_ptr(), &mut low, &mut bytes), 0);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        Ok(low.addr()..low.addr() + bytes)
    }
}

#[test]
fn a_goroutine_knows_its_stack() {
    process("handles::a_goroutine_knows_its_stack", || {
        let runtime = runtime();
        runtime.run(|| {
            let one = || {
                let stack = stack(own()).expect("an answer");
                let here = 0_u8;
                assert!(stack.contains(&ptr::from_ref(&here).addr()));
                // All of it is there.
                // SAFETY: the lowest word of the goroutine's own stack, far below what it uses.
                unsafe { ptr::with_exposed_provenance_mut::<u8>(stack.start).write_volatile(1) };
                assert!(stack.len() >= 32 * 1024, "{stack:?}");
                yield_now();
                stack
            };
            let all: Vec<_> = (0..50).map(|_| go(one)).collect();
            let mut stacks: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
            stacks.sort_by_key(|stack| stack.start);
            stacks.dedup();
            assert!(stacks.windows(2).all(|pair| pair[0].end <= pair[1].start), "{stacks:?}");
        });
        // Of a goroutine from a plain thread, and the other way round.
        let thread = own() as usize;
        runtime.run(move || assert!(stack(thread as _).is_ok()));
        assert!(stack(own()).is_ok());
    })
    .is_success();
}

#[test]
fn a_goroutine_knows_its_processors_and_its_policy() {
    process("handles::a_goroutine_knows_its_processors_and_its_policy", || {
        runtime().run(|| {
            // SAFETY: places of this frame.
            unsafe {
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                let bytes = size_of_val(&set);
                assert_eq!(libc::pthread_getaffinity_np(own(), bytes, &mut set), 0);
                assert!(libc::CPU_COUNT(&set) > 0);
                let (mut policy, mut parameters) = (-1, std::mem::zeroed());
                assert_eq!(libc::pthread_getschedparam(own(), &mut policy, &mut parameters), 0);
                assert_eq!(policy, libc::SCHED_OTHER);
                let mut clock = 0;
                assert_eq!(libc::pthread_getcpuclockid(own(), &mut clock), 0);
                let mut time = std::mem::zeroed();
                assert_eq!(libc::clock_gettime(clock, &mut time), 0);
            }
        });
    })
    .is_success();
}

#[test]
fn other_goroutines_are_no_threads() {
    process("handles::other_goroutines_are_no_threads", || {
        unsafe extern "C" {
            fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
        }
        let runtime = runtime();
        runtime.run(|| {
            let other = go(|| {
                let handle = own();
                yield_now();
                handle
            });
            let other = other.join().unwrap();
            // SAFETY: numbers, and places of this frame. The block of the goroutine is there still.
            unsafe {
                assert_eq!(libc::pthread_kill(other, libc::SIGUSR1), libc::ESRCH);
                assert_eq!(pthread_cancel(other), libc::ESRCH);
                let mut set: libc::cpu_set_t = std::mem::zeroed();
                let bytes = size_of_val(&set);
                assert_eq!(libc::pthread_getaffinity_np(other, bytes, &mut set), libc::ESRCH);
                // Nor can one cancel itself.
                assert_eq!(pthread_cancel(own()), libc::ESRCH);
            }
        });
    })
    .is_success();
}

#[test]
fn a_goroutine_that_ends_its_thread_is_named() {
    let end = process("handles::a_goroutine_that_ends_its_thread_is_named", || {
        unsafe extern "C" {
            fn pthread_exit(value: *mut libc::c_void) -> !;
        }
        // SAFETY: it must not get so far.
        runtime().run(|| unsafe { pthread_exit(ptr::null_mut()) });
    });
    assert_eq!(end.signal, Some(libc::SIGABRT), "{}", end.stderr);
    assert!(end.stderr.contains("called pthread_exit"), "{}", end.stderr);
}

/// Plain threads are not concerned.
#[test]
fn plain_threads_end_and_are_cancelled() {
    process("handles::plain_threads_end_and_are_cancelled", || {
        unsafe extern "C" {
            fn pthread_exit(value: *mut libc::c_void) -> !;
            fn pthread_cancel(thread: libc::pthread_t) -> libc::c_int;
        }
        extern "C" fn exits(_: *mut libc::c_void) -> *mut libc::c_void {
            // SAFETY: no frame below has a destructor.
            unsafe { pthread_exit(ptr::without_provenance_mut(5)) }
        }
        extern "C" fn waits(_: *mut libc::c_void) -> *mut libc::c_void {
            // SAFETY: takes nothing. A point where a thread is cancelled.
            unsafe { libc::pause() };
            ptr::null_mut()
        }
        let _runtime = runtime();
        // SAFETY: two threads, which are joined.
        unsafe {
            let (mut thread, mut result) = (0, ptr::null_mut());
            assert_eq!(libc::pthread_create(&mut thread, ptr::null(), exits, ptr::null_mut()), 0);
            assert_eq!(libc::pthread_join(thread, &mut result), 0);
            assert_eq!(result.addr(), 5);
            assert_eq!(libc::pthread_create(&mut thread, ptr::null(), waits, ptr::null_mut()), 0);
            assert_eq!(pthread_cancel(thread), 0);
            assert_eq!(libc::pthread_join(thread, &mut result), 0);
            assert_eq!(result.addr(), usize::MAX, "PTHREAD_CANCELED");
        }
    })
    .is_success();
}

#[test]
fn no_goroutine_makes_a_mutex_with_an_owner_that_the_kernel_knows() {
    process("handles::no_goroutine_makes_a_mutex_with_an_owner_that_the_kernel_knows", || {
        fn set() -> i32 {
            // SAFETY: attributes of this frame.
            unsafe {
                let mut kind = std::mem::zeroed();
                libc::pthread_mutexattr_init(&mut kind);
                assert_eq!(
                    libc::pthread_mutexattr_setprotocol(&mut kind, libc::PTHREAD_PRIO_NONE),
                    0
                );
                libc::pthread_mutexattr_setprotocol(&mut kind, libc::PTHREAD_PRIO_INHERIT)
            }
        }
        assert_eq!(set(), 0);
        assert_eq!(runtime().run(set), libc::ENOTSUP);
        assert_eq!(set(), 0);
    })
    .is_success();
}
