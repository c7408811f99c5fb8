//! Children: how they end, what they write, and many at once.

use crate::common::{ALL, beside, everywhere, finish};
use selvedge::process::{Command, Stdio};
use selvedge::{CancelToken, Runtime, go, yield_now};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_child_s_end_is_told_as_std_tells_it() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            assert!(Command::new("true").status().unwrap().success());
            assert_eq!(shell("exit 7").status().unwrap().code(), Some(7));
            let absent = Command::new("/nonexistent/program").spawn().unwrap_err();
            assert_eq!(absent.kind(), io::ErrorKind::NotFound);

            let mut child = shell("read line; exit 3").stdin(Stdio::piped()).spawn().unwrap();
            assert_eq!(child.try_wait().unwrap(), None, "it waits for a line");
            // Closes its input, which is what it waits for.
            assert_eq!(child.wait().unwrap().code(), Some(3));
            assert_eq!(child.wait().unwrap().code(), Some(3), "it may be asked again");
            assert_eq!(child.try_wait().unwrap().and_then(|status| status.code()), Some(3));

            let mut child = shell("read line").stdin(Stdio::piped()).spawn().unwrap();
            let input = child.stdin.take();
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
            drop(input);
        });
        finish(runtime);
    });
}

#[test]
fn what_a_child_writes_is_read_whole() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            runtime.run(|| {
                // More than a pipe holds, on both.
                let script = "head -c 300000 /dev/zero; head -c 200000 /dev/zero >&2; exit 5";
                let output = shell(script).output().unwrap();
                let lengths = (output.stdout.len(), output.stderr.len());
                assert_eq!((lengths, output.status.code()), ((300_000, 200_000), Some(5)));
                let mut command = shell(script);
                let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
                let output = child.wait_with_output().unwrap();
                assert_eq!((output.stdout.len(), output.stderr.len()), lengths);
                // One goroutine writes while another reads.
                let mut command = Command::new("cat");
                let mut child =
                    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                let mut input = child.stdin.take().unwrap();
                let mut output = child.stdout.take().unwrap();
                let writer = go(move || input.write_all(&[b'w'; 300_000]));
                let mut text = String::new();
                output.read_to_string(&mut text).unwrap();
                writer.join().unwrap().unwrap();
                assert_eq!(text.len(), 300_000);
                assert!(child.wait().unwrap().success());
            });
            finish(runtime);
        }
    });
}

#[test]
fn many_children_at_once_are_each_waited_for() {
    beside(|| {
        for placement in ALL {
            let runtime = placement.runtime(2);
            runtime.run(|| {
                let children: Vec<_> = (0..40)
                    .map(|n| go(move || shell(&format!("exit {n}")).status().unwrap().code()))
                    .collect();
                for (n, child) in children.into_iter().enumerate() {
                    assert_eq!(child.join().unwrap(), Some(n as i32));
                }
            });
            finish(runtime);
        }
    });
}

#[test]
fn waiting_for_many_children_takes_no_kernel_threads() {
    const CHILDREN: usize = 60;
    static WAITING: AtomicUsize = AtomicUsize::new(0);
    beside(|| {
        let runtime = Runtime::builder().processors(2).build().unwrap();
        runtime.run(|| {
            let mut inputs = Vec::new();
            let mut waits = Vec::new();
            for _ in 0..CHILDREN {
                let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
                inputs.push(child.stdin.take());
                waits.push(go(move || {
                    WAITING.fetch_add(1, Relaxed);
                    child.wait().unwrap().success()
                }));
            }
            while WAITING.load(Relaxed) < CHILDREN {
                yield_now();
            }
            drop(inputs);
            waits.into_iter().for_each(|wait| assert!(wait.join().unwrap()));
        });
        let threads = runtime.metrics().threads;
        assert!(threads < CHILDREN / 2, "{threads} threads");
        finish(runtime);
    });
}

#[test]
fn a_wait_for_a_child_ends_with_its_token() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let mut child = shell("read line").stdin(Stdio::piped()).spawn().unwrap();
            let input = child.stdin.take();
            let token = CancelToken::with_timeout(Duration::from_millis(1));
            let error = child.wait_cancel(&token).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(child.try_wait().unwrap(), None, "it goes on");
            child.kill().unwrap();
            let status = child.wait_cancel(&CancelToken::new()).unwrap();
            assert_eq!(status.signal(), Some(libc::SIGKILL));
            drop(input);
        });
        finish(runtime);
    });
    // On a plain thread, too.
    let mut child = shell("exit 4").spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
}
