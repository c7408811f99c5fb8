//! Stdio: the three standard streams of the process, as in `std::io`. Each stream has one buffer, which
//! `std`'s own handles share.

use super::call::{call, reads, writes};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

/// Returns the standard input of the process, with the one buffer that `std::io::stdin` uses too.
pub fn stdin() -> Stdin {
    Stdin(io::stdin())
}

/// Returns the standard output of the process, buffered by lines, as `std::io::stdout` does.
pub fn stdout() -> Stdout {
    Stdout(io::stdout())
}

/// Returns the standard error output of the process, without a buffer.
pub fn stderr() -> Stderr {
    Stderr(io::stderr())
}

/// The standard input; made by [`stdin`]. While a read waits, it holds the stream's lock, so a whole line goes to
/// the first caller.
///
/// There is no method `lock`, because the guard would belong to a kernel thread.
#[derive(Debug)]
pub struct Stdin(io::Stdin);

impl Stdin {
    /// Reads a line, its end included, and appends it to `buf`. Returns 0 at the end of the input.
    ///
    /// Waits without holding a processor.
    ///
    /// # Errors
    /// Returns the errors of the read, and an error if the line is not UTF-8.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn read_line(&self, buf: &mut String) -> io::Result<usize> {
        call("Stdin::read_line", || self.0.read_line(buf))
    }

    /// Returns an iterator over the lines, without their ends. Each step waits as [`read_line`](Self::read_line) does.
    pub fn lines(self) -> Lines {
        Lines(self)
    }
}

/// The lines of the standard input; made by [`Stdin::lines`].
#[derive(Debug)]
pub struct Lines(Stdin);

impl Iterator for Lines {
    type Item = io::Result<String>;

    #[track_caller]
    fn next(&mut self) -> Option<io::Result<String>> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => {
                let bare = line.strip_suffix('\n').unwrap_or(&line);
                let length = bare.strip_suffix('\r').unwrap_or(bare).len();
                line.truncate(length);
                Some(Ok(line))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

/// The standard output; made by [`stdout`]. Other writers can't split the output of one `write!` or
/// `write_all`.
#[derive(Debug)]
pub struct Stdout(io::Stdout);

/// The standard error output; made by [`stderr`]. This type works like [`Stdout`], without a buffer.
#[derive(Debug)]
pub struct Stderr(io::Stderr);

reads!(Stdin);
writes!(Stdout);
writes!(Stderr);

macro_rules! has_fd {
    ($handle:ident) => {
        impl AsFd for $handle {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl AsRawFd for $handle {
            fn as_raw_fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
        }
    };
}

has_fd!(Stdin);
has_fd!(Stdout);
has_fd!(Stderr);
