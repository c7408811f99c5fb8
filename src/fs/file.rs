//! File: `std::fs::File`, with calls that wait without holding a processor.

use super::{FileTimes, Metadata, OpenOptions, Permissions};
use crate::io::call::{call, reads, stands_for, writes};
use std::fs::TryLockError;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// An open file like [`std::fs::File`], with conversions from and into that type.
///
/// Reads and writes wait without holding a processor. Each costs as much as a call of
/// [`blocking`](fn@crate::blocking), so use a [`BufReader`](io::BufReader) or a
/// [`BufWriter`](io::BufWriter) for small reads and writes. Dropping a `File` closes the file on the calling
/// kernel thread.
///
/// # Panics
/// In a model, every call that would touch the file panics.
#[derive(Debug)]
pub struct File(std::fs::File);

impl File {
    /// Opens a file for reading. To open a FIFO, waits until its other end is opened.
    ///
    /// Waits without holding a processor, as all calls of a file that may wait do.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::open`].
    #[track_caller]
    pub fn open(path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        call("File::open", || std::fs::File::open(path)).map(File)
    }

    /// Opens a file for writing. Makes the file if it does not exist, and empties it if it does.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::create`].
    #[track_caller]
    pub fn create(path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        call("File::create", || std::fs::File::create(path)).map(File)
    }

    /// Makes a file for reading and writing. Returns an error if the file exists.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::create_new`].
    #[track_caller]
    pub fn create_new(path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        call("File::create_new", || std::fs::File::create_new(path)).map(File)
    }

    /// Returns options for other ways to open a file.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Waits until the written data and the file's metadata are on the disk.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::sync_all`].
    #[track_caller]
    pub fn sync_all(&self) -> io::Result<()> {
        call("File::sync_all", || self.0.sync_all())
    }

    /// Waits until the written data is on the disk.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::sync_data`].
    #[track_caller]
    pub fn sync_data(&self) -> io::Result<()> {
        call("File::sync_data", || self.0.sync_data())
    }

    /// Truncates the file, or extends it with zeros.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::set_len`].
    #[track_caller]
    pub fn set_len(&self, size: u64) -> io::Result<()> {
        call("File::set_len", || self.0.set_len(size))
    }

    /// Returns the file's metadata.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::metadata`].
    #[track_caller]
    pub fn metadata(&self) -> io::Result<Metadata> {
        call("File::metadata", || self.0.metadata())
    }

    /// Changes the file's permissions.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::set_permissions`].
    #[track_caller]
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        call("File::set_permissions", || self.0.set_permissions(permissions))
    }

    /// Changes the file's times.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::set_times`].
    #[track_caller]
    pub fn set_times(&self, times: FileTimes) -> io::Result<()> {
        call("File::set_times", || self.0.set_times(times))
    }

    /// Waits until this handle holds the file's exclusive lock. The lock belongs to the handle, not to the goroutine.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::lock`].
    #[track_caller]
    pub fn lock(&self) -> io::Result<()> {
        call("File::lock", || self.0.lock())
    }

    /// Works like [`lock`](Self::lock), but other handles may share the lock.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::lock_shared`].
    #[track_caller]
    pub fn lock_shared(&self) -> io::Result<()> {
        call("File::lock_shared", || self.0.lock_shared())
    }

    /// Locks the file if no other handle holds the lock.
    ///
    /// # Errors
    /// Fails if another handle holds the lock, and returns the errors of [`std::fs::File::try_lock`].
    #[track_caller]
    pub fn try_lock(&self) -> Result<(), TryLockError> {
        call("File::try_lock", || self.0.try_lock())
    }

    /// Works like [`try_lock`](Self::try_lock), but other handles may share the lock.
    ///
    /// # Errors
    /// Returns the same errors as [`try_lock`](Self::try_lock).
    #[track_caller]
    pub fn try_lock_shared(&self) -> Result<(), TryLockError> {
        call("File::try_lock_shared", || self.0.try_lock_shared())
    }

    /// Releases the lock.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::File::unlock`].
    #[track_caller]
    pub fn unlock(&self) -> io::Result<()> {
        call("File::unlock", || self.0.unlock())
    }

    /// Returns another handle to the same open file, which shares the position. Never waits.
    ///
    /// # Errors
    /// Fails if no file descriptor is left.
    pub fn try_clone(&self) -> io::Result<File> {
        self.0.try_clone().map(File)
    }
}

reads!(File);
writes!(File);
stands_for!(File, std::fs::File);

/// Never waits.
impl Seek for &File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        (&self.0).seek(position)
    }
}

/// Never waits.
impl Seek for File {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.0.seek(position)
    }
}

/// Reads and writes at a given offset, independently of the file's position.
impl FileExt for File {
    #[track_caller]
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        call("File::read_at", || self.0.read_at(buf, offset))
    }

    #[track_caller]
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        call("File::write_at", || self.0.write_at(buf, offset))
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        File(fd.into())
    }
}

impl IntoRawFd for File {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}

#[allow(unsafe_code)]
impl FromRawFd for File {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller guarantees that `fd` is open and that the caller owns it, as `from_raw_fd` requires.
        File(unsafe { std::fs::File::from_raw_fd(fd) })
    }
}
