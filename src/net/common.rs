//! Common: macros that define the methods that all sockets share.
//! Checked by: proptests/net/.
#![allow(unsafe_code)]

/// Defines methods that never wait, and forward to `std`'s methods.
macro_rules! forward {
    ($($(#[$meta:meta])* fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $out:ty;)*) => { $(
        $(#[$meta])*
        ///
        /// Works like `std`'s method of this name. Never waits.
        ///
        /// # Errors
        /// Returns the errors of the system call.
        pub fn $name(&self $(, $arg: $type)*) -> std::io::Result<$out> {
            self.0.socket().$name($($arg),*)
        }
    )* };
}

/// Defines `try_clone`, which returns a duplicate, and `set_nonblocking`.
macro_rules! settings {
    ($Type:ident) => {
        /// Returns a duplicate: another handle to the same socket, with the same time-outs. Never waits.
        ///
        /// # Errors
        /// Fails if there are too many open files.
        #[track_caller]
        pub fn try_clone(&self) -> std::io::Result<$Type> {
            Ok($Type(self.0.duplicate(self.0.socket().try_clone()?)))
        }

        /// Sets whether an operation that would wait returns [`WouldBlock`](std::io::ErrorKind::WouldBlock)
        /// instead, also on duplicates. (In both cases, the socket never blocks in the kernel.)
        ///
        /// # Errors
        /// Never fails. The method returns a `Result` because `std`'s method does.
        pub fn set_nonblocking(&self, nonblocking: bool) -> std::io::Result<()> {
            self.0.set_nonblocking(nonblocking);
            Ok(())
        }
    };
}

/// Defines the time-outs of a socket that both reads and writes.
macro_rules! timeouts {
    () => {
        /// Sets how long a read waits at the most; `None` means for ever. As in `std` on Unix, a read
        /// that times out returns [`WouldBlock`](std::io::ErrorKind::WouldBlock). Applies to reads
        /// that begin after this call, on this socket and on its duplicates. Never waits.
        ///
        /// # Errors
        /// Fails if `limit` is zero.
        pub fn set_read_timeout(&self, limit: Option<std::time::Duration>) -> std::io::Result<()> {
            self.0.set_timeout(crate::net::cell::Way::Read, limit)
        }

        /// Works like [`set_read_timeout`](Self::set_read_timeout), for writes.
        ///
        /// # Errors
        /// Fails if `limit` is zero.
        pub fn set_write_timeout(&self, limit: Option<std::time::Duration>) -> std::io::Result<()> {
            self.0.set_timeout(crate::net::cell::Way::Write, limit)
        }

        /// Returns the time-out that was set. Never waits.
        ///
        /// # Errors
        /// Never fails. The method returns a `Result` because `std`'s method does.
        pub fn read_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
            Ok(self.0.timeout(crate::net::cell::Way::Read))
        }

        /// Returns the time-out that was set. Never waits.
        ///
        /// # Errors
        /// Never fails. The method returns a `Result` because `std`'s method does.
        pub fn write_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
            Ok(self.0.timeout(crate::net::cell::Way::Write))
        }
    };
}

/// Defines conversions from and into `std`'s type and descriptors.
macro_rules! conversions {
    ($Type:ident, $Std:ty) => {
        /// Takes over `std`'s socket with its time-outs, and sets the socket and all its duplicates to
        /// non-blocking mode.
        ///
        /// # Panics
        /// Panics if the socket's descriptor is not open, and in a model.
        impl From<$Std> for $Type {
            #[track_caller]
            fn from(socket: $Std) -> Self {
                $Type(crate::net::io::Io::of_std(socket))
            }
        }

        /// Gives the socket back to `std` with its time-outs, and sets it and all its duplicates to blocking mode,
        /// unless `set_nonblocking(true)` was called. In blocking mode, operations on duplicates of this crate's type
        /// block kernel threads.
        impl From<$Type> for $Std {
            fn from(socket: $Type) -> Self {
                socket.0.into_std()
            }
        }

        impl From<std::os::fd::OwnedFd> for $Type {
            #[track_caller]
            fn from(fd: std::os::fd::OwnedFd) -> Self {
                <$Std>::from(fd).into()
            }
        }

        impl From<$Type> for std::os::fd::OwnedFd {
            fn from(socket: $Type) -> Self {
                <$Std>::from(socket).into()
            }
        }

        impl std::os::fd::AsFd for $Type {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.0.socket().as_fd()
            }
        }

        impl std::os::fd::AsRawFd for $Type {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.0.socket().as_raw_fd()
            }
        }

        impl std::os::fd::IntoRawFd for $Type {
            fn into_raw_fd(self) -> std::os::fd::RawFd {
                <$Std>::from(self).into_raw_fd()
            }
        }

        impl std::os::fd::FromRawFd for $Type {
            #[track_caller]
            unsafe fn from_raw_fd(fd: std::os::fd::RawFd) -> Self {
                // SAFETY: the caller guarantees that `fd` is open and owned, as `from_raw_fd` requires.
                unsafe { <$Std>::from_raw_fd(fd) }.into()
            }
        }

        impl std::fmt::Debug for $Type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.0.socket(), f)
            }
        }
    };
}

