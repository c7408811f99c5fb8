//! System: the two calls that `std` makes only for sockets that block: connect and accept.
//! Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::cell::Way;
use super::io::{Io, Patience};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::Location;

/// Connects a new stream socket, which does not block, to `address`, and waits until it is connected.
pub(super) fn connected<S: AsFd + From<OwnedFd>>(
    domain: Domain,
    address: &SockAddr,
    patience: Patience<'_>,
    place: &'static Location<'static>,
) -> io::Result<Io<S>> {
    let socket = Socket::new_raw(domain, Type::STREAM.nonblocking().cloexec(), None)?;
    let io = Io::new(S::from(OwnedFd::from(socket)));
    let mut begun = false;
    io.run(Way::Write, patience, place, |socket| {
        let socket = socket2::SockRef::from(socket);
        if std::mem::replace(&mut begun, true) { arrived(&socket) } else { begin(&socket, address) }
    })?;
    Ok(io)
}

fn begin(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    match socket.connect(address) {
        // In both cases the connect is under way.
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            Err(ErrorKind::WouldBlock.into())
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(ErrorKind::WouldBlock.into()),
        // A listener of this machine has no room. The caller must try again, because the poller can't
        // report this.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(io::Error::new(ErrorKind::ResourceBusy, error))
        }
        done => done,
    }
}

fn arrived(socket: &Socket) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotConnected => Err(ErrorKind::WouldBlock.into()),
        Err(error) => Err(error),
    }
}

/// Returns the next connection of a listener. The connection's socket does not block either.
pub(super) fn accept(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    loop {
        let accepted = accept_once(listener);
        if !matches!(&accepted, Err(error) if error.kind() == ErrorKind::Interrupted) {
            return accepted;
        }
    }
}

fn accept_once(listener: BorrowedFd<'_>) -> io::Result<(OwnedFd, SockAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the kernel writes an address and its length into `socket2`'s storage, which has room for any.
    unsafe {
        SockAddr::try_init(|storage, length| {
            let fd = libc::accept4(listener.as_raw_fd(), storage.cast(), length, flags);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
        })
    }
}
