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

/// A process that was started. Dropping a `Child` neither ends the process nor waits for it. As with `std`'s
/// `Child`, a process for which no code waits stays in the kernel's table after its end.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
    /// The child's standard input, if it is a pipe.
    pub stdin: Option<ChildStdin>,
    /// The child's standard output, if it is a pipe.
    pub stdout: Option<ChildStdout>,
    /// The child's standard error output, if it is a pipe.
    pub stderr: Option<ChildStderr>,
}

/// The standard input of a child. A write waits, without holding a processor, while the pipe is full.
/// When it is dropped, the child's input ends.
#[derive(Debug)]
pub struct ChildStdin(io::PipeWriter);

/// The standard output of a child. A read waits, without holding a processor, until there is some output.
#[derive(Debug)]
pub struct ChildStdout(io::PipeReader);

/// The standard error output of a child. This type works like [`ChildStdout`].
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
    /// Fails if the kernel refuses.
    pub fn kill(&mut self) -> io::Result<()> {
        self.inner.kill()
    }

    /// Closes the child's input, waits until the child has ended, and returns its status. Later calls return the same
    /// status.
    ///
    /// Parks a goroutine, and needs no kernel thread for the wait. Blocks a plain thread. If the child can
    /// end only after its output is read, let another goroutine read the output, or call
    /// [`wait_with_output`](Self::wait_with_output).
    ///
    /// # Errors
    /// Fails if another caller has already waited for the process.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would wait, and in a model.
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

    /// Works like [`wait`](Self::wait), until `token` is cancelled at the latest. A cancellation does not
    /// end the child. The caller may then kill the child, or wait for it again.
    ///
    /// # Errors
    /// Returns the same errors as [`wait`](Self::wait). If the token is cancelled, returns the error of
    /// [`TcpStream::read_cancel`](crate::net::TcpStream::read_cancel). Returns
    /// [`Unsupported`](ErrorKind::Unsupported) if the kernel can't report a process's end (before Linux 5.3). Fails if
    /// no file descriptor is left.
    ///
    /// # Panics
    /// Panics in the same cases as [`wait`](Self::wait).
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
    /// Fails if another caller has already waited for the process.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.inner.try_wait()
    }

    /// Closes the child's input, and collects its output until the child has ended.
    ///
    /// Waits without holding a processor.
    ///
    /// # Errors
    /// Returns the errors of reading, and the same errors as [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_with_output(self) -> io::Result<Output> {
        let child = std::process::Child::from(self);
        call("Child::wait_with_output", || child.wait_with_output())
    }
}

/// Returns a descriptor that becomes readable when the process has ended. No code may have waited for the
/// process before.
fn descriptor(child: &std::process::Child) -> io::Result<OwnedFd> {
    // SAFETY: `pidfd_open` takes a process id and flags as numbers, and accesses no memory of this process.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id() as libc::pid_t, 0) };
    if fd < 0 {
        return Err(io::Error::new(ErrorKind::Unsupported, io::Error::last_os_error()));
    }
    // SAFETY: `pidfd_open` has just returned `fd`, so `fd` is open and nothing else owns it.
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
