//! Pipe: `std::io::pipe`, with ends that wait without holding a processor.

use super::call::{reads, refuse_in_model, stands_for, writes};
use std::io;

/// Makes a pipe. Bytes that are written to one end can be read from the other, in this process or a child.
///
/// Never waits.
///
/// # Errors
/// If the process, or the system, has no file descriptor left.
///
/// # Panics
/// In a model.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    refuse_in_model("pipe");
    let (reader, writer) = io::pipe()?;
    Ok((PipeReader(reader), PipeWriter(writer)))
}

/// The end of a pipe that is read. A read returns 0 bytes once all writers are gone and all their bytes
/// were read.
///
/// A read waits until there are bytes. If another goroutine holds the handle, read through a reference.
#[derive(Debug)]
pub struct PipeReader(io::PipeReader);

/// The end of a pipe that is written to. A write waits while the pipe is full (64 KiB), and fails with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) once all readers are gone.
#[derive(Debug)]
pub struct PipeWriter(io::PipeWriter);

impl PipeReader {
    /// Returns another handle to the same end. Never waits.
    ///
    /// # Errors
    /// If no file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(PipeReader)
    }
}

impl PipeWriter {
    /// Works like [`PipeReader::try_clone`].
    ///
    /// # Errors
    /// If no file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(PipeWriter)
    }
}

reads!(PipeReader);
writes!(PipeWriter);
stands_for!(PipeReader, io::PipeReader);
stands_for!(PipeWriter, io::PipeWriter);
