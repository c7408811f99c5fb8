//! Poller: the word that decides which thread asks the kernel, and the delivery of events to their handlers.

use super::sinks::{Key, Slots};
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::{Arc, Mutex, Notifier, Parker};
use crate::sched::idle::WorkerId;
use std::time::Duration;

const FREE: u32 = 0;

const BLOCKED_IN_POLL: u32 = 1;

const POLLING: u32 = 2;

/// What the kernel reports about one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The key of the socket.
    pub key: Key,
    /// A read or an accept will not block. Also set if the socket has failed.
    pub readable: bool,
    /// A write will not block. Also set if the socket has failed.
    pub writable: bool,
    /// End of file, a failure or out-of-band data was reported. A short read then does not imply that the socket is
    /// drained.
    pub eof_or_oob: bool,
}

/// The receiver of a socket's events.
pub trait EventHandler<W>: Send + Sync {
    /// Completes the waits that `event` ends, and appends their wake-ups to `wakes`. Never blocks.
    fn ready(&self, event: Event, wakes: &mut Vec<W>);
}

/// Where events come from: the kernel or a model.
pub trait Source: Send {
    /// Appends the ready events. If there are none, blocks the kernel thread until a socket is ready, the notifier
    /// is notified, or about `limit` has passed. Without a `limit` there is no time-out.
    fn take(&mut self, limit: Option<Duration>, events: &mut Vec<Event>);
}

/// See the module.
pub struct Poller<S, W> {
    /// Written only by read-modify-writes.
    word: AtomicU32,
    source: Mutex<(S, Vec<Event>)>,
    /// The handlers of the registered sockets.
    pub slots: Mutex<Slots<W>>,
    /// Ends the wait of the worker that is blocked in the source.
    notifier: Arc<dyn Notifier>,
}

impl Source for Box<dyn Source> {
    fn take(&mut self, limit: Option<Duration>, events: &mut Vec<Event>) {
        (**self).take(limit, events);
    }
}

impl<S: Source, W> Poller<S, W> {
    /// Makes a poller without sockets.
    pub fn new(source: S, notifier: Arc<dyn Notifier>) -> Self {
        Poller {
            word: AtomicU32::new(FREE),
            source: Mutex::new((source, Vec::new())),
            slots: Mutex::new(Slots::new()),
            notifier,
        }
    }

    /// Blocks the kernel thread of worker `id`, which is about to sleep, until a socket is ready, `parker` is given
    /// a permit (which this call consumes), or `limit` has passed. Returns the wake-ups that are due. Returns
    /// `None` without blocking if another thread serves the sockets; the worker then sleeps as if there were no
    /// sockets. [N3]
    pub fn block(&self, id: WorkerId, parker: &Parker, limit: Option<Duration>) -> Option<Vec<W>> {
        if !self.claim_wait(id) {
            return None;
        }
        let mut wakes = Vec::new();
        parker.park_by(&self.notifier, || self.take(limit, &mut wakes));
        // Relaxed: the next thread that claims the word locks the source.
        // mutant: drop end of the role
        self.word.swap(FREE, Ordering::Relaxed);
        Some(wakes)
    }

    /// Takes the ready events without blocking, unless another thread serves the sockets, and returns the wake-ups.
    /// If a worker failed to claim the word meanwhile, calls `again` with its slot, so that this worker tries
    /// [`block`](Self::block) again.
    pub fn look(&self, again: impl FnOnce(WorkerId)) -> Vec<W> {
        // Relaxed: the source's lock orders what it guards.
        let claim = |to| self.word.compare_exchange(FREE, to, Ordering::Relaxed, Ordering::Relaxed);
        if claim(POLLING).is_err() {
            return Vec::new();
        }
        let mut wakes = Vec::new();
        self.take(Some(Duration::ZERO), &mut wakes);
        // Relaxed: `again` unparks a parker, which orders what must be seen.
        let before = self.word.swap(FREE, Ordering::Relaxed);
        // mutant: who wanted to wait is forgotten: replace before > POLLING with false
        if before > POLLING {
            again(before - POLLING - 1);
        }
        wakes
    }

    /// Returns true if no thread polls or waits for the sockets.
    pub fn is_unattended(&self) -> bool {
        // Relaxed: the value is a hint.
        self.word.load(Ordering::Relaxed) == FREE
    }

    /// Claims the word in order to wait. The claim fails in two cases. (a) A running thread polls (`POLLING`). Then
    /// this call records our slot in the word, and that thread reads it when it is done and wakes us. (b) A worker
    /// already waits. Then nothing is needed, because that worker, or a worker that it wakes, claims the word again
    /// before it sleeps. [N3]
    fn claim_wait(&self, id: WorkerId) -> bool {
        let mut seen = FREE;
        loop {
            let to = match seen {
                FREE => BLOCKED_IN_POLL,
                POLLING => POLLING + 1 + id,
                _ => return false,
            };
            // Relaxed: the order of the word's own changes is enough (see above); the source has a lock.
            match self.word.compare_exchange(seen, to, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return to == BLOCKED_IN_POLL,
                Err(other) => seen = other,
            }
        }
    }

    /// Takes events and delivers them to the handlers. The caller must have claimed the word.
    fn take(&self, limit: Option<Duration>, wakes: &mut Vec<W>) {
        let mut source = self.source.lock();
        let (source, events) = &mut *source;
        events.clear();
        source.take(limit, events);
        if events.is_empty() {
            return;
        }
        wakes.reserve(events.len());
        let slots = self.slots.lock();
        for event in events {
            if let Some(handler) = slots.get(event.key) {
                handler.ready(*event, wakes);
            }
        }
    }
}
