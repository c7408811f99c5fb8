//! Sockets: the poller over the kernel's epoll, through the crate `mio`. `mio` is a thin layer that adds no thread
//! and no runtime of its own; it reports edges, and we choose the keys.
//! register: registers a socket once, edge-triggered, for reading and writing, so that a wait needs no system call.
//! Checked by: proptests/net/.
#![forbid(unsafe_code)]

use super::{Event, EventHandler, Key, Poller, Source};
use crate::platform::fork::Born;
use crate::platform::{Arc, Notifier, environment_took, ppoll};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// The token of the waker. No socket's key is so large unless one slot was reused 2^31 times.
const BELL: Token = Token(usize::MAX);
/// The advice in the message that reports a closed descriptor of ours, or a system call that is now refused.
const SPARE_OURS: &str = "close none but your own file descriptors (close_range, closefrom, a \
                          daemonizing library), and have the sandbox allow epoll_wait and write; or do \
                          either before the first runtime is built";
const MILLI: Duration = Duration::from_millis(1);
/// The greatest number of events that one call takes from the kernel.
const BATCH: usize = 256;

/// The poller of a runtime and the sockets registered with it.
pub(crate) struct Sockets<W> {
    pub(crate) poller: Poller<Box<dyn Source>, W>,
    /// `None` in models, which have a simulated kernel.
    registry: Option<Registry>,
    /// The process that made the poller. After a fork the child shares the kernel's epoll with its parent, so a
    /// change that the child made would change the parent's poller.
    born: Born,
}

struct Kernel {
    poll: Poll,
    events: Events,
}

#[derive(Debug)]
struct KernelBell(Waker);

/// The registration of a socket with a poller. It must be dropped before the socket is closed.
pub(crate) struct Registration<W> {
    sockets: Arc<Sockets<W>>,
    key: Key,
    fd: RawFd,
}

impl<W> Sockets<W> {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        let notifier = Arc::new(KernelBell(Waker::new(&registry, BELL)?));
        let kernel = Kernel { poll, events: Events::with_capacity(BATCH) };
        Ok(Sockets {
            poller: Poller::new(Box::new(kernel), notifier),
            registry: Some(registry),
            born: Born::here(),
        })
    }

    /// The poller of a model, with events from `source`.
    pub(crate) fn modelled(source: Box<dyn Source>, notifier: Arc<dyn Notifier>) -> Self {
        Sockets { poller: Poller::new(source, notifier), registry: None, born: Born::here() }
    }

    /// Registers a socket, which must stay open until the registration is dropped. `handler` is told if the socket
    /// is ready now, and each time it becomes ready later.
    pub(crate) fn register(
        self: &Arc<Self>,
        fd: RawFd,
        handler: Arc<dyn EventHandler<W>>,
    ) -> io::Result<Registration<W>> {
        let key = self.poller.slots.lock().insert(handler);
        let registry = self.registry.as_ref().expect("no model has sockets");
        let interest = Interest::READABLE | Interest::WRITABLE | Interest::PRIORITY;
        if let Err(error) = registry.register(&mut SourceFd(&fd), Token(key.0), interest) {
            let handler = self.poller.slots.lock().remove(key);
            drop(handler);
            return Err(error);
        }
        Ok(Registration { sockets: Arc::clone(self), key, fd })
    }
}

impl<W> Registration<W> {
    /// Returns true if this socket is registered with `sockets`.
    pub(crate) fn is_with(&self, sockets: &Arc<Sockets<W>>) -> bool {
        Arc::ptr_eq(&self.sockets, sockets)
    }
}

impl<W> Drop for Registration<W> {
    fn drop(&mut self) {
        // The socket is deregistered explicitly because the kernel forgets it only when its last duplicate is
        // closed. The call fails only if foreign code has closed the descriptor.
        if !self.sockets.born.is_here() {
            // The process is the child of a fork. The parent's socket must stay registered, and the lock below may
            // be held by a thread that exists only in the parent.
            return;
        }
        if let Some(registry) = &self.sockets.registry {
            let _ = registry.deregister(&mut SourceFd(&self.fd));
        }
        let handler = self.sockets.poller.slots.lock().remove(self.key);
        drop(handler);
    }
}

impl Notifier for KernelBell {
    fn notify(&self) {
        if let Err(error) = self.0.wake() {
            environment_took("the eventfd by which a sleeping worker is woken", &error, SPARE_OURS);
        }
    }
}

impl Kernel {
    /// Converts `limit` for epoll, which counts in whole milliseconds and may return one millisecond late. If less
    /// than two milliseconds are left, waits by `ppoll` and then polls once without blocking. A longer wait ends
    /// one millisecond early, and the worker waits again.
    fn whole(&self, limit: Duration) -> Duration {
        if limit >= 2 * MILLI {
            return limit - MILLI;
        }
        if !limit.is_zero() {
            let fd = self.poll.as_raw_fd();
            let mut own = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
            // The result is not needed, because the poll that follows reports the events. If a sandbox refuses
            // `ppoll`, waits a millisecond, because a late event is better than a busy loop.
            return match ppoll(&mut own, Some(limit)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => MILLI,
                _ => Duration::ZERO,
            };
        }
        Duration::ZERO
    }
}

impl Source for Kernel {
    fn take(&mut self, limit: Option<Duration>, events: &mut Vec<Event>) {
        let limit = limit.map(|limit| self.whole(limit));
        match self.poll.poll(&mut self.events, limit) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return,
            Err(error) => {
                environment_took("the epoll by which sockets are waited for", &error, SPARE_OURS)
            }
        }
        let sockets = self.events.iter().filter(|event| event.token() != BELL);
        events.extend(sockets.map(|event| Event {
            key: Key(event.token().0),
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable() || event.is_write_closed() || event.is_error(),
            eof_or_oob: event.is_read_closed() || event.is_error() || event.is_priority(),
        }));
    }
}
