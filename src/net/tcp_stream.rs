//! TcpStream. Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::cell::Way;
use super::common::{conversions, forward, settings, stream, timeouts};
use super::io::{Io, Patience, cancelled, refuse_in_model};
use super::{ToSocketAddrs, system};
use crate::cancel::CancelToken;
use socket2::Domain;
use std::io;
use std::net::{self, Shutdown, SocketAddr};
use std::panic::Location;
use std::time::Duration;

/// A TCP connection: [`std::net::TcpStream`], with reads and writes that park the goroutine.
///
/// A stream reads and writes also by shared reference, so that one goroutine may read while another writes.
/// Dropping a stream closes this handle; the connection ends with the last duplicate, as in `std`.
///
/// If the kernel has bytes to read, or space for bytes to write, an operation makes one system call and does
/// not park. After 32 such operations in a row, the goroutine yields. If the operation would block, the goroutine
/// parks until the runtime's poller reports readiness. The first wait costs one more system
/// call.
///
/// A stream belongs to the runtime of the first goroutine that waits for it. Goroutines of another
/// runtime, and plain threads, may use the stream too, but they wait in a system call that blocks a kernel
/// thread.
pub struct TcpStream(pub(super) Io<net::TcpStream>);

conversions!(TcpStream, net::TcpStream);
stream!(TcpStream, true);

impl TcpStream {
    /// Connects to the first of the addresses that accepts. Parks a goroutine, or blocks a plain thread,
    /// until the connection is established, and while a name is looked up.
    ///
    /// # Errors
    /// Returns the error of the last address if no address accepts.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if the call would have to wait, and in a model.
    #[track_caller]
    pub fn connect(address: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let place = Location::caller();
        refuse_in_model();
        address.resolve()?.try_each(|address| connect(&address, Patience::AsSet, place))
    }

    /// Works like [`connect`](Self::connect), to this address, but waits no longer than `limit`.
    ///
    /// # Errors
    /// Returns the same errors as [`connect`](Self::connect). Returns [`TimedOut`](io::ErrorKind::TimedOut) if the
    /// connect takes longer. Fails if `limit` is zero.
    ///
    /// # Panics
    /// Panics in the same cases as [`connect`](Self::connect).
    #[track_caller]
    pub fn connect_timeout(address: &SocketAddr, limit: Duration) -> io::Result<TcpStream> {
        if limit.is_zero() {
            let text = "a time-out of zero leaves no time to connect: pass a longer one";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        connect(address, Patience::For(limit), Location::caller())
    }

    /// Works like [`connect`](Self::connect), until `token` is cancelled at the latest. The token does not
    /// end the look-up of a name, which continues until the resolver returns.
    ///
    /// # Errors
    /// Returns the same errors as [`connect`](Self::connect). If the token is cancelled, returns the error of
    /// [`read_cancel`](Self::read_cancel).
    ///
    /// # Panics
    /// Panics in the same cases as [`connect`](Self::connect).
    #[track_caller]
    pub fn connect_cancel(
        address: impl ToSocketAddrs,
        token: &CancelToken,
    ) -> io::Result<TcpStream> {
        let place = Location::caller();
        refuse_in_model();
        if token.is_cancelled() {
            return Err(cancelled(token));
        }
        address.resolve()?.try_each(|address| connect(&address, Patience::Token(token), place))
    }

    /// Works like [`read`](io::Read::read), but leaves the bytes in the stream.
    ///
    /// # Errors
    /// Returns the same errors as [`read`](io::Read::read).
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::AsSet, place, |socket| socket.peek(buffer))
    }

    forward! {
        /// Returns this end's address.
        fn local_addr(&self) -> SocketAddr;
        /// Returns the other end's address.
        fn peer_addr(&self) -> SocketAddr;
        /// Ends reading, writing, or both, on all duplicates. Wakes all waiters.
        fn shutdown(&self, how: Shutdown) -> ();
        /// Sets whether small writes are sent at once.
        fn set_nodelay(&self, nodelay: bool) -> ();
        /// Returns whether small writes are sent at once.
        fn nodelay(&self) -> bool;
        /// Sets the time to live of sent packets.
        fn set_ttl(&self, ttl: u32) -> ();
        /// Returns the time to live of sent packets.
        fn ttl(&self) -> u32;
        /// Returns the socket's pending error, and clears it.
        fn take_error(&self) -> Option<io::Error>;
    }

    timeouts!();
    settings!(TcpStream);
}

#[track_caller]
fn connect(
    address: &SocketAddr,
    patience: Patience<'_>,
    place: &'static Location<'static>,
) -> io::Result<TcpStream> {
    let domain = Domain::for_address(*address);
    system::connected(domain, &(*address).into(), patience, place).map(TcpStream)
}
