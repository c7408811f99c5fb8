//! Files, with `std::fs`'s names. Each call waits without holding a processor, so that the goroutines that
//! are bound to its kernel thread do not wait.
//!
//! `std::fs` works in goroutines as well: within some milliseconds, the runtime notices a
//! call that takes long, and retakes the processor of the goroutine that called.
//!
//! | | `std::fs` | `selvedge::fs` |
//! |---|---|---|
//! | a call for which the page cache holds the data | its own cost | 10 to 30 ns more alone on the kernel thread, some 20 µs more with other goroutines |
//! | a call that waits: a slow disk, a network's file system, a FIFO, a lock | goroutines that are bound to the kernel thread wait, others for some milliseconds | no other goroutine waits |
//!
//! Use this module if a call may wait, or if latency matters. For many short calls on files that are in
//! memory, use `std::fs`, or wrap all of the calls in one [`blocking`](fn@crate::blocking). A
//! [`File`] of this module and a [`std::fs::File`] convert into each other by `into`.
//!
//! A call that waits occupies a kernel thread. A runtime has a limited number of kernel threads
//! ([`Builder::max_threads`](crate::Builder::max_threads)), so calls beyond that limit wait until a thread is
//! free. A token can't end a call early, because the call is in the kernel.
//!
//! In a model ([`model`](crate::model)) every call panics, because a model has no real I/O.
//!
//! ```
//! use selvedge::{fs, go};
//!
//! selvedge::Runtime::new()?.run(|| {
//!     let reads: Vec<_> = ["Cargo.toml", "README.md"]
//!         .map(|path| go(move || fs::read_to_string(path)))
//!         .into_iter()
//!         .collect();
//!     for text in reads {
//!         assert!(text.join().unwrap().unwrap().contains("selvedge"));
//!     }
//! });
//! # Ok::<(), selvedge::BuildError>(())
//! ```
//! Checked by: proptests/io/main.rs.

mod dir;
mod file;
mod options;

pub use dir::{DirEntry, ReadDir, read_dir};
pub use file::File;
pub use options::OpenOptions;
pub use std::fs::{FileTimes, FileType, Metadata, Permissions};

use crate::io::call::call;
use std::io;
use std::path::{Path, PathBuf};

/// Defines functions that forward to the functions of `std::fs` that take one path.
macro_rules! of_path {
    ($($(#[$meta:meta])* $name:ident -> $answer:ty;)*) => { $(
        $(#[$meta])*
        ///
        /// Waits without holding a processor.
        ///
        /// # Errors
        #[doc = concat!("Those of [`std::fs::", stringify!($name), "`].")]
        ///
        /// # Panics
        /// Panics in a model.
        #[track_caller]
        pub fn $name(path: impl AsRef<Path>) -> io::Result<$answer> {
            let path = path.as_ref();
            call(concat!("fs::", stringify!($name)), || std::fs::$name(path))
        }
    )* };
}

/// Works like `of_path`, for functions that take two paths.
macro_rules! of_paths {
    ($($(#[$meta:meta])* $name:ident -> $answer:ty;)*) => { $(
        $(#[$meta])*
        ///
        /// Waits without holding a processor.
        ///
        /// # Errors
        #[doc = concat!("Those of [`std::fs::", stringify!($name), "`].")]
        ///
        /// # Panics
        /// Panics in a model.
        #[track_caller]
        pub fn $name(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<$answer> {
            let (from, to) = (from.as_ref(), to.as_ref());
            call(concat!("fs::", stringify!($name)), || std::fs::$name(from, to))
        }
    )* };
}

of_path! {
    /// Reads a whole file.
    read -> Vec<u8>;
    /// Reads a whole file of UTF-8.
    read_to_string -> String;
    /// Returns the metadata of a file, or of the target of a symbolic link.
    metadata -> Metadata;
    /// Works like [`metadata`], but returns the metadata of a symbolic link itself.
    symlink_metadata -> Metadata;
    /// Returns the absolute path, with all symbolic links resolved.
    canonicalize -> PathBuf;
    /// Returns the target of a symbolic link.
    read_link -> PathBuf;
    /// Returns whether something exists at this path, or an error if the kernel can't tell.
    exists -> bool;
    /// Makes a directory.
    create_dir -> ();
    /// Makes a directory, and its missing parent directories.
    create_dir_all -> ();
    /// Removes a file.
    remove_file -> ();
    /// Removes an empty directory.
    remove_dir -> ();
    /// Removes a directory with all that it holds. Follows no symbolic link.
    remove_dir_all -> ();
}

of_paths! {
    /// Gives a file another name, and replaces any file of that name.
    rename -> ();
    /// Copies a file's bytes and permissions, and returns the number of bytes.
    copy -> u64;
    /// Gives a file one more name (a hard link).
    hard_link -> ();
}

/// Writes `contents` as the whole contents of a file. Makes the file if it does not exist.
///
/// Waits without holding a processor.
///
/// # Errors
/// Returns the errors of [`std::fs::write`].
///
/// # Panics
/// Panics in a model.
#[track_caller]
pub fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref(), contents.as_ref());
    call("fs::write", || std::fs::write(path, contents))
}

/// Changes a file's permissions.
///
/// Waits without holding a processor.
///
/// # Errors
/// Returns the errors of [`std::fs::set_permissions`].
///
/// # Panics
/// Panics in a model.
#[track_caller]
pub fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref();
    call("fs::set_permissions", || std::fs::set_permissions(path, permissions))
}

/// Makes a symbolic link at `link` that leads to `original`.
///
/// Waits without holding a processor.
///
/// # Errors
/// Returns the errors of [`std::os::unix::fs::symlink`].
///
/// # Panics
/// Panics in a model.
#[track_caller]
pub fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref(), link.as_ref());
    call("fs::symlink", || std::os::unix::fs::symlink(original, link))
}
