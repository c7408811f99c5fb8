//! Why goroutines can't have thread-locals of their own here.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;

/// Why this process can't give goroutines thread-local variables of their own.
///
/// Such a process can still build a runtime whose goroutines share the thread-locals of the kernel
/// thread that runs them: `Builder::build_anchored` and `Builder::build_migrating`, which are `unsafe`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadLocalsError {
    /// There is no code for this machine or this C library, or the feature `portable-switch` is on.
    Unsupported,
    /// A thread that only shows how the C library lays out a new thread could not be started.
    Thread {
        /// The C library's reason.
        errno: i32,
    },
    /// The C library does not export this function.
    Symbol {
        /// Its name.
        name: &'static str,
    },
    /// The C library's data about a thread is not as it must be.
    Layout {
        /// What was looked for and not found, or found and not understood.
        what: &'static str,
        /// Where: bytes from the thread pointer.
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
            "; build a runtime whose goroutines share their kernel thread's thread-locals, if its \
             contract can be kept: `Builder::build_anchored` or `Builder::build_migrating`",
        )
    }
}

impl std::error::Error for ThreadLocalsError {}
