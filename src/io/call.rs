//! Call: runs system calls that may take long in `blocking`, so that other goroutines continue. Also defines
//! the traits and conversions that the handles of files, pipes and streams share.
#![forbid(unsafe_code)]

use crate::observe::run_log;
use crate::sched::blocking::blocking;

/// Calls `f`, which may block its kernel thread. `what` is the public name of the call.
///
/// # Panics
/// In a model, because `f` would have effects that the model can't undo between executions.
#[track_caller]
pub(crate) fn call<T: Send>(what: &'static str, f: impl FnOnce() -> T + Send) -> T {
    refuse_in_model(what);
    blocking(f)
}

/// Panics in a model or a simulation.
#[inline]
#[track_caller]
pub(crate) fn refuse_in_model(what: &'static str) {
    if run_log::is_open() {
        refuse(what);
    }
}

#[cold]
#[track_caller]
fn refuse(what: &'static str) -> ! {
    panic!(
        "{what}: a model has no real I/O: what one execution does to the world, the next would find; \
         give the program a channel, or a value in memory, in its place"
    );
}

/// Implements `Read` for a handle and for a reference to it. Field 0 of the handle is `std`'s handle.
macro_rules! reads {
    ($handle:ident) => {
        /// Each call waits in the kernel without holding a processor; see the type of the handle.
        impl std::io::Read for &$handle {
            #[track_caller]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                $crate::io::call::call("read", || (&self.0).read(buf))
            }

            #[track_caller]
            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                $crate::io::call::call("read", || (&self.0).read_vectored(bufs))
            }

            #[track_caller]
            fn read_to_end(&mut self, buf: &mut Vec<u8>) -> std::io::Result<usize> {
                $crate::io::call::call("read", || (&self.0).read_to_end(buf))
            }

            #[track_caller]
            fn read_to_string(&mut self, buf: &mut String) -> std::io::Result<usize> {
                $crate::io::call::call("read", || (&self.0).read_to_string(buf))
            }
        }

        $crate::io::call::reads!(by reference $handle);
    };
    (by reference $handle:ident) => {
        /// Works like `Read` for a reference to the handle.
        impl std::io::Read for $handle {
            #[track_caller]
            fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buf)
            }

            #[track_caller]
            fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(bufs)
            }

            #[track_caller]
            fn read_to_end(&mut self, buf: &mut Vec<u8>) -> std::io::Result<usize> {
                (&*self).read_to_end(buf)
            }

            #[track_caller]
            fn read_to_string(&mut self, buf: &mut String) -> std::io::Result<usize> {
                (&*self).read_to_string(buf)
            }
        }
    };
}

/// Implements `Write` for a handle and for a reference to it. Field 0 of the handle is `std`'s handle.
macro_rules! writes {
    ($handle:ident) => {
        /// Each call waits in the kernel without holding a processor; see the type of the handle.
        impl std::io::Write for &$handle {
            #[track_caller]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                $crate::io::call::call("write", || (&self.0).write(buf))
            }

            #[track_caller]
            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                $crate::io::call::call("write", || (&self.0).write_vectored(bufs))
            }

            #[track_caller]
            fn flush(&mut self) -> std::io::Result<()> {
                $crate::io::call::call("flush", || (&self.0).flush())
            }

            #[track_caller]
            fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                $crate::io::call::call("write", || (&self.0).write_all(buf))
            }

            /// Formats the whole text first, then writes it with one call.
            #[track_caller]
            fn write_fmt(&mut self, arguments: std::fmt::Arguments<'_>) -> std::io::Result<()> {
                self.write_all(arguments.to_string().as_bytes())
            }
        }

        /// Works like `Write` for a reference to the handle.
        impl std::io::Write for $handle {
            #[track_caller]
            fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                (&*self).write(buf)
            }

            #[track_caller]
            fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                (&*self).write_vectored(bufs)
            }

            #[track_caller]
            fn flush(&mut self) -> std::io::Result<()> {
                (&*self).flush()
            }

            #[track_caller]
            fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                (&*self).write_all(buf)
            }

            #[track_caller]
            fn write_fmt(&mut self, arguments: std::fmt::Arguments<'_>) -> std::io::Result<()> {
                (&*self).write_fmt(arguments)
            }
        }
    };
}

/// Implements conversions from and into `std`'s handle, and access to its file descriptor.
macro_rules! stands_for {
    ($handle:ident, $std:ty) => {
        impl From<$std> for $handle {
            fn from(handle: $std) -> Self {
                $handle(std::os::fd::OwnedFd::from(handle).into())
            }
        }

        impl From<$handle> for $std {
            fn from(handle: $handle) -> Self {
                std::os::fd::OwnedFd::from(handle).into()
            }
        }

        impl From<$handle> for std::os::fd::OwnedFd {
            fn from(handle: $handle) -> Self {
                handle.0.into()
            }
        }

        impl From<$handle> for std::process::Stdio {
            fn from(handle: $handle) -> Self {
                std::os::fd::OwnedFd::from(handle).into()
            }
        }

        impl std::os::fd::AsFd for $handle {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $handle {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&self.0)
            }
        }
    };
}

pub(crate) use {reads, stands_for, writes};
