//! OpenOptions: `std::fs::OpenOptions`, with an `open` that waits without holding a processor.

use super::file::File;
use crate::io::call::call;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The options with which a file is opened. Like [`std::fs::OpenOptions`], with a conversion from that type.
///
/// ```no_run
/// use selvedge::fs::OpenOptions;
/// let log = OpenOptions::new().append(true).create(true).open("log")?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std::fs::OpenOptions);

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions::new()
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> Self {
        OpenOptions(options)
    }
}

impl OpenOptions {
    /// Returns options with nothing set.
    pub fn new() -> Self {
        OpenOptions(std::fs::OpenOptions::new())
    }

    /// Sets whether the file is opened for reading.
    pub fn read(&mut self, read: bool) -> &mut Self {
        self.0.read(read);
        self
    }

    /// Sets whether the file is opened for writing.
    pub fn write(&mut self, write: bool) -> &mut Self {
        self.0.write(write);
        self
    }

    /// Sets whether each write goes to the end of the file.
    pub fn append(&mut self, append: bool) -> &mut Self {
        self.0.append(append);
        self
    }

    /// Sets whether the file is emptied.
    pub fn truncate(&mut self, truncate: bool) -> &mut Self {
        self.0.truncate(truncate);
        self
    }

    /// Sets whether the file is made if it does not exist.
    pub fn create(&mut self, create: bool) -> &mut Self {
        self.0.create(create);
        self
    }

    /// Sets whether the file must be made. If so, [`open`](Self::open) returns an error if the file exists.
    pub fn create_new(&mut self, create_new: bool) -> &mut Self {
        self.0.create_new(create_new);
        self
    }

    /// Sets the permissions of a file that is made.
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.0.mode(mode);
        self
    }

    /// Sets flags for the kernel's `open`. Access modes are ignored.
    pub fn custom_flags(&mut self, flags: i32) -> &mut Self {
        self.0.custom_flags(flags);
        self
    }

    /// Opens the file. Waits without holding a processor. To open a FIFO, waits until its other end is opened.
    ///
    /// # Errors
    /// Returns the errors of [`std::fs::OpenOptions::open`].
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let path = path.as_ref();
        call("OpenOptions::open", || self.0.open(path)).map(File::from)
    }
}
