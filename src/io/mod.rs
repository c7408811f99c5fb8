//! The standard streams, and pipes. A goroutine that reads from one, or writes to one that is full, waits
//! without holding a processor, and spares those at home on its kernel thread the wait.
//!
//! `std::io`'s own streams, `print!` and `println!` work too: a goroutine that blocks in one is noticed,
//! and its processor taken, within some milliseconds; in an anchored runtime those at home on its kernel
//! thread wait for it. So `println!` to a file or a terminal is fine, and reading `std::io::stdin` is
//! not. Traits, buffers and errors are `std::io`'s.
//!
//! Each call costs what [`blocking`](fn@crate::blocking) does: so wrap what you read or write in small
//! pieces in a [`BufReader`](std::io::BufReader) or [`BufWriter`](std::io::BufWriter).
//!
//! In a model ([`model`](crate::model)) every call panics: there is no real I/O there.
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
