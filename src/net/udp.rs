//! UdpSocket. Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::ToSocketAddrs;
use super::cell::Way;
use super::common::{conversions, forward, settings, timeouts};
use super::io::{Io, Patience, refuse_in_model};
use crate::cancel::CancelToken;
use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::panic::Location;

/// A UDP socket: [`std::net::UdpSocket`], with receives that park the goroutine.
///
/// ```
/// use selvedge::net::UdpSocket;
///
/// selvedge::Runtime::new()?.run(|| {
///     let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
///     one.send_to(b"ping", other.local_addr()?)?;
///     let mut buffer = [0; 16];
///     let (length, from) = other.recv_from(&mut buffer)?;
///     assert_eq!((&buffer[..length], from), (&b"ping"[..], one.local_addr()?));
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UdpSocket(Io<net::UdpSocket>);

conversions!(UdpSocket, net::UdpSocket);

impl UdpSocket {
    /// Binds a socket to the first of the addresses that can be bound. Suspends if a name must be looked
    /// up.
    ///
    /// # Errors
    /// Fails if no address can be bound.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        refuse_in_model();
        address.resolve()?.try_each(net::UdpSocket::bind).map(UdpSocket::from)
    }

    /// Connects the socket to the first of the addresses that can be used. The socket then sends only to
    /// that address, and receives only from it. Suspends if a name must be looked up.
    ///
    /// # Errors
    /// Fails if no address can be used.
    #[track_caller]
    pub fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        address.resolve()?.try_each(|address| self.0.socket().connect(address))
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

    /// Works like [`recv_from`](Self::recv_from), until `token` is cancelled at the latest.
    ///
    /// # Errors
    /// Returns the same errors as [`recv_from`](Self::recv_from). If the token is cancelled, returns the error of
    /// [`TcpStream::read_cancel`](crate::net::TcpStream::read_cancel).
    ///
    /// # Panics
    /// Panics in the same cases as [`recv_from`](Self::recv_from).
    #[track_caller]
    pub fn recv_from_cancel(
        &self,
        buffer: &mut [u8],
        token: &CancelToken,
    ) -> io::Result<(usize, SocketAddr)> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::Token(token), place, |socket| socket.recv_from(buffer))
    }

    /// Works like [`recv_from`](Self::recv_from), but leaves the datagram in the queue.
    ///
    /// # Errors
    /// Returns the same errors as [`recv_from`](Self::recv_from).
    ///
    /// # Panics
    /// Panics in the same cases as [`recv_from`](Self::recv_from).
    #[track_caller]
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::AsSet, place, |socket| socket.peek_from(buffer))
    }

    /// Works like [`recv_from`](Self::recv_from), on a connected socket.
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
    /// Returns the same errors as [`recv_from_cancel`](Self::recv_from_cancel).
    ///
    /// # Panics
    /// Panics in the same cases as [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_cancel(&self, buffer: &mut [u8], token: &CancelToken) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::Token(token), place, |socket| socket.recv(buffer))
    }

    /// Works like [`recv`](Self::recv), but leaves the datagram in the queue.
    ///
    /// # Errors
    /// Returns the same errors as [`recv`](Self::recv).
    ///
    /// # Panics
    /// Panics in the same cases as [`recv`](Self::recv).
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Read, Patience::AsSet, place, |socket| socket.peek(buffer))
    }

    /// Sends a datagram to the first of the addresses. Parks a goroutine, or blocks a plain thread, while
    /// there is no space for the datagram, and while a name is looked up.
    ///
    /// # Errors
    /// Returns the same errors as `std`'s method.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), if the call would have to wait.
    #[track_caller]
    pub fn send_to(&self, datagram: &[u8], address: impl ToSocketAddrs) -> io::Result<usize> {
        let place = Location::caller();
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "no address to send to");
        let address = address.resolve()?.next().ok_or_else(none)?;
        self.0.run(Way::Write, Patience::AsSet, place, |socket| socket.send_to(datagram, address))
    }

    /// Sends a datagram on a connected socket. Otherwise works like [`send_to`](Self::send_to).
    ///
    /// # Errors
    /// Returns the same errors as [`send_to`](Self::send_to).
    ///
    /// # Panics
    /// Panics in the same cases as [`send_to`](Self::send_to).
    #[track_caller]
    pub fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        let place = Location::caller();
        self.0.run(Way::Write, Patience::AsSet, place, |socket| socket.send(datagram))
    }

    forward! {
        /// Returns this end's address.
        fn local_addr(&self) -> SocketAddr;
        /// Returns the address that the socket is connected to.
        fn peer_addr(&self) -> SocketAddr;
        /// Sets whether the socket may send to broadcast addresses.
        fn set_broadcast(&self, broadcast: bool) -> ();
        /// Returns whether the socket may send to broadcast addresses.
        fn broadcast(&self) -> bool;
        /// Sets whether the socket receives its own multicast packets.
        fn set_multicast_loop_v4(&self, on: bool) -> ();
        /// Returns whether the socket receives its own multicast packets.
        fn multicast_loop_v4(&self) -> bool;
        /// Sets the time to live of sent multicast packets.
        fn set_multicast_ttl_v4(&self, ttl: u32) -> ();
        /// Returns the time to live of sent multicast packets.
        fn multicast_ttl_v4(&self) -> u32;
        /// Sets whether the socket receives its own multicast packets.
        fn set_multicast_loop_v6(&self, on: bool) -> ();
        /// Returns whether the socket receives its own multicast packets.
        fn multicast_loop_v6(&self) -> bool;
        /// Joins a multicast group.
        fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
        /// Joins a multicast group.
        fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
        /// Leaves a multicast group.
        fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> ();
        /// Leaves a multicast group.
        fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> ();
        /// Sets the time to live of sent packets.
        fn set_ttl(&self, ttl: u32) -> ();
        /// Returns the time to live of sent packets.
        fn ttl(&self) -> u32;
        /// Returns the socket's pending error, and clears it.
        fn take_error(&self) -> Option<io::Error>;
    }

    timeouts!();
    settings!(UdpSocket);
}
