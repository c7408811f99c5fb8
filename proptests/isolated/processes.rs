//! Processes that goroutines start, and the end of their own.

use crate::harness::{Placement, check, progress, same};
use crate::stage::Stage;
use selvedge::internals::platform::thread_id;
use std::cell::Cell;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

const FEW: usize = 40;

thread_local! {
    static OWN: Cell<u64> = const { Cell::new(7) };
}

pub fn command(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(FEW, |number, steps| {
        steps.suspend();
        let output = Command::new("/bin/echo").arg(number.to_string()).output().unwrap();
        same!(String::from_utf8_lossy(&output.stdout), format!("{number}\n"), "what it said");
        steps.suspend();
        let mut forks = Command::new("/bin/echo");
        // SAFETY: the closure touches one variable without a destructor.
        unsafe {
            forks.pre_exec(|| {
                OWN.set(1);
                Ok(())
            })
        };
        let output = forks.arg("after fork").output().unwrap();
        same!(output.stdout, b"after fork\n", "what the other said");
        same!(OWN.get(), 7, "the parent's variable");
    });
    stage.end();
}

/// How the child process that runs `body` ends: its code, or 1,000 and its signal.
fn fork(body: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child runs `body` on this goroutine's stack and ends by `_exit`: it never returns to
    // the scheduler, whose other threads it has not.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = body();
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    check!(child > 0, "fork");
    let mut status = 0;
    loop {
        // SAFETY: a place for the status.
        let ended = unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) };
        match ended {
            0 => selvedge::time::sleep(std::time::Duration::from_millis(1)),
            _ => break,
        }
        progress();
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1000 + libc::WTERMSIG(status) }
}

pub fn forked(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(20, |number, steps| {
        OWN.set(number as u64);
        let ended = fork(move || {
            let memory = vec![1_u8; 5000];
            let plain = thread::spawn(|| 5).join().unwrap();
            match OWN.get() == number as u64 && memory[7] == 1 && plain == 5 {
                true => 7,
                false => 8,
            }
        });
        same!(ended, 7, "memory, a thread and thread-locals in a child process");
        steps.suspend();
        let ended = fork(|| std::process::abort());
        same!(ended, 1000 + libc::SIGABRT, "a child that aborts");
        steps.suspend();
    });
    stage.end();
}

/// A child that starts and joins threads until the C library gives back the stacks of those that the
/// parent had: among them that of the worker that forked.
pub fn forked_with_threads(placement: Placement) {
    let stage = Stage::new(placement);
    // More than it keeps for new threads, and younger than the workers: it gives the oldest back first.
    for _ in 0..40 {
        thread::spawn(|| {
            loop {
                thread::park();
            }
        });
    }
    stage.each(20, |_, steps| {
        let ended = fork(|| {
            for _ in 0..60 {
                let threads: Vec<_> = (0..8).map(|_| thread::spawn(thread::yield_now)).collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
                thread::sleep(std::time::Duration::from_micros(100));
            }
            7
        });
        same!(ended, 7, "a child that starts many threads");
        steps.suspend();
    });
    stage.end();
}

// ---- the end of this process ---------------------------------------------------------------------

static DROPPED: AtomicUsize = AtomicUsize::new(0);
struct Counts;
impl Drop for Counts {
    fn drop(&mut self) {
        same!(OWN.get(), 99, "a destructor at the end of the process");
        DROPPED.fetch_add(1, SeqCst);
    }
}
thread_local! {
    static COUNTS: Counts = const { Counts };
}

extern "C" fn at_exit() {
    same!(OWN.get(), 99, "a handler at the end of the process");
    same!(DROPPED.load(SeqCst), 1, "destructors of the goroutine that ends the process");
    // SAFETY: ends the process.
    unsafe { libc::_exit(0) };
}

/// A goroutine that ends the process: its destructors run, then the handlers, both on its own block.
pub fn exit(placement: Placement) {
    // SAFETY: a function that stays.
    same!(unsafe { libc::atexit(at_exit) }, 0, "atexit");
    let stage = Stage::new(placement);
    stage.spawn(20, |_, steps| {
        loop {
            steps.suspend();
        }
    });
    stage.each(1, |_, steps| {
        OWN.set(99);
        COUNTS.with(|_| ());
        let first = thread_id();
        while thread_id() == first {
            steps.move_on();
        }
        std::process::exit(1);
    });
}
