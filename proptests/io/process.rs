//! Children: how they end, what they write, and many at once.

use crate::common::{BOTH, beside, everywhere, finish};
use selvedge::go;
use selvedge::process::{Command, Stdio};
use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;

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
        for placement in BOTH {
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
        for placement in BOTH {
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
