//! Child processes, with `std::process`'s names. A goroutine that waits for a child, or for its streams,
//! holds no processor.
//!
//! A [`Command`] is a thin wrapper of `std`'s `Command`. The latter works in goroutines too, but a wait holds a
//! processor for some milliseconds, and delays the goroutines that are bound to its kernel thread until it ends.
//! In a model every call that would start a process panics.
//!
//! ```
//! use selvedge::process::Command;
//!
//! selvedge::Runtime::new()?.run(|| {
//!     let output = Command::new("echo").arg("a thread").output().unwrap();
//!     assert_eq!(output.stdout, b"a thread\n");
//! });
//! # Ok::<(), selvedge::BuildError>(())
//! ```
//! Checked by: proptests/io/process.rs.

mod child;
mod command;
mod starter;

pub use child::{Child, ChildStderr, ChildStdin, ChildStdout};
pub use command::Command;
pub use std::process::{ExitStatus, Output, Stdio, id};
