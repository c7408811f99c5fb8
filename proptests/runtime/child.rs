//! A process of its own for a test: the test runs itself again in a child.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const CHILD: &str = "SELVEDGE_CHILD";

/// The stack of each thread of a child.
pub const THREAD_STACK: u64 = 64 << 20;

/// How a child ended.
pub struct End {
    pub stderr: String,
    pub signal: Option<i32>,
    pub code: Option<i32>,
}

/// Runs `body`, which is all of the test of this name, in a child process: in the parent, how the child
/// ended. Its code is 0 if `body` returned, 101 if it panicked.
pub fn in_child(module: &str, test: &str, body: impl FnOnce()) -> End {
    if std::env::var_os(CHILD).is_some_and(|name| name == test) {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        std::process::exit(if outcome.is_ok() { 0 } else { 101 });
    }
    let child = Command::new(std::env::current_exe().expect("the test program"))
        .args([&format!("{module}::{test}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env("RUST_BACKTRACE", "0")
        .env("RUST_MIN_STACK", THREAD_STACK.to_string())
        .output()
        .expect("a child");
    let stderr = String::from_utf8_lossy(&child.stderr).into_owned();
    // A name that no test has would pass.
    let stdout = String::from_utf8_lossy(&child.stdout);
    assert!(stdout.contains("running 1 test"), "no test {module}::{test}: {stdout}");
    End { stderr, signal: child.status.signal(), code: child.status.code() }
}

impl End {
    #[track_caller]
    pub fn is_abort_after(&self, words: &[&str]) {
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {:?}", self.stderr);
        }
        assert_eq!(self.signal, Some(libc::SIGABRT), "{}", self.stderr);
    }

    #[track_caller]
    pub fn is_success(&self) {
        assert_eq!((self.code, self.signal), (Some(0), None), "{}", self.stderr);
    }
}
