//! Child: `std::process::Child`, with calls that wait without holding a processor. The poller reports the
//! end of a child through a descriptor of the process. If the kernel has no such descriptors, the wait for
//! the end runs in `blocking`.
//! Checked by: proptests/io/process.rs.
#![allow(unsafe_code)]

use super::{ExitStatus, Output};
use crate::cancel::CancelToken;
use crate::io::call::{call, reads, refuse_in_model, stands_for, writes};
use crate::net::cell::Way;
use crate::net::io::{Io, Patience};
use std::io::{self, ErrorKind};
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::Location;

/// A process that was started. Dropping it neither ends nor awaits the process: as with `std`'s, a
/// process that nothing waits for stays in the kernel's table after its end.
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

/// The standard output of a child. A read waits, without holding a processor, until there is some output.
#[derive(Debug)]
pub struct ChildStdout(io::PipeReader);

/// The standard error output of a child. As [`ChildStdout`].
#[derive(Debug)]
pub struct ChildStderr(io::PipeReader);

impl Child {
    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.inner.id()
    }

    /// Ends the child by SIGKILL. Never waits, not even for the child's end. Does nothing if the child's end
    /// was already waited for.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    /// Closes the child's input, waits until the child has ended, and returns its status. May be called again.
    ///
    /// Parks the goroutine, without a kernel thread of its own; blocks a plain thread. If the child can
    /// end only after its output is read, let another goroutine read the output, or call
    /// [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Errors
    /// If another caller has already waited for the process.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would wait; in a model.
    #[track_caller]
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        match self.wait_with(Patience::AsSet, Location::caller()) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                call("Child::wait", || self.inner.wait())
            }
            done => done,
        }
    }

    /// Works like [`wait`](Self::wait), until `token` is cancelled at the latest. The child then goes on, and may
    /// be killed, or waited for again.
    ///
    /// # Errors
    /// The same as for [`wait`](Self::wait); as [`TcpStream::read_cancel`](crate::net::TcpStream::read_cancel) if the
    /// token is cancelled; [`Unsupported`](ErrorKind::Unsupported) if the kernel can't report a
    /// process's end (before Linux 5.3), or no file descriptor is left.
    ///
    /// # Panics
    /// The same as for [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_cancel(&mut self, token: &CancelToken) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        self.wait_with(Patience::Token(token), Location::caller())
    }

    fn wait_with(
        &mut self,
        patience: Patience<'_>,
        place: &'static Location<'static>,
    ) -> io::Result<ExitStatus> {
        refuse_in_model("Child::wait");
        if let Some(status) = self.inner.try_wait()? {
            return Ok(status);
        }
        let process = Io::new(descriptor(&self.inner)?);
        process.run(Way::Read, patience, place, |_| {
            self.inner.try_wait()?.ok_or_else(|| ErrorKind::WouldBlock.into())
        })
    }

    /// Returns the child's status if the child has ended, else `None`. Never waits.
    ///
    /// # Errors
    /// If another caller has already waited for the process.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Closes the child's input, and collects its output until the child has ended.
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

/// Returns a descriptor that becomes readable when the process has ended. The process must not have been
/// waited for yet.
fn descriptor(child: &std::process::Child) -> io::Result<OwnedFd> {
    // SAFETY: the call takes a number and flags, and accesses no memory.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id() as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::new(ErrorKind::Unsupported, io::Error::last_os_error()));
    }
    // SAFETY: the kernel has just opened `fd`, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as libc::c_int) })
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
