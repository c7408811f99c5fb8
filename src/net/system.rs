//! System: connect and accept for non-blocking sockets. `std` offers these two calls only for blocking sockets.
//! Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::cell::Way;
use super::io::{Io, Patience};
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::panic::Location;

/// Makes a non-blocking stream socket, connects it to `address`, and waits until it is connected.
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
        // With EINPROGRESS, and with EINTR (`Interrupted`), the kernel has begun to connect.
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            Err(ErrorKind::WouldBlock.into())
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(ErrorKind::WouldBlock.into()),
        // The queue of a listener on this machine is full. The caller must try again, because the poller can't
        // report when the queue has space.
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

/// Returns the next connection of a listener. The connection's socket is in non-blocking mode.
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
    // SAFETY: `storage` and `length` come from `try_init`, and are valid for any address. `accept4` writes an address
    // and its length there. If it succeeds, `fd` is open and nothing else owns it.
    unsafe {
        SockAddr::try_init(|storage, length| {
            let fd = libc::accept4(listener.as_raw_fd(), storage.cast(), length, flags);
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
        })
    }
}
