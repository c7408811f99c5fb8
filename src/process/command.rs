//! Command: `std::process::Command`, with calls that wait without holding a processor.

use super::child::Child;
use super::starter::start;
use super::{ExitStatus, Output, Stdio};
use crate::io::call::call;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// A process to be started; as [`std::process::Command`], from and into which it can be made for
/// whatever is not here.
#[derive(Debug)]
pub struct Command(std::process::Command);

impl Command {
    /// To run `program`, which is looked for in `PATH` unless it has a slash.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Command(std::process::Command::new(program))
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.0.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.0.args(args);
        self
    }

    /// Sets a variable of its environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.env(key, value);
        self
    }

    /// Sets variables of its environment.
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        self.0.envs(variables);
        self
    }

    /// Removes a variable of its environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.0.env_remove(key);
        self
    }

    /// It inherits no variable of the environment.
    pub fn env_clear(&mut self) -> &mut Self {
        self.0.env_clear();
        self
    }

    /// Where it works.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.0.current_dir(directory);
        self
    }

    /// Its standard input. Inherited, unless [`output`](Self::output) starts it.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.0.stdin(stdin);
        self
    }

    /// Its standard output. Inherited, unless [`output`](Self::output) starts it.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.0.stdout(stdout);
        self
    }

    /// Its standard error output. Inherited, unless [`output`](Self::output) starts it.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.0.stderr(stderr);
        self
    }

    /// Starts it. Waits, without holding a processor, until the kernel has.
    ///
    /// In a goroutine, a kernel thread starts it that stays for the life of the process: so a child that
    /// asks for a signal at the end of its parent (`PR_SET_PDEATHSIG`, in
    /// [`pre_exec`](std::os::unix::process::CommandExt::pre_exec)) gets it when the process ends, and not
    /// when some thread of the runtime does. What is a kernel thread's own, such as a namespace or an
    /// affinity, the child has from that thread. On a plain thread, as `std`'s.
    ///
    /// # Errors
    /// If there is no such program, or no process can be had.
    ///
    /// # Panics
    /// In a model.
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        start("Command::spawn", || self.0.spawn()).map(Child::from)
    }

    /// Starts it, waits until it has ended, and says how.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn).
    ///
    /// # Panics
    /// In a model.
    #[track_caller]
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts it, and collects what it writes until it has ended. Its input is empty, and what it
    /// writes is captured, unless told otherwise.
    ///
    /// # Errors
    /// As [`spawn`](Self::spawn), and those of reading what it writes.
    ///
    /// # Panics
    /// In a model.
    #[track_caller]
    pub fn output(&mut self) -> io::Result<Output> {
        call("Command::output", || self.0.output())
    }

    /// `std`'s own, to be changed where it stands.
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.0
    }
}

impl From<std::process::Command> for Command {
    fn from(command: std::process::Command) -> Self {
        Command(command)
    }
}

impl From<Command> for std::process::Command {
    fn from(command: Command) -> Self {
        command.0
    }
}
