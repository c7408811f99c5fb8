//! UnixDatagram. Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::{SocketAddr, persist};
use crate::cancel::CancelToken;
use crate::net::cell::Way;
use crate::net::common::{conversions, forward, settings, timeouts};
use crate::net::io::{Io, Patience, refuse_in_model};
use crate::sched::core::clock;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;

/// A datagram socket within the machine: [`std::os::unix::net::UnixDatagram`], with operations that park
/// the goroutine.
pub struct UnixDatagram(Io<net::UnixDatagram>);

conversions!(UnixDatagram, net::UnixDatagram);

impl UnixDatagram {
    /// Binds a socket to `path`, where no file may exist yet. Never waits.
    ///
    /// # Errors
    /// Fails if `path` can't be bound.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        refuse_in_model();
        net::UnixDatagram::bind(path).map(UnixDatagram::from)
    }

    /// Returns a socket without an address. Never waits.
    ///
    /// # Errors
    /// Fails if there are too many open files.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn unbound() -> io::Result<UnixDatagram> {
        refuse_in_model();
        net::UnixDatagram::unbound().map(UnixDatagram::from)
    }

    /// Returns two sockets that are connected to each other. Never waits.
    ///
    /// # Errors
    /// Fails if there are too many open files.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        refuse_in_model();
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((one.into(), other.into()))
    }

    /// Connects to the socket at `path`: this socket then sends only to that
    /// socket, and receives only from it. Never waits.
    ///
    /// # Errors
    /// Fails if there is no such socket.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.0.socket().connect(path)
    }

    /// Receives the next datagram into `buffer` as far as it fits. Returns the number of bytes received and
    /// the sender's address. Parks a goroutine, or blocks a plain thread, until a datagram arrives.
    ///
    /// # Errors
    /// Returns the same errors as `std`'s method.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::AsSet, place, |socket| socket.recv_from(buffer))
    }

    /// Works like [`recv_from`](Self::recv_from), without the sender's address.
    ///
    /// # Errors
    /// Returns the same errors as [`recv_from`](Self::recv_from).
    ///
    /// # Panics
    /// Panics in the same cases as [`recv_from`](Self::recv_from).
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::AsSet, place, |socket| socket.recv(buffer))
    }

    /// Works like [`recv`](Self::recv), until `token` is cancelled at the latest.
    ///
    /// # Errors
    /// Returns the same errors as [`recv`](Self::recv). If the token is cancelled, returns the error of
    /// [`UnixStream::read_cancel`](crate::net::unix::UnixStream::read_cancel).
    ///
    /// # Panics
    /// Panics in the same cases as [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_cancel(&self, buffer: &mut [u8], token: &CancelToken) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::Token(token), place, |socket| socket.recv(buffer))
    }

    /// Sends a datagram on a connected socket. Parks a goroutine, or blocks a plain thread, while there is
    /// no space for the datagram.
    ///
    /// # Errors
    /// Returns the same errors as `std`'s method.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Write, Patience::AsSet, place, |socket| socket.send(datagram))
    }

    /// Sends a datagram to the socket at `path`. Parks a goroutine, or blocks a plain thread, while the
    /// queue of that socket is full. The kernel does not report when the queue has space, so this method tries again
    /// every few milliseconds.
    ///
    /// # Errors
    /// Returns the same errors as `std`'s method.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let place = Location::caller();
        let path = path.as_ref();
        let send = || match self.0.socket().send_to(datagram, path) {
            Err(error) if error.kind() == ErrorKind::WouldBlock && !self.0.is_nonblocking() => {
                Err(io::Error::new(ErrorKind::ResourceBusy, error))
            }
            done => done,
        };
        let until = |limit: std::time::Duration| {
            let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
            clock::now().saturating_add(nanos)
        };
        persist(Patience::AsSet, self.0.timeout(Way::Write).map(until), place, send)
    }

    forward! {
        /// Returns this end's address.
        fn local_addr(&self) -> SocketAddr;
        /// Returns the address that the socket is connected to.
        fn peer_addr(&self) -> SocketAddr;
        /// Ends reading, writing, or both, on all duplicates. Wakes all waiters.
        fn shutdown(&self, how: Shutdown) -> ();
        /// Returns the socket's pending error, and clears it.
        fn take_error(&self) -> Option<io::Error>;
    }

    timeouts!();
    settings!(UnixDatagram);
}
