//! Poller: who asks the kernel about sockets, and who is told.

use super::sinks::{Key, Slots};
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::{Arc, Mutex, Notifier, Parker};
use crate::sched::idle::WorkerId;
use std::time::Duration;

const FREE: u32 = 0;

const BLOCKED_IN_POLL: u32 = 1;

const POLLING: u32 = 2;

/// What the kernel says about one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Which socket.
    pub key: Key,
    /// It may be read from, or accepted from; or that has failed.
    pub readable: bool,
    /// It may be written to; or that has failed.
    pub writable: bool,
    /// It has come to an end, or there are urgent bytes: one that gives fewer bytes than it was asked
    /// for may have more all the same.
    pub eof_or_oob: bool,
}

/// Who is told that a socket is ready.
pub trait EventHandler<W>: Send + Sync {
    /// Fires those who wait for what `event` says, and hands them to be woken. Never blocks.
    fn ready(&self, event: Event, wakes: &mut Vec<W>);
}

/// Where events come from: the kernel, or a model's own.
pub trait Source: Send {
    /// Appends what is ready. Where that is nothing, blocks the kernel thread until something is, or its
    /// bell is rung, or until about when `limit` is over, if there is one.
    fn take(&mut self, limit: Option<Duration>, events: &mut Vec<Event>);
}

/// See the module.
pub struct Poller<S, W> {
    /// Written by read-modify-writes alone.
    word: AtomicU32,
    source: Mutex<(S, Vec<Event>)>,
    /// The sinks of those sockets.
    pub slots: Mutex<Slots<W>>,
    /// Rung, it ends the wait of whoever waits in the source.
    notifier: Arc<dyn Notifier>,
}

impl Source for Box<dyn Source> {
    fn take(&mut self, limit: Option<Duration>, events: &mut Vec<Event>) {
        (**self).take(limit, events);
    }
}

impl<S: Source, W> Poller<S, W> {
    /// A poller without sockets.
    pub fn new(source: S, notifier: Arc<dyn Notifier>) -> Self {
        Poller {
            word: AtomicU32::new(FREE),
            source: Mutex::new((source, Vec::new())),
            slots: Mutex::new(Slots::new()),
            notifier,
        }
    }

    /// Waits in place of the worker of seat `id`, who is about to sleep, until a socket is ready, or
    /// `parker` is given a permit, which it takes, or `limit` is over. `None`: others see to the sockets,
    /// and the worker sleeps as if there were none. [N3]
    pub fn block(&self, id: WorkerId, parker: &Parker, limit: Option<Duration>) -> Option<Vec<W>> {
        if !self.claim_wait(id) {
            return None;
        }
        let mut wakes = Vec::new();
        parker.park_by(&self.notifier, || self.take(limit, &mut wakes));
        // Relaxed: whoever claims it next goes through the source's lock.
        // mutant: drop end of the role
        self.word.swap(FREE, Ordering::Relaxed);
        Some(wakes)
    }

    /// Takes what is ready, unless somebody else sees to that. `again` makes a worker try to rest once
    /// more.
    pub fn look(&self, again: impl FnOnce(WorkerId)) -> Vec<W> {
        // Relaxed: the source's lock orders what it guards.
        let claim = |to| self.word.compare_exchange(FREE, to, Ordering::Relaxed, Ordering::Relaxed);
        if claim(POLLING).is_err() {
            return Vec::new();
        }
        let mut wakes = Vec::new();
        self.take(Some(Duration::ZERO), &mut wakes);
        // Relaxed: the parker that is unparked carries the rest.
        let before = self.word.swap(FREE, Ordering::Relaxed);
        // mutant: who wanted to wait is forgotten: replace before > POLLING with false
        if before > POLLING {
            again(before - POLLING - 1);
        }
        wakes
    }

    /// Whether nobody waits for the sockets.
    pub fn is_unattended(&self) -> bool {
        // Relaxed: a hint.
        self.word.load(Ordering::Relaxed) == FREE
    }

    /// Who fails leaves a note with one who looks, who is awake and reads it when done; or somebody
    /// waits already, and that one, or a worker that it has told, claims again before it sleeps. [N3]
    fn claim_wait(&self, id: WorkerId) -> bool {
        let mut seen = FREE;
        loop {
            let to = match seen {
                FREE => BLOCKED_IN_POLL,
                POLLING => POLLING + 1 + id,
                _ => return false,
            };
            // Relaxed: the word's own order is enough, see above; the source has a lock.
            match self.word.compare_exchange(seen, to, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return to == BLOCKED_IN_POLL,
                Err(other) => seen = other,
            }
        }
    }

    /// By who has the word.
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
