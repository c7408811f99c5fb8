//! Signals: several that are pending at once, and very many.

use crate::twin;
use selvedge::signal::{SIGALRM, SIGHUP, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, Signals};
use selvedge::{Runtime, chan, go};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const SIX: [i32; 6] = [SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGWINCH, SIGALRM];

fn signal(process: u32, signal: i32) {
    // SAFETY: a child that nobody has waited for yet, or this process itself.
    assert_eq!(unsafe { libc::kill(process as libc::pid_t, signal) }, 0);
}

/// They are delivered one upon the other, to one thread, as soon as that goes on: with handlers that
/// interrupt each other its alternate stack, 8 KiB, would not do.
#[test]
fn signals_pending_while_the_process_was_stopped_are_all_received() {
    const TEST: &str = "storm::signals_pending_while_the_process_was_stopped_are_all_received";
    if twin::is_part(TEST) {
        let signals = Signals::new(SIX).unwrap();
        println!("\nready");
        let mut missing = BTreeSet::from(SIX);
        while !missing.is_empty() {
            missing.remove(&signals.recv().unwrap());
        }
        std::process::exit(7);
    }
    for _ in 0..5 {
        let mut child = twin::command(TEST).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap() == "ready"));
        signal(child.id(), libc::SIGSTOP);
        await_stop(child.id());
        SIX.iter().for_each(|&number| signal(child.id(), number));
        signal(child.id(), libc::SIGCONT);
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (Some(7), None));
    }
}

fn await_stop(process: u32) {
    // SAFETY: all zeroes is a valid siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: a place for the answer.
    let rc = unsafe { libc::waitid(libc::P_PID, process, &mut info, libc::WSTOPPED) };
    assert_eq!(rc, 0);
}

/// As fast as a thread can send them: well beyond 100,000 a second where it has a processor.
#[test]
fn a_storm_of_signals_disturbs_nobody() {
    const EACH: usize = 200_000;
    const TEST: &str = "storm::a_storm_of_signals_disturbs_nobody";
    let ended = twin::process(TEST, || {
        static OVER: AtomicBool = AtomicBool::new(false);
        // For the whole life of the process: signals that were sent before the storm was over may still be pending
        // when it is, and one that nobody listens to any more ends the process.
        let signals = Box::leak(Box::new(Signals::new(SIX).unwrap()));
        let runtime = Runtime::builder().processors(2).build().unwrap();
        let sender = std::thread::spawn(|| {
            (0..EACH).for_each(|n| signal(std::process::id(), SIX[n % SIX.len()]));
            OVER.store(true, Relaxed);
        });
        let passed = runtime.run(move || {
            let (forth, there) = chan::bounded(1);
            let (back, here) = chan::bounded(1);
            let echo = go(move || there.into_iter().for_each(|n: u64| back.send(n).unwrap()));
            let mut passed = 0;
            // Until the storm is over, and one signal of each kind was received.
            let mut missing = BTreeSet::from(SIX);
            while !OVER.load(Relaxed) || !missing.is_empty() {
                forth.send(passed).unwrap();
                assert_eq!(here.recv(), Ok(passed));
                passed += 1;
                signals.try_iter().for_each(|number| {
                    missing.remove(&number);
                });
            }
            drop(forth);
            echo.join().unwrap();
            passed
        });
        sender.join().unwrap();
        assert!(passed > 0);
    });
    ended.well();
}
