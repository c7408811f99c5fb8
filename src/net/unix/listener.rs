//! UnixListener. Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::{SocketAddr, UnixStream};
use crate::cancel::CancelToken;
use crate::net::cell::Way;
use crate::net::common::{conversions, forward, settings};
use crate::net::io::{Io, Patience, refuse_in_model};
use crate::net::system;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;

/// A socket that listens within the machine: [`std::os::unix::net::UnixListener`], with an `accept` that parks
/// the goroutine. After an error of `accept`, the listener still works, as a
/// [`TcpListener`](crate::net::TcpListener) does.
pub struct UnixListener(Io<net::UnixListener>);

conversions!(UnixListener, net::UnixListener);

impl UnixListener {
    /// Binds a listener to `path`, where no file may exist yet. Never waits.
    ///
    /// # Errors
    /// Fails if the address can't be bound.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixListener> {
        refuse_in_model();
        net::UnixListener::bind(path).map(UnixListener::from)
    }

    /// Binds a listener to an address, which may be an address without a path. Never waits.
    ///
    /// # Errors
    /// Fails if the address can't be bound.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn bind_addr(address: &SocketAddr) -> io::Result<UnixListener> {
        refuse_in_model();
        net::UnixListener::bind_addr(address).map(UnixListener::from)
    }

    /// Returns the next connection and the peer's address. Parks a goroutine, or blocks a plain thread, until
    /// there is a connection.
    ///
    /// # Errors
    /// Returns the same errors as [`TcpListener::accept`](crate::net::TcpListener::accept).
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.accept_with(Patience::AsSet, Location::caller())
    }

    /// Works like [`accept`](Self::accept), until `token` is cancelled at the latest. If the token is
    /// already cancelled, returns its error at once.
    ///
    /// # Errors
    /// Returns the same errors as [`accept`](Self::accept). If the token is cancelled, returns the error of
    /// [`UnixStream::read_cancel`].
    ///
    /// # Panics
    /// Panics in the same cases as [`accept`](Self::accept).
    #[track_caller]
    pub fn accept_cancel(&self, token: &CancelToken) -> io::Result<(UnixStream, SocketAddr)> {
        self.accept_with(Patience::Token(token), Location::caller())
    }

    #[track_caller]
    fn accept_with(
        &self,
        patience: Patience<'_>,
        place: &'static Location<'static>,
    ) -> io::Result<(UnixStream, SocketAddr)> {
        let accept = |listener: &net::UnixListener| system::accept(listener.as_fd());
        let (fd, peer) = self.0.run(Way::Read, patience, place, accept)?;
        // The address of a peer without a name holds only an address family. `std` makes such an address from
        // an empty path.
        let peer = peer.as_unix().map_or_else(|| SocketAddr::from_pathname(""), Ok)?;
        Ok((UnixStream(Io::new(net::UnixStream::from(fd))), peer))
    }

    /// Returns an iterator over the connections, which never ends. Each step works like
    /// [`accept`](Self::accept), without the peer's address.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    forward! {
        /// Returns the address that the listener is bound to.
        fn local_addr(&self) -> SocketAddr;
        /// Returns the socket's pending error, and clears it.
        fn take_error(&self) -> Option<io::Error>;
    }

    settings!(UnixListener);
}

/// The connections of a [`UnixListener`]; made by [`UnixListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a>(&'a UnixListener);

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    #[track_caller]
    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}