/// Implements `Read` and `Write`, also for shared references, and defines the methods that take a token.
macro_rules! stream {
    // `$empties`: whether a read that returns fewer bytes than its buffer can hold has emptied the stream.
    ($Type:ident, $empties:expr) => {
        impl $Type {
            /// Works like [`read`](std::io::Read::read), until `token` is cancelled at the latest. If the
            /// token is already cancelled, returns its error at once.
            ///
            /// # Errors
            /// Returns the same errors as [`read`](std::io::Read::read). If the token is cancelled, returns an
            /// error that wraps [`Cancelled`](crate::Cancelled). The kind of this error is
            /// [`TimedOut`](std::io::ErrorKind::TimedOut) if the token's deadline has passed, and
            /// [`Other`](std::io::ErrorKind::Other) otherwise.
            ///
            /// # Panics
            /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
            #[track_caller]
            pub fn read_cancel(
                &self,
                buffer: &mut [u8],
                token: &crate::cancel::CancelToken,
            ) -> std::io::Result<usize> {
                let patience = crate::net::io::Patience::Token(token);
                self.read_with(patience, std::panic::Location::caller(), buffer)
            }

            /// Works like [`write`](std::io::Write::write), but ends as [`read_cancel`](Self::read_cancel) does.
            ///
            /// # Errors
            /// Returns the errors of `write`, and the error of `read_cancel` if the token is cancelled.
            ///
            /// # Panics
            /// Panics in the same cases as [`read_cancel`](Self::read_cancel).
            #[track_caller]
            pub fn write_cancel(
                &self,
                bytes: &[u8],
                token: &crate::cancel::CancelToken,
            ) -> std::io::Result<usize> {
                let patience = crate::net::io::Patience::Token(token);
                self.write_with(patience, std::panic::Location::caller(), bytes)
            }

            /// Returns a view with reads and writes that end when `token` is cancelled, for code that is
            /// written for [`Read`](std::io::Read) and [`Write`](std::io::Write).
            pub fn until(&self, token: &crate::cancel::CancelToken) -> crate::net::Until<&$Type> {
                crate::net::Until::new(self, token)
            }

            /// Works like [`until`](Self::until), for code that wants to own its stream.
            pub fn into_until(
                self,
                token: &crate::cancel::CancelToken,
            ) -> crate::net::Until<$Type> {
                crate::net::Until::new(self, token)
            }

            fn read_with(
                &self,
                patience: crate::net::io::Patience<'_>,
                place: &'static std::panic::Location<'static>,
                buffer: &mut [u8],
            ) -> std::io::Result<usize> {
                let room = if $empties { buffer.len() } else { 0 };
                self.0.read(patience, place, room, |mut socket| {
                    std::io::Read::read(&mut socket, buffer)
                })
            }

            fn write_with(
                &self,
                patience: crate::net::io::Patience<'_>,
                place: &'static std::panic::Location<'static>,
                bytes: &[u8],
            ) -> std::io::Result<usize> {
                self.0.run(crate::net::cell::Way::Write, patience, place, |mut socket| {
                    std::io::Write::write(&mut socket, bytes)
                })
            }
        }

        impl crate::net::until::Stream for $Type {
            fn read(
                &self,
                token: &crate::cancel::CancelToken,
                place: &'static std::panic::Location<'static>,
                buffer: &mut [u8],
            ) -> std::io::Result<usize> {
                self.read_with(crate::net::io::Patience::Token(token), place, buffer)
            }

            fn write(
                &self,
                token: &crate::cancel::CancelToken,
                place: &'static std::panic::Location<'static>,
                bytes: &[u8],
            ) -> std::io::Result<usize> {
                self.write_with(crate::net::io::Patience::Token(token), place, bytes)
            }
        }

        /// Parks a goroutine, or blocks a plain thread, until there are bytes, or until the stream's end.
        /// Otherwise works like `std`'s.
        impl std::io::Read for &$Type {
            #[track_caller]
            #[inline]
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                let place = std::panic::Location::caller();
                self.read_with(crate::net::io::Patience::AsSet, place, buffer)
            }

            #[track_caller]
            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                let place = std::panic::Location::caller();
                let patience = crate::net::io::Patience::AsSet;
                // 0: a short vectored read is not taken as a sign that the stream is empty.
                self.0.read(patience, place, 0, |mut socket| {
                    std::io::Read::read_vectored(&mut socket, buffers)
                })
            }
        }

        /// Parks a goroutine, or blocks a plain thread, while the kernel's buffer is full. Otherwise works
        /// like `std`'s.
        impl std::io::Write for &$Type {
            #[track_caller]
            #[inline]
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let place = std::panic::Location::caller();
                self.write_with(crate::net::io::Patience::AsSet, place, bytes)
            }

            #[track_caller]
            fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                let place = std::panic::Location::caller();
                let patience = crate::net::io::Patience::AsSet;
                self.0.run(crate::net::cell::Way::Write, patience, place, |mut socket| {
                    std::io::Write::write_vectored(&mut socket, buffers)
                })
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }

        /// Works like `Read` for a shared reference.
        impl std::io::Read for $Type {
            #[track_caller]
            #[inline]
            fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
                (&*self).read(buffer)
            }

            #[track_caller]
            fn read_vectored(
                &mut self,
                buffers: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                (&*self).read_vectored(buffers)
            }
        }

        /// Works like `Write` for a shared reference.
        impl std::io::Write for $Type {
            #[track_caller]
            #[inline]
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                (&*self).write(bytes)
            }

            #[track_caller]
            fn write_vectored(
                &mut self,
                buffers: &[std::io::IoSlice<'_>],
            ) -> std::io::Result<usize> {
                (&*self).write_vectored(buffers)
            }

            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
    };
}

pub(super) use {conversions, forward, settings, stream, timeouts};
