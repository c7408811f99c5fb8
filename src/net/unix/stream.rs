//! UnixStream. Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::{SocketAddr, persist};
use crate::cancel::CancelToken;
use crate::net::common::{conversions, forward, settings, stream, timeouts};
use crate::net::io::{Io, Patience, refuse_in_model};
use crate::net::system;
use socket2::{Domain, SockAddr};
use std::io;
use std::net::Shutdown;
use std::os::unix::net;
use std::panic::Location;
use std::path::Path;

/// A connection within the machine: [`std::os::unix::net::UnixStream`], with reads and writes that
/// park the goroutine. Otherwise it works like [`TcpStream`](crate::net::TcpStream).
///
/// ```
/// use selvedge::net::unix::UnixStream;
/// use std::io::{Read, Write};
///
/// selvedge::Runtime::new()?.run(|| {
///     let (mut one, mut other) = UnixStream::pair()?;
///     let reader = selvedge::go(move || {
///         let mut bytes = [0; 4];
///         other.read_exact(&mut bytes).map(|()| bytes)
///     });
///     one.write_all(b"ping")?;
///     assert_eq!(&reader.join().unwrap()?, b"ping");
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct UnixStream(pub(super) Io<net::UnixStream>);

conversions!(UnixStream, net::UnixStream);
// False, because a read also ends at a message that carries descriptors, so a short read may leave bytes.
stream!(UnixStream, false);

impl UnixStream {
    /// Connects to the listener at `path`. Parks a goroutine, or blocks a plain thread, while the
    /// listener's queue is full. The kernel does not report when the queue has space, so this function tries again
    /// every few milliseconds.
    ///
    /// # Errors
    /// Fails if no socket listens there.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if the call would have to wait, and in a model.
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        connect(path.as_ref(), Patience::AsSet, Location::caller())
    }

    /// Works like [`connect`](Self::connect), until `token` is cancelled at the latest.
    ///
    /// # Errors
    /// Returns the same errors as [`connect`](Self::connect). If the token is cancelled, returns the error of
    /// [`read_cancel`](Self::read_cancel).
    ///
    /// # Panics
    /// Panics in the same cases as [`connect`](Self::connect).
    #[track_caller]
    pub fn connect_cancel(path: impl AsRef<Path>, token: &CancelToken) -> io::Result<UnixStream> {
        connect(path.as_ref(), Patience::Token(token), Location::caller())
    }

    /// Returns two streams that are connected to each other. Never waits.
    ///
    /// # Errors
    /// Fails if there are too many open files.
    ///
    /// # Panics
    /// Panics in a model.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        refuse_in_model();
        let (one, other) = net::UnixStream::pair()?;
        Ok((one.into(), other.into()))
    }

    forward! {
        /// Returns this end's address.
        fn local_addr(&self) -> SocketAddr;
        /// Returns the other end's address.
        fn peer_addr(&self) -> SocketAddr;
        /// Ends reading, writing, or both, on all duplicates. Wakes all waiters.
        fn shutdown(&self, how: Shutdown) -> ();
        /// Returns the socket's pending error, and clears it.
        fn take_error(&self) -> Option<io::Error>;
    }

    timeouts!();
    settings!(UnixStream);
}

#[track_caller]
fn connect(
    path: &Path,
    patience: Patience<'_>,
    place: &'static Location<'static>,
) -> io::Result<UnixStream> {
    refuse_in_model();
    let address = SockAddr::unix(path)?;
    let connect = || system::connected(Domain::UNIX, &address, patience, place).map(UnixStream);
    persist(patience, None, place, connect)
}
