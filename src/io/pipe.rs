//! Pipe: `std::io::pipe`, with ends that wait without holding a processor.

use super::call::{reads, refuse_in_model, stands_for, writes};
use std::io;

/// Makes a pipe. Bytes that are written to one end can be read from the other, in this process or a child.
///
/// Never waits.
///
/// # Errors
/// Fails if the process, or the system, has no file descriptor left.
///
/// # Panics
/// Panics in a model.
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    refuse_in_model("pipe");
    let (reader, writer) = io::pipe()?;
    Ok((PipeReader(reader), PipeWriter(writer)))
}

/// The end of a pipe from which bytes are read. A read returns 0 bytes once all writers are gone and all their bytes
/// were read.
///
/// A read waits until there are bytes. Several goroutines can read through references to one handle.
#[derive(Debug)]
pub struct PipeReader(io::PipeReader);

/// The end of a pipe to which bytes are written. A write waits while the pipe is full (64 KiB), and fails with
/// [`BrokenPipe`](io::ErrorKind::BrokenPipe) once all readers are gone.
#[derive(Debug)]
pub struct PipeWriter(io::PipeWriter);

impl PipeReader {
    /// Returns another handle to the same end. Never waits.
    ///
    /// # Errors
    /// Fails if no file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(PipeReader)
    }
}

impl PipeWriter {
    /// Works like [`PipeReader::try_clone`].
    ///
    /// # Errors
    /// Fails if no file descriptor is left.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(PipeWriter)
    }
}

reads!(PipeReader);
writes!(PipeWriter);
stands_for!(PipeReader, io::PipeReader);
stands_for!(PipeWriter, io::PipeWriter);
