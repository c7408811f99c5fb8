//! Unix-domain sockets as in [`std::os::unix::net`], for goroutines. An operation that would block parks the
//! goroutine instead. Otherwise these sockets work like those of [`net`](super).

mod datagram;
mod listener;
mod stream;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use std::os::unix::net::SocketAddr;
pub use stream::UnixStream;

use crate::net::io::{Patience, cancelled};
use crate::sched::core::clock;
use crate::wait::limit::Outcome;
use crate::wait::{Wait, WaitLimit};
use std::io::{self, ErrorKind};
use std::panic::Location;
use std::time::Duration;

const SHORTEST: Duration = Duration::from_micros(100);
const LONGEST: Duration = Duration::from_millis(10);

/// Tries `operation` again, with growing pauses, as long as it returns `ResourceBusy`, which means that a queue is
/// full. `connect` and `send_to` need this function, because the kernel does not tell a poller when these queues
/// have space. `cancel_wait` is the deadline.
fn persist<T>(
    patience: Patience<'_>,
    cancel_wait: Option<u64>,
    place: &'static Location<'static>,
    mut operation: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut pause = SHORTEST;
    loop {
        match operation() {
            Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
            done => return done,
        }
        if cancel_wait.is_some_and(|cancel_wait| clock::now() >= cancel_wait) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let limit = WaitLimit::after(pause).no_later_than(cancel_wait);
        let limit = match patience {
            Patience::Token(token) => token.limit().no_later_than(limit.deadline()),
            _ => limit,
        };
        let outcome = limit.wait(&Wait::of_caller(place), place);
        if let (Outcome::Cancelled, Patience::Token(token)) = (outcome, patience) {
            return Err(cancelled(token));
        }
        pause = (2 * pause).min(LONGEST);
    }
}
