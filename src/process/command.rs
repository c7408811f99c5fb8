//! Command: `std::process::Command`, with calls that wait without holding a processor.

use super::child::Child;
use super::starter::start;
use super::{ExitStatus, Output, Stdio};
use crate::io::call::call;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

/// A description of a process to start, like [`std::process::Command`]. For options that this type does not have,
/// convert from and into that type.
#[derive(Debug)]
pub struct Command(std::process::Command);

impl Command {
    /// Returns a command that runs `program`, which is searched in `PATH` unless it contains a slash.
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

    /// Sets a variable of the process's environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.0.env(key, value);
        self
    }

    /// Sets variables of the process's environment.
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        self.0.envs(variables);
        self
    }

    /// Removes a variable from the process's environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.0.env_remove(key);
        self
    }

    /// Lets the process inherit no environment variable.
    pub fn env_clear(&mut self) -> &mut Self {
        self.0.env_clear();
        self
    }

    /// Sets the process's working directory.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.0.current_dir(directory);
        self
    }

    /// Sets the standard input. By default the process inherits it, or has an empty input if
    /// [`output`](Self::output) starts the process.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.0.stdin(stdin);
        self
    }

    /// Sets the standard output. By default the process inherits it, unless [`output`](Self::output) starts the
    /// process.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.0.stdout(stdout);
        self
    }

    /// Sets the standard error output. By default the process inherits it, unless [`output`](Self::output) starts the
    /// process.
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.0.stderr(stderr);
        self
    }

    /// Starts the process. Waits, without holding a processor, until the kernel has started it.
    ///
    /// In a goroutine, the child is started by a kernel thread that stays for the life of this process. So
    /// a child that asks for a signal at the end of its parent (`PR_SET_PDEATHSIG`, in
    /// [`pre_exec`](std::os::unix::process::CommandExt::pre_exec)) gets the signal when this process
    /// ends, and not when some thread of the runtime ends. The child inherits the properties of a kernel
    /// thread, such as a namespace or an affinity, from that thread. If a plain thread calls `spawn`, that thread
    /// starts the child itself, as with `std`.
    ///
    /// # Errors
    /// Fails if there is no such program, or no process can be created.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn spawn(&mut self) -> io::Result<Child> {
        start("Command::spawn", || self.0.spawn()).map(Child::from)
    }

    /// Starts the process, waits until it has ended, and returns its status.
    ///
    /// # Errors
    /// Returns the same errors as [`spawn`](Self::spawn).
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts the process, and collects its output until it has ended. Unless set otherwise, the process's input is
    /// empty, and its output is captured.
    ///
    /// # Errors
    /// Returns the same errors as [`spawn`](Self::spawn), and the errors of reading the output.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn output(&mut self) -> io::Result<Output> {
        call("Command::output", || self.0.output())
    }

    /// Returns `std`'s command, to change it in place.
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
