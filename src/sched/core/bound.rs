//! Home: runnable goroutines that one worker alone may run. Its own thread queues them in the ring, others in
//! the inbox, which it moves to the ring.
//! [A1]: the worker. [B1], [I2]: the inbox, and who is woken for it.
//! Checked by: verification/loom/inbox.rs, verification/loom/idle.rs, proptests/runtime/lifecycle.rs.

use super::cell::Ptr;
use super::worker::Worker;
use crate::observe::specification::{Event, Place};
use crate::platform::atomic::Ordering;

/// So many in a ring are no longer in the nearest caches: what the next one touches is fetched while
/// another runs.
const COLD: usize = 128;

impl Worker {
    /// On this thread: queues a goroutine at home.
    pub(crate) fn push_bound(&self, goroutine: Ptr) {
        goroutine.note(Event::Queued(Place::BoundQueue(self.id)));
        // SAFETY: this thread's own [A1]; the goroutine is in no other queue.
        let len = unsafe {
            let ring = &mut *self.bound_queue.get();
            ring.push_back(goroutine.raw());
            ring.len()
        };
        // Relaxed: the watchdog's count.
        self.waiting.store(len, Ordering::Relaxed);
    }

    pub(crate) fn pop_bound(&self) -> Option<Ptr> {
        // SAFETY: this thread's own.
        let (popped, len) = unsafe {
            let ring = &mut *self.bound_queue.get();
            let popped = ring.pop_front();
            if ring.len() >= COLD
                && let Some(next) = ring.front()
            {
                // SAFETY: it is in this thread's own ring: begun, and nobody else's.
                Ptr::from_raw(next).prefetch_next();
            }
            (popped, ring.len())
        };
        // Relaxed: the watchdog's count.
        self.waiting.store(len, Ordering::Relaxed);
        let popped = popped.map(Ptr::from_raw)?;
        popped.note(Event::Taken(Place::BoundQueue(self.id)));
        Some(popped)
    }

    /// From any thread: queues a goroutine whose home this is.
    pub(crate) fn send_bound(&self, goroutine: Ptr) {
        goroutine.note(Event::Queued(Place::RemoteQueue(self.id)));
        // Relaxed: the watchdog's count.
        self.inbox_len.fetch_add(1, Ordering::Relaxed);
        // SAFETY: it was just unparked, so it is in no queue. [S2]
        unsafe { self.remote.push(goroutine.raw()) };
    }

    /// On this thread: moves the inbox to the ring.
    pub(crate) fn drain_remote(&self) {
        if self.remote.is_empty() {
            return;
        }
        let drained = self.remote.drain(|raw| {
            let goroutine = Ptr::from_raw(raw);
            goroutine.note(Event::Taken(Place::RemoteQueue(self.id)));
            self.push_bound(goroutine);
        });
        // Relaxed: the watchdog's count.
        self.inbox_len.fetch_sub(drained, Ordering::Relaxed);
    }

    /// On this thread: one more, or one fewer, started goroutine at home.
    pub(crate) fn add_bound(&self, change: isize) {
        // Relaxed: written by this thread alone.
        let bound_count = self.bound_count.load(Ordering::Relaxed);
        self.bound_count.store(bound_count.wrapping_add_signed(change), Ordering::Relaxed);
    }

    /// Whether anything at home is runnable.
    pub(crate) fn has_work_at_home(&self) -> bool {
        // SAFETY: asked by this thread alone.
        !self.remote.is_empty() || unsafe { !(*self.bound_queue.get()).is_empty() }
    }

    pub(crate) fn bound_count(&self) -> usize {
        // Relaxed: this thread's own, or a report.
        self.bound_count.load(Ordering::Relaxed)
    }
}
