//! Signals: what ends the process is tried in a child, which is this program again.

use crate::common::{beside, finish};
use selvedge::signal::{self, SIGALRM, SIGINT, SIGUSR1, SIGUSR2, SIGWINCH, Signals};
use selvedge::{Runtime, chan, go, select};
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

fn raise(signal: i32) {
    // SAFETY: raises a signal that is handled.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn each_listener_hears_of_its_signals() {
    beside(|| {
        let one = Signals::new([SIGUSR1]).unwrap();
        let both = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        let runtime = Runtime::builder().processors(1).build().unwrap();
        runtime.run(|| {
            let (_never, silent) = chan::bounded::<u32>(1);
            let hears = go(move || {
                select! {
                    recv(silent) -> _ => panic!("nobody sends"),
                    recv(one) -> signal => signal,
                }
            });
            raise(SIGUSR1);
            assert_eq!(hears.join().unwrap(), Ok(SIGUSR1));
            assert_eq!(both.recv(), Ok(SIGUSR1));
            raise(SIGUSR2);
            assert_eq!(both.recv(), Ok(SIGUSR2));
        });
        finish(runtime);
    });
}

/// Listens to a signal when it is woken, and throws what panics when it is dropped.
struct Listens(mpsc::Sender<Signals>);

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(Bomb));
    }
}

impl Wake for Listens {
    fn wake(self: Arc<Self>) {
        self.0.send(Signals::new([SIGALRM]).unwrap()).unwrap();
        std::panic::resume_unwind(Box::new(Bomb));
    }
}

#[test]
fn a_waker_may_listen_to_signals_itself() {
    beside(|| {
        let first = Signals::new([SIGALRM]).unwrap();
        let (tell, told) = mpsc::channel();
        let mut receives = pin!(first.recv_async());
        let waker = Waker::from(Arc::new(Listens(tell)));
        assert!(receives.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        raise(SIGALRM);
        // The waker runs on the thread that all signals come to, which goes on.
        let second = told.recv_timeout(Duration::from_secs(60)).expect("it listens");
        assert_eq!(selvedge::block_on(receives), Ok(SIGALRM));
        raise(SIGALRM);
        assert_eq!((first.recv(), second.recv()), (Ok(SIGALRM), Ok(SIGALRM)));
    });
}

#[test]
fn what_can_t_be_received_is_an_error_that_says_so() {
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGBUS, 0, -1, 65, 4711] {
        let error = Signals::new([SIGWINCH, signal]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().starts_with(&format!("signal {signal} can't be")), "{error}");
    }
}

#[test]
fn handlers_run_on_the_alternate_stack() {
    let _signals = Signals::new([SIGWINCH]).unwrap();
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks for the handler.
    let action = unsafe {
        assert_eq!(libc::sigaction(SIGWINCH, std::ptr::null(), action.as_mut_ptr()), 0);
        action.assume_init()
    };
    assert_ne!(action.sa_flags & libc::SA_ONSTACK, 0);
    assert_ne!(action.sa_flags & libc::SA_RESTART, 0);
}

/// This program again, which runs the part of the child by that name; and what it says.
struct Twin(Child, std::io::Lines<BufReader<ChildStdout>>);

impl Twin {
    fn of(part: &str) -> Twin {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["signals::child", "--exact", "--nocapture", "--test-threads=1"])
            .env("SELVEDGE_CHILD", part)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Twin(child, said)
    }

    /// Waits until it has said so.
    #[track_caller]
    fn says(&mut self, words: &str) {
        assert!(self.1.any(|line| line.unwrap() == words), "it never says {words:?}");
    }

    fn kill(&self, signal: i32) {
        // SAFETY: a child that nobody has waited for yet.
        assert_eq!(unsafe { libc::kill(self.0.id() as libc::pid_t, signal) }, 0);
    }

    fn end(mut self) -> Option<i32> {
        self.0.wait().unwrap().signal()
    }
}

#[test]
fn child() {
    let Some(part) = std::env::var_os("SELVEDGE_CHILD") else { return };
    if part == "hasty" {
        return hasty();
    }
    let runtime = Runtime::builder().processors(1).build().unwrap();
    if part == "interrupted" {
        let interrupted = signal::ctrl_c().unwrap();
        println!("\nready");
        runtime.run(|| interrupted.recv()).unwrap();
        println!("\nthe first");
    } else {
        let signals = Signals::new([SIGINT]).unwrap();
        println!("\nready");
        for _ in 0..2 {
            runtime.run(|| signals.recv()).unwrap();
            println!("\none more");
        }
        drop(signals);
        println!("\nnobody listens");
    }
    // Nothing in here reacts any more; but a child that is not ended, as it should be, ends.
    std::thread::sleep(std::time::Duration::from_secs(30));
    std::process::exit(1);
}

/// Who takes a signal, and then goes, was there.
fn hasty() {
    for _ in 0..3_000 {
        let signals = Signals::new([SIGUSR1]).unwrap();
        raise(SIGUSR1);
        assert_eq!(signals.recv(), Ok(SIGUSR1));
    }
    println!("\nall taken");
}

#[test]
fn who_takes_a_signal_and_goes_was_there() {
    beside(|| {
        let mut twin = Twin::of("hasty");
        twin.says("all taken");
        assert_eq!(twin.end(), None);
    });
}

#[test]
fn the_second_ctrl_c_ends_a_program_that_hangs() {
    beside(|| {
        let mut twin = Twin::of("interrupted");
        twin.says("ready");
        twin.kill(SIGINT);
        twin.says("the first");
        twin.kill(SIGINT);
        assert_eq!(twin.end(), Some(SIGINT));
    });
}

#[test]
fn with_no_listener_left_the_default_is_back() {
    beside(|| {
        let mut twin = Twin::of("deaf");
        twin.says("ready");
        for _ in 0..2 {
            twin.kill(SIGINT);
            twin.says("one more");
        }
        twin.says("nobody listens");
        twin.kill(SIGINT);
        assert_eq!(twin.end(), Some(SIGINT));
    });
}
