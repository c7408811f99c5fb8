//! TcpListener. Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::cell::Way;
use super::common::{conversions, forward, settings};
use super::io::{Io, Patience, refuse_in_model};
use super::{TcpStream, ToSocketAddrs, system};
use crate::cancel::CancelToken;
use std::io::{self, ErrorKind};
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::panic::Location;

/// A TCP socket that listens: [`std::net::TcpListener`], with an `accept` that parks the goroutine.
///
/// Several goroutines may accept at the same time. Each connection goes to one of these goroutines.
///
/// The listener still works after an error of `accept`. If there are too many open files (`EMFILE`), the
/// connection stays in the kernel's queue, and the next `accept` returns the same error at once. Wait a
/// little before the next `accept`, until a file was closed. Meanwhile no connection is lost.
///
/// ```
/// use selvedge::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
/// use std::time::Duration;
///
/// selvedge::Runtime::new()?.run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     selvedge::go(move || loop {
///         match listener.accept() {
///             Ok((mut stream, _peer)) => drop(selvedge::go(move || stream.write_all(b"hello"))),
///             Err(error) => {
///                 eprintln!("accept: {error}");
///                 selvedge::time::sleep(Duration::from_millis(10));
///             }
///         }
///     });
///     let mut greeting = String::new();
///     TcpStream::connect(address)?.read_to_string(&mut greeting)?;
///     assert_eq!(greeting, "hello");
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TcpListener(Io<net::TcpListener>);

/// The number of connections that may wait to be accepted. The kernel has a limit of its own.
const BACKLOG: i32 = 4096;

conversions!(TcpListener, net::TcpListener);

impl TcpListener {
    /// Binds a listener to the first of the addresses that can be bound. Suspends if a name must be looked
    /// up. Up to 4096 connections wait in the listener's queue, if the kernel allows (`net.core.somaxconn`).
    ///
    /// # Errors
    /// Fails if no address can be bound.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        refuse_in_model();
        let listener = address.resolve()?.try_each(net::TcpListener::bind)?;
        // `std` asks for a queue of 128. If more connections arrive at once, clients wait for a second or more.
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        Ok(listener.into())
    }

    /// Returns the next connection and the peer's address. Parks a goroutine, or blocks a plain thread, until
    /// there is a connection.
    ///
    /// # Errors
    /// Fails if the process or the kernel lacks the resources for the connection, or if the peer has aborted the
    /// connection. The listener still works; see [`TcpListener`](Self).
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_with(Patience::AsSet, Location::caller())
    }

    /// Works like [`accept`](Self::accept), until `token` is cancelled at the latest. If the token is
    /// already cancelled, returns its error at once.
    ///
    /// # Errors
    /// Returns the same errors as [`accept`](Self::accept). If the token is cancelled, returns the error of
    /// [`TcpStream::read_cancel`].
    ///
    /// # Panics
    /// Panics in the same cases as [`accept`](Self::accept).
    #[track_caller]
    pub fn accept_cancel(&self, token: &CancelToken) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_with(Patience::Token(token), Location::caller())
    }

    #[track_caller]
    fn accept_with(
        &self,
        patience: Patience<'_>,
        place: &'static Location<'static>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let accept = |listener: &net::TcpListener| system::accept(listener.as_fd());
        let (fd, peer) = self.0.run(Way::Read, patience, place, accept)?;
        let unknown = || io::Error::new(ErrorKind::InvalidData, "a peer that has no IP address");
        let peer = peer.as_socket().ok_or_else(unknown)?;
        Ok((TcpStream(Io::new(net::TcpStream::from(fd))), peer))
    }

    /// Returns an iterator over the connections, which never ends. Each step works like
    /// [`accept`](Self::accept), without the peer's address.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    forward! {
        /// Returns the address that the listener is bound to.
        fn local_addr(&self) -> SocketAddr;
        /// Sets the time to live of sent packets.
        fn set_ttl(&self, ttl: u32) -> ();
        /// Returns the time to live of sent packets.
        fn ttl(&self) -> u32;
        /// Returns the socket's pending error, and clears it.
        fn take_error(&self) -> Option<io::Error>;
    }

    settings!(TcpListener);
}

/// The connections of a [`TcpListener`]; made by [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a>(&'a TcpListener);

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    #[track_caller]
    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}

impl std::iter::FusedIterator for Incoming<'_> {}
