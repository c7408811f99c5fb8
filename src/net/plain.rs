//! Plain: how a kernel thread waits for one socket. The thread waits in `poll`. If a token is cancelled, the
//! canceller ends the wait through an eventfd.
//! Checked by: proptests/net/.
#![allow(unsafe_code)]

use super::cell::Way;
use crate::platform::{Arc, ppoll};
use crate::sched::core::clock;
use crate::wait::limit::{CANCELLED, Outcome};
use crate::wait::{Node, Wait, WaitLimit};
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::task::{Wake, Waker};
use std::time::Duration;

/// Waits until `socket` is ready, or the limit is reached.
pub(super) fn wait(socket: BorrowedFd<'_>, way: Way, limit: WaitLimit<'_>) -> io::Result<Outcome> {
    let Some(token) = limit.own_token() else {
        return Ok(if poll(socket, way, None, limit.deadline())? {
            Outcome::Fired(way as u32)
        } else {
            Outcome::TimedOut
        });
    };
    let notifier = Arc::new(EventFd::new()?);
    let wait = Wait::of_task(Waker::from(Arc::clone(&notifier)).into());
    let node = Node::new(&wait, CANCELLED, ptr::null_mut());
    // SAFETY: `node` and `wait` are in this frame. `delist` below unlinks `node`, and nothing in between unwinds.
    if unsafe { !token.enlist(&node) } {
        return Ok(Outcome::Cancelled);
    }
    let earliest = limit.no_later_than(token.deadline()).deadline();
    let polled = poll(socket, way, Some(&notifier), earliest);
    // `delist` takes the token's lock, which the canceller holds while it completes the wait. After `delist`, no
    // canceller uses `node`.
    token.delist(&node);
    let is_ready = polled?;
    Ok(match wait.fired() {
        Some(_) => Outcome::Cancelled,
        None if is_ready => Outcome::Fired(way as u32),
        None if token.is_cancelled(clock::now) => Outcome::Cancelled,
        None => Outcome::TimedOut,
    })
}

/// Waits until the socket is ready or the notifier was written to. Returns false if the deadline has passed.
fn poll(
    socket: BorrowedFd<'_>,
    way: Way,
    notifier: Option<&Arc<EventFd>>,
    deadline: Option<u64>,
) -> io::Result<bool> {
    let events = match way {
        Way::Read => libc::POLLIN,
        Way::Write => libc::POLLOUT,
    };
    let notifier = notifier.map_or(-1, |notifier| notifier.0.as_raw_fd());
    let mut fds = [
        libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 },
        // The kernel ignores a negative descriptor.
        libc::pollfd { fd: notifier, events: libc::POLLIN, revents: 0 },
    ];
    loop {
        let left = |deadline: u64| Duration::from_nanos(deadline.saturating_sub(clock::now()));
        match ppoll(&mut fds, deadline.map(left)) {
            Ok(0) if deadline.is_some_and(|deadline| deadline <= clock::now()) => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The eventfd that a canceller writes to.
struct EventFd(File);

impl EventFd {
    fn new() -> io::Result<Self> {
        // SAFETY: `eventfd` takes a number and flags, and accesses no memory of this process.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `eventfd` has just returned `fd`, so `fd` is open and nothing else owns it.
        Ok(EventFd(File::from(unsafe { OwnedFd::from_raw_fd(fd) })))
    }
}

impl Wake for EventFd {
    fn wake(self: Arc<Self>) {
        // This write never blocks, because the eventfd is written at most once.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }
}
