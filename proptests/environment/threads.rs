//! Kernel threads: who starts children, and what has run when a runtime has ended.

use crate::twin;
use selvedge::process::{Child, Command, Stdio};
use selvedge::{Runtime, chan, go};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::time::Duration;

/// A child that is killed when the thread that has started it ends, and tells that thread's name.
fn mortal() -> Child {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let before = || {
        let mut name = [0_u8; 16];
        // SAFETY: async-signal-safe calls, with places that are large enough.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr());
            libc::write(1, name.as_ptr().cast(), name.len());
        }
        Ok(())
    };
    // SAFETY: it calls nothing but the above.
    unsafe { command.as_std_mut().pre_exec(before) };
    command.spawn().unwrap()
}

fn name_of_starter(child: &mut Child) -> String {
    let mut name = [0; 16];
    child.stdout.as_mut().unwrap().read_exact(&mut name).unwrap();
    String::from_utf8_lossy(&name).trim_end_matches('\0').to_owned()
}

#[test]
fn children_are_started_by_a_thread_that_outlives_the_runtime() {
    const TEST: &str = "threads::children_are_started_by_a_thread_that_outlives_the_runtime";
    let ended = twin::process(TEST, || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let mut children = runtime.run(|| {
            let alone = mortal();
            // With a neighbour at home, it would be a helper's to start it.
            let (begun, begins) = chan::bounded(1);
            let neighbour = go(move || {
                begun.send(()).unwrap();
                selvedge::park();
            });
            begins.recv().unwrap();
            let beside = mortal();
            let within = selvedge::blocking(mortal);
            neighbour.goroutine().unpark();
            neighbour.join().unwrap();
            [alone, beside, within]
        });
        // Its threads end.
        drop(runtime);
        for child in &mut children {
            assert_eq!(name_of_starter(child), "selvedge-spawn");
            assert_eq!(child.try_wait().unwrap(), None, "it lives on");
            // Closes its input, at whose end it ends.
            assert_eq!(child.wait().unwrap().code(), Some(0));
        }
    });
    ended.well();
}

/// Counts those that were made and those that were dropped, here slowly.
struct Local;

static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

thread_local!(static LOCAL: Local = {
    MADE.fetch_add(1, SeqCst);
    Local
});

impl Drop for Local {
    fn drop(&mut self) {
        std::thread::sleep(Duration::from_millis(2));
        DROPPED.fetch_add(1, SeqCst);
    }
}

#[test]
fn thread_locals_of_a_runtime_s_threads_are_gone_when_it_is_dropped() {
    const TEST: &str = "threads::thread_locals_of_a_runtime_s_threads_are_gone_when_it_is_dropped";
    let ended = twin::process(TEST, || {
        for processors in [1, 2, 4] {
            let (made, dropped) = (MADE.load(SeqCst), DROPPED.load(SeqCst));
            let runtime = Runtime::builder().processors(processors).build().unwrap();
            runtime.run(|| {
                let touch = || {
                    go(|| {
                        LOCAL.with(|_| ());
                        selvedge::yield_now();
                        // On a helper, where a neighbour is at home.
                        selvedge::blocking(|| {
                            LOCAL.with(|_| ());
                            std::thread::sleep(Duration::from_millis(1));
                        });
                    })
                };
                let all: Vec<_> = (0..20).map(|_| touch()).collect();
                all.into_iter().for_each(|one| one.join().unwrap());
            });
            drop(runtime);
            let (made, dropped) = (MADE.load(SeqCst) - made, DROPPED.load(SeqCst) - dropped);
            assert!(made > 1, "a worker and a helper at least");
            assert_eq!(dropped, made, "on {processors} processors");
        }
    });
    ended.well();
}

/// A job that does not end keeps its thread, and nobody waits for it.
#[test]
fn a_runtime_ends_though_a_helper_is_busy() {
    let ended = twin::process("threads::a_runtime_ends_though_a_helper_is_busy", || {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let (hold, held) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel();
        let (begun, begins) = chan::bounded(1);
        runtime.go(move || {
            begun.send(()).unwrap();
            selvedge::park();
        });
        runtime.go(move || {
            begins.recv().unwrap();
            selvedge::blocking(move || {
                tell.send(()).unwrap();
                let _ = held.recv();
            });
        });
        told.recv().unwrap();
        drop(runtime);
        drop(hold);
    });
    ended.well();
}
