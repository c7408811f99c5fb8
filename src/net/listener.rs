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

/// A TCP socket that listens: [`std::net::TcpListener`], whose `accept` parks the goroutine.
///
/// Several goroutines may accept at a time; each connection goes to one of them.
///
/// An error of `accept` is not the listener's end. With too many open files (`EMFILE`) the connection stays
/// in the kernel's queue, and `accept` says so again at once: wait a little, until something was
/// closed. Nothing is lost meanwhile.
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

/// Connections that wait to be accepted; the kernel has a limit of its own.
const BACKLOG: i32 = 4096;

conversions!(TcpListener, net::TcpListener);

impl TcpListener {
    /// A listener at the first of the addresses that can be had. Suspends where a name must be looked
    /// up. Up to 4096 connections wait in its queue, if the kernel allows (`net.core.somaxconn`).
    ///
    /// # Errors
    /// If none can be had.
    ///
    /// # Panics
    /// In a model.
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        refuse_in_model();
        let listener = address.resolve()?.try_each(net::TcpListener::bind)?;
        // `std` asks for 128, beyond which a burst of clients waits for a second and more.
        socket2::SockRef::from(&listener).listen(BACKLOG)?;
        Ok(listener.into())
    }

    /// The next connection, and whose it is. Parks a goroutine, or blocks a plain thread, until there is
    /// one.
    ///
    /// # Errors
    /// If the kernel has no room for it, or it was given up meanwhile: the listener goes on, see
    /// [there](Self).
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would have to wait.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept_with(Patience::AsSet, Location::caller())
    }

    /// As [`accept`](Self::accept), until `token` is cancelled at the latest. A token that is cancelled
    /// already comes first.
    ///
    /// # Errors
    /// As [`accept`](Self::accept), and as [`TcpStream::read_cancel`] if the token is cancelled.
    ///
    /// # Panics
    /// As [`accept`](Self::accept).
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

    /// The connections, one after another; never ends. As [`accept`](Self::accept), which also says
    /// whose they are.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    forward! {
        /// Where it listens.
        fn local_addr(&self) -> SocketAddr;
        /// Sets the time to live of what it sends.
        fn set_ttl(&self, ttl: u32) -> ();
        /// The time to live of what it sends.
        fn ttl(&self) -> u32;
        /// The socket's pending error, which is forgotten.
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
