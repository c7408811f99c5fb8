//! The reasons for which goroutines cannot have thread-locals of their own.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

/// Why this process cannot give goroutines thread-local variables of their own.
///
/// Such a process can still build a runtime in which goroutines share the thread-locals of the kernel thread
/// that runs them: `Builder::build_anchored` and `Builder::build_migrating`, which are `unsafe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadLocalsError {
    /// This machine or this C library is not supported, or the feature `portable-switch` is on.
    Unsupported,
    /// The runtime could not start a thread from which it learns how the C library lays out a new thread.
    Thread {
        /// The C library's reason.
        errno: i32,
    },
    /// The C library does not export a function that is needed.
    Symbol {
        /// The name of the function.
        name: &'static str,
    },
    /// The C library's data about a thread is not as expected.
    Layout {
        /// What was not found, or was found and not understood.
        what: &'static str,
        /// The offset of the data, in bytes from the thread pointer.
        offset: isize,
    },
}

impl fmt::Display for ThreadLocalsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("goroutines can't have thread-locals of their own here: ")?;
        match *self {
            ThreadLocalsError::Unsupported => f.write_str(
                "that needs Linux on x86-64 with the GNU C library, without the feature \
                 `portable-switch`",
            )?,
            ThreadLocalsError::Thread { errno } => write!(
                f,
                "a thread that shows what a new thread looks like could not be started ({})",
                io::Error::from_raw_os_error(errno)
            )?,
            ThreadLocalsError::Symbol { name } => {
                write!(f, "the C library does not export `{name}`")?;
            }
            ThreadLocalsError::Layout { what, offset } => {
                write!(f, "the C library is not as expected: {what} (thread pointer {offset:+})")?;
            }
        }
        f.write_str(
            "; build a runtime in which goroutines share their kernel thread's thread-locals, if its \
             contract can be kept: `Builder::build_anchored` or `Builder::build_migrating`",
        )
    }
}

impl std::error::Error for ThreadLocalsError {}
