//! Processes of a test's own.

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Output, Stdio};

const PART: &str = "SELVEDGE_ENVIRONMENT";
/// No part takes longer, unless something hangs: then the alarm ends it.
const SECONDS: u32 = 60;

/// How a process ended.
pub struct Ended {
    pub stdout: String,
    pub stderr: String,
    pub signal: Option<i32>,
    pub code: Option<i32>,
}

/// Runs `part` in a process of its own, which is the test of this name again: there it does not return.
/// Here, how that process ended.
pub fn process(test: &str, part: impl FnOnce()) -> Ended {
    if is_part(test) {
        part();
        std::process::exit(0);
    }
    Ended::of(command(test).output().expect("a process"))
}

/// Whether this is the process of the test of this name.
pub fn is_part(test: &str) -> bool {
    let own = std::env::var_os(PART).is_some_and(|part| part == test);
    if own {
        // SAFETY: takes no pointer.
        unsafe { libc::alarm(SECONDS) };
    }
    own
}

/// What starts the process of a test, to be held by the test itself.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test program"));
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(PART, test)
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        // One group for it and its children, so that a test may signal all of them.
        .process_group(0);
    command
}

impl Ended {
    fn of(output: Output) -> Ended {
        Ended {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            signal: output.status.signal(),
            code: output.status.code(),
        }
    }

    /// It ran to its end.
    #[track_caller]
    pub fn well(&self) {
        assert_eq!((self.code, self.signal), (Some(0), None), "{}", self.all());
    }

    /// It ended by the runtime's own decision, which it explained by these words, and did not take for
    /// a bug of the runtime's.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        assert_eq!(self.signal, Some(libc::SIGABRT), "{}", self.all());
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.all());
        }
        assert!(!self.stderr.contains("bug in selvedge"), "{}", self.all());
    }

    pub fn all(&self) -> String {
        let Ended { stdout, stderr, signal, code } = self;
        format!("signal {signal:?}, code {code:?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}
