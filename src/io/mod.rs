//! The standard streams, and pipes. A goroutine that reads from a stream or pipe, or writes to a full pipe,
//! waits without holding a processor, so that the goroutines that are bound to its kernel thread do not wait.
//!
//! `std::io`'s own streams, `print!` and `println!` work too. The runtime notices a goroutine that
//! blocks in such a call, and retakes its processor, within some milliseconds. In an anchored runtime the
//! goroutines that are bound to its kernel thread wait. So use `println!` for a file or a terminal, but do not
//! read `std::io::stdin`. The traits, buffers and errors are the types of `std::io`.
//!
//! Each call costs as much as [`blocking`](fn@crate::blocking). For small reads and writes, wrap the
//! stream in a [`BufReader`](std::io::BufReader) or [`BufWriter`](std::io::BufWriter).
//!
//! In a model ([`model`](crate::model)) every call panics, because a model has no real I/O.
//!
//! ```
//! use selvedge::io::pipe;
//! use std::io::{Read, Write};
//!
//! selvedge::Runtime::new()?.run(|| {
//!     let (mut reader, mut writer) = pipe().unwrap();
//!     let all = selvedge::go(move || {
//!         let mut all = String::new();
//!         reader.read_to_string(&mut all).map(|_| all)
//!     });
//!     writer.write_all(b"warp and weft").unwrap();
//!     drop(writer);
//!     assert_eq!(all.join().unwrap().unwrap(), "warp and weft");
//! });
//! # Ok::<(), selvedge::BuildError>(())
//! ```
//! Checked by: proptests/io/main.rs.
#![forbid(unsafe_code)]

pub(crate) mod call;
mod pipe;
mod stdio;

pub use pipe::{PipeReader, PipeWriter, pipe};
pub use stdio::{Lines, Stderr, Stdin, Stdout, stderr, stdin, stdout};
