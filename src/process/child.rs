//! Child: `std::process::Child`, whose calls wait without holding a processor.

use super::{ExitStatus, Output};
use crate::io::call::{call, reads, stands_for, writes};
use std::io;

/// A process that was started. Dropping it neither ends nor awaits the process: as with `std`'s, one that
/// nobody waits for stays in the kernel's table after its end.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    /// Its standard input, if that was made a pipe.
    pub stdin: Option<ChildStdin>,
    /// Its standard output, if that was made a pipe.
    pub stdout: Option<ChildStdout>,
    /// Its standard error output, if that was made a pipe.
    pub stderr: Option<ChildStderr>,
}

/// The standard input of a child. A write waits, without holding a processor, while the pipe is full.
/// Dropping it is what the child sees as the end of its input.
#[derive(Debug)]
pub struct ChildStdin(io::PipeWriter);

/// The standard output of a child. A read waits, without holding a processor, until there is some.
#[derive(Debug)]
pub struct ChildStdout(io::PipeReader);

/// The standard error output of a child. As [`ChildStdout`].
#[derive(Debug)]
pub struct ChildStderr(io::PipeReader);

impl Child {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Ends it by SIGKILL. Never waits: neither for its end. Nothing happens if it was waited for.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    /// Closes its input, waits until it has ended, and says how. It may be called again.
    ///
    /// Waits without holding a processor. Who has to read its output, so that it can end, lets another
    /// goroutine do that, or calls [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Errors
    /// If somebody else has waited for the process.
    #[track_caller]
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        call("Child::wait", || self.inner.wait())
    }

    /// How it has ended; `None` if it has not. Never waits.
    ///
    /// # Errors
    /// If somebody else has waited for the process.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Closes its input, and collects what comes of its output until it has ended.
    ///
    /// Waits without holding a processor.
    ///
    /// # Errors
    /// Those of reading; and as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_with_output(self) -> io::Result<Output> {
        let child = std::process::Child::from(self);
        call("Child::wait_with_output", || child.wait_with_output())
    }
}

impl From<std::process::Child> for Child {
    fn from(mut inner: std::process::Child) -> Self {
        let stdin = inner.stdin.take().map(ChildStdin::from);
        let stdout = inner.stdout.take().map(ChildStdout::from);
        let stderr = inner.stderr.take().map(ChildStderr::from);
        Child { inner, stdin, stdout, stderr }
    }
}

impl From<Child> for std::process::Child {
    fn from(child: Child) -> Self {
        let Child { mut inner, stdin, stdout, stderr } = child;
        inner.stdin = stdin.map(Into::into);
        inner.stdout = stdout.map(Into::into);
        inner.stderr = stderr.map(Into::into);
        inner
    }
}

writes!(ChildStdin);
reads!(ChildStdout);
reads!(ChildStderr);
stands_for!(ChildStdin, std::process::ChildStdin);
stands_for!(ChildStdout, std::process::ChildStdout);
stands_for!(ChildStderr, std::process::ChildStderr);
