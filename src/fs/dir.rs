//! Dir: `std::fs::read_dir`, which reads several entries in one call.

use super::{FileType, Metadata};
use crate::io::call::call;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

/// The number of entries that one call reads. Each such call may wait.
const AT_ONCE: usize = 128;

/// Returns an iterator over the entries of a directory, in no particular order, without `.` and `..`.
///
/// Waits without holding a processor.
///
/// # Errors
/// Returns the errors of [`std::fs::read_dir`].
///
/// # Panics
/// Panics in a model.
#[track_caller]
pub fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref();
    let inner = call("fs::read_dir", || std::fs::read_dir(path))?;
    Ok(ReadDir { inner, read: VecDeque::new(), ended: false })
}

/// The entries of a directory; made by [`read_dir`]. The iterator reads some entries ahead, so most steps don't
/// wait.
#[derive(Debug)]
pub struct ReadDir {
    inner: std::fs::ReadDir,
    read: VecDeque<io::Result<std::fs::DirEntry>>,
    ended: bool,
}

impl Iterator for ReadDir {
    type Item = io::Result<DirEntry>;

    #[track_caller]
    fn next(&mut self) -> Option<io::Result<DirEntry>> {
        if self.read.is_empty() && !self.ended {
            let (inner, read) = (&mut self.inner, &mut self.read);
            call("ReadDir::next", || read.extend(inner.take(AT_ONCE)));
            self.ended = self.read.len() < AT_ONCE;
        }
        Some(self.read.pop_front()?.map(DirEntry))
    }
}

/// An entry of a directory.
#[derive(Debug)]
pub struct DirEntry(std::fs::DirEntry);

impl DirEntry {
    /// Returns the entry's path: the path given to [`read_dir`], joined with the entry's name.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// Returns the entry's name in the directory.
    pub fn file_name(&self) -> OsString {
        self.0.file_name()
    }

    /// Returns the entry's inode number.
    pub fn ino(&self) -> u64 {
        self.0.ino()
    }

    /// Returns the entry's metadata; for a symbolic link, the metadata of the link itself. Waits without holding a
    /// processor.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::DirEntry::metadata`].
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        call("DirEntry::metadata", || self.0.metadata())
    }

    /// Returns the kind of file. Mostly the kind is already known. If the kind is not known, the call waits as
    /// [`metadata`](Self::metadata) does.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::DirEntry::file_type`].
    #[track_caller]
    pub fn file_type(&self) -> io::Result<FileType> {
        call("DirEntry::file_type", || self.0.file_type())
    }
}
