//! A process for each test, since most change something of the whole process.

use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

const CHILD: &str = "SELVEDGE_KERNEL_CHILD";
/// A child that hangs is ended by SIGALRM.
const SECONDS: u32 = 60;

pub struct End {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// Runs `body` in a child process: in the parent, how the child ended. Its code is 0 if `body` returned,
/// 101 if it panicked.
pub fn process(test: &str, body: impl FnOnce()) -> End {
    process_with(test, &[], body)
}

/// As [`process`], with environment variables.
pub fn process_with(test: &str, variables: &[(&str, &str)], body: impl FnOnce()) -> End {
    if std::env::var_os(CHILD).is_some_and(|name| name == test) {
        // SAFETY: takes no pointer.
        unsafe { libc::alarm(SECONDS) };
        let outcome = catch_unwind(AssertUnwindSafe(body));
        std::process::exit(if outcome.is_ok() { 0 } else { 101 });
    }
    let child = Command::new(std::env::current_exe().expect("the test program"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env("RUST_BACKTRACE", "0")
        .envs(variables.iter().copied())
        .output()
        .expect("a child");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&child.stdout), text(&child.stderr));
    End { stdout, stderr, signal: child.status.signal(), code: child.status.code() }
}

impl End {
    #[track_caller]
    pub fn is_success(&self) {
        let ended = (self.code, self.signal);
        assert_eq!(ended, (Some(0), None), "{}\n{}", self.stdout, self.stderr);
    }
}

/// How a process that was forked ended: its code, or minus the number of the signal that ended it.
pub fn await_process(id: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: a place for the answer.
    assert_eq!(unsafe { libc::waitpid(id, &mut status, 0) }, id);
    if libc::WIFSIGNALED(status) { -libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}
