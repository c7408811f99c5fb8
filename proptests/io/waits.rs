//! Who waits in the kernel holds up nobody. One processor, and two goroutines at home on one kernel
//! thread: the first waits for what the second does.

use crate::Scratch;
use crate::common::{Gate, beside, finish, thread_id};
use selvedge::fs::File;
use selvedge::io::{pipe, stdin};
use selvedge::process::{Command, Stdio};
use selvedge::{Runtime, go, yield_now};
use std::ffi::CString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Calls `waits`, which returns after `release` was called: both in goroutines at home on one kernel
/// thread. The outcome is what `waits` answers. If `waits` kept the kernel thread, `release` would never
/// be called, and the test hang.
fn neighbours<T: Send + 'static, W: Send + 'static>(
    waits: impl Fn() -> (W, Box<dyn FnOnce() -> T + Send>),
    release: impl Fn(W) + Copy + Send + 'static,
) -> T {
    // A runtime may have had its processor taken meanwhile, as on a machine that is busy: then the two
    // have different homes, and it is tried again.
    loop {
        let runtime = Runtime::builder().processors(1).build().unwrap();
        let (own, wait) = waits();
        let outcome = runtime.run(move || {
            let gate = Arc::new(Gate::default());
            let (first_gate, home) = (Arc::clone(&gate), thread_id());
            let first = go(move || {
                let own = thread_id();
                first_gate.pass();
                (own == home).then(wait)
            });
            let second = go(move || {
                let same = thread_id() == home;
                gate.open();
                // The first goes to wait.
                (0..10).for_each(|_| yield_now());
                release(own);
                same
            });
            let same = second.join().unwrap();
            first.join().unwrap().filter(|_| same)
        });
        finish(runtime);
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
}

#[test]
fn a_read_of_a_pipe_spares_its_neighbours() {
    beside(|| {
        let read = neighbours(
            || {
                let (mut reader, writer) = pipe().unwrap();
                let wait = move || {
                    let mut bytes = [0; 4];
                    reader.read_exact(&mut bytes).map(|()| bytes)
                };
                (writer, Box::new(wait))
            },
            |mut writer| writer.write_all(b"weft").unwrap(),
        );
        assert_eq!(&read.unwrap(), b"weft");
    });
}

#[test]
fn a_write_to_a_full_pipe_spares_its_neighbours() {
    const MUCH: usize = 1 << 20;
    beside(|| {
        let written = neighbours(
            || {
                let (reader, mut writer) = pipe().unwrap();
                (reader, Box::new(move || writer.write_all(&vec![7; MUCH])))
            },
            |mut reader| {
                let mut bytes = Vec::new();
                reader.read_to_end(&mut bytes).unwrap();
                assert_eq!(bytes.len(), MUCH);
            },
        );
        written.unwrap();
    });
}

fn fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a path that ends in zero.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

#[test]
fn a_fifo_that_is_opened_and_read_spares_its_neighbours() {
    beside(|| {
        let scratch = Arc::new(Scratch::new());
        let tries = std::cell::Cell::new(0);
        let read = neighbours(
            || {
                tries.set(tries.get() + 1);
                let path = scratch.path().join(tries.get().to_string());
                fifo(&path);
                let own = path.clone();
                let wait = move || {
                    let mut text = String::new();
                    File::open(own)?.read_to_string(&mut text).map(|_| text)
                };
                (path, Box::new(wait))
            },
            |path| File::options().write(true).open(path).unwrap().write_all(b"warp").unwrap(),
        );
        assert_eq!(read.unwrap(), "warp");
    });
}

#[test]
fn a_wait_for_a_child_and_for_its_output_spares_the_neighbours() {
    beside(|| {
        let cat = || {
            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("cat")
        };
        let status = neighbours(
            || {
                let mut child = cat();
                let input = child.stdin.take().unwrap();
                (input, Box::new(move || child.wait()))
            },
            drop,
        );
        assert!(status.unwrap().success());
        let output = neighbours(
            || {
                let mut child = cat();
                let input = child.stdin.take().unwrap();
                (input, Box::new(move || child.wait_with_output()))
            },
            |mut input| input.write_all(b"weft").unwrap(),
        );
        assert_eq!(output.unwrap().stdout, b"weft");
    });
}

/// The child's part of the next test.
#[test]
fn child_that_reads_its_input() {
    if std::env::var_os("SELVEDGE_CHILD").is_none() {
        return;
    }
    let line = neighbours(
        || {
            let wait = || {
                let mut line = String::new();
                stdin().read_line(&mut line).map(|_| line)
            };
            ((), Box::new(wait))
        },
        // The parent answers this with a line.
        |()| writeln!(selvedge::io::stdout(), "\nthe neighbour runs").unwrap(),
    );
    writeln!(selvedge::io::stdout(), "read {:?}", line.unwrap()).unwrap();
    let rest: Vec<_> = stdin().lines().map(Result::unwrap).collect();
    writeln!(selvedge::io::stdout(), "then {rest:?}").unwrap();
}

#[test]
fn a_read_of_the_standard_input_spares_its_neighbours() {
    beside(|| {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["waits::child_that_reads_its_input", "--exact", "--nocapture"])
            .env("SELVEDGE_CHILD", "1")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut lines = std::io::BufRead::lines(&mut said).map(Result::unwrap);
        assert!(lines.any(|line| line == "the neighbour runs"), "it keeps the kernel thread");
        input.write_all(b"first\nsecond\r\nthird").unwrap();
        drop(input);
        let rest: Vec<_> = lines.collect();
        for line in [r#"read "first\n""#, r#"then ["second", "third"]"#] {
            assert!(rest.iter().any(|said| said == line), "no {line:?} in {rest:?}");
        }
        assert!(child.wait().unwrap().success());
    });
}
