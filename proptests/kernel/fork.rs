//! The child of a fork that a goroutine has called: its one thread runs on the goroutine's block.

use crate::common::{await_process, process};
use selvedge::Runtime;
use std::ptr;

const CHILDREN: usize = 20;
const ROUNDS: usize = 60;
const THREADS: usize = 8;

extern "C" fn nothing(_: *mut libc::c_void) -> *mut libc::c_void {
    ptr::null_mut()
}

/// Threads come and go, on the stacks that the C library has kept of the parent's threads; then that
/// memory goes, while the kernel still writes where it was told to.
fn use_threads() -> i32 {
    for _ in 0..ROUNDS {
        let mut threads = [0; THREADS];
        for thread in &mut threads {
            // SAFETY: a function that does nothing, and a place for the answer.
            if unsafe { libc::pthread_create(thread, ptr::null(), nothing, ptr::null_mut()) } != 0 {
                return 9;
            }
        }
        for thread in threads {
            // SAFETY: started above.
            unsafe { libc::pthread_join(thread, ptr::null_mut()) };
        }
        // SAFETY: takes nothing.
        unsafe { libc::sched_yield() };
        // SAFETY: takes no pointer. It lets the kernel run something else on this processor.
        unsafe { libc::usleep(100) };
    }
    0
}

fn ends_of_children() -> Vec<i32> {
    let fork = |_| {
        // SAFETY: the child calls what the C library allows there, and ends.
        let id = unsafe { libc::fork() };
        if id == 0 {
            // SAFETY: ends the child, which hangs at worst until the alarm.
            unsafe {
                libc::alarm(20);
                libc::_exit(use_threads());
            }
        }
        await_process(id)
    };
    (0..CHILDREN).map(fork).collect()
}

/// So many that the C library keeps their stacks in the child, beyond what it caches.
fn with_idle_threads<R>(f: impl FnOnce() -> R) -> R {
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    std::thread::scope(|scope| {
        for _ in 0..24 {
            scope.spawn(|| {
                let _ = wait.lock().unwrap().recv();
            });
        }
        let result = f();
        drop(done);
        result
    })
}

#[test]
fn the_children_of_a_goroutine_start_threads() {
    process("fork::the_children_of_a_goroutine_start_threads", || {
        let runtime = Runtime::builder().processors(2).build().unwrap();
        let ends = with_idle_threads(|| runtime.run(ends_of_children));
        assert_eq!(ends, [0; CHILDREN]);
    })
    .is_success();
}

#[test]
fn a_child_of_a_goroutine_knows_its_processor() {
    process("fork::a_child_of_a_goroutine_knows_its_processor", || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let end = runtime.run(|| {
            // SAFETY: the child calls what the C library allows there, and ends.
            let id = unsafe { libc::fork() };
            if id == 0 {
                // SAFETY: takes nothing.
                let processor = unsafe { libc::sched_getcpu() };
                // SAFETY: ends the child.
                unsafe { libc::_exit(i32::from(processor < 0)) };
            }
            await_process(id)
        });
        assert_eq!(end, 0);
    })
    .is_success();
}
