//! Sockets: the poller on the kernel's own readiness (epoll), through the crate `mio`: a thin layer
//! without a thread or a runtime of its own, edge-triggered, its keys ours.
//! register: once a socket, for reading and writing, edge-triggered: no system call a wait.
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

/// Of the waker; no key of a socket is so large before 2^31 have had its slot.
const BELL: Token = Token(usize::MAX);
/// What to do about descriptors that somebody has closed, or calls that are refused from now on.
const SPARE_OURS: &str = "close none but your own file descriptors (close_range, closefrom, a \
                          daemonizing library), and have the sandbox allow epoll_wait and write; or do \
                          either before the first runtime is built";
const MILLI: Duration = Duration::from_millis(1);
/// Events taken from the kernel at once.
const BATCH: usize = 256;

/// The sockets that a runtime's goroutines wait for.
pub(crate) struct Sockets<W> {
    pub(crate) poller: Poller<Box<dyn Source>, W>,
    /// `None` in models, whose kernel is their own.
    registry: Option<Registry>,
    /// The child of a fork has the kernel's poller in common with its parent: what it does to that, it does
    /// to the parent's.
    born: Born,
}

struct Kernel {
    poll: Poll,
    events: Events,
}

#[derive(Debug)]
struct KernelBell(Waker);

/// A socket's place in a poller; it ends before the socket is closed.
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

    /// Those of a model.
    pub(crate) fn modelled(source: Box<dyn Source>, notifier: Arc<dyn Notifier>) -> Self {
        Sockets { poller: Poller::new(source, notifier), registry: None, born: Born::here() }
    }

    /// Registers a socket, which stays open until the registration is dropped. What is ready then, and
    /// what becomes so later, the sink is told.
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
    /// Whether it is with these.
    pub(crate) fn is_with(&self, sockets: &Arc<Sockets<W>>) -> bool {
        Arc::ptr_eq(&self.sockets, sockets)
    }
}

impl<W> Drop for Registration<W> {
    fn drop(&mut self) {
        // Said expressly: the kernel forgets a socket only when its last duplicate is closed. It can
        // fail only for a descriptor that somebody has closed behind our back.
        if !self.sockets.born.is_here() {
            // The parent's socket stays registered, and the lock below may be a thread's that isn't here.
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
    /// The kernel counts the time of its wait for events in whole milliseconds, and may be late by one: a
    /// wait that ends soon is a `ppoll` and a look, a longer one ends early, and the worker waits again.
    fn whole(&self, limit: Duration) -> Duration {
        if limit >= 2 * MILLI {
            return limit - MILLI;
        }
        if !limit.is_zero() {
            let fd = self.poll.as_raw_fd();
            let mut own = [libc::pollfd { fd, events: libc::POLLIN, revents: 0 }];
            // What it says, the look says in full. Where a sandbox refuses it, a millisecond late is better
            // than a busy wait.
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
