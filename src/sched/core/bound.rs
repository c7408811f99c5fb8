//! Bound goroutines: runnable goroutines that must run on one particular worker. The worker's own thread
//! queues them in the bound queue. Other threads put them in the remote queue, from which the worker moves
//! them to the bound queue.
//!
//! The worker keeps [A1], see `worker`. The remote queue keeps [B1]. [I2] says when a push to the remote
//! queue wakes the worker.
//! Checked by: verification/loom/inbox.rs, verification/loom/idle.rs, proptests/runtime/lifecycle.rs.

use super::cell::Ptr;
use super::worker::Worker;
use crate::observe::specification::{Event, Place};
use crate::platform::atomic::Ordering;

/// If the bound queue is at least this long, its cells are no longer in the nearest caches. `pop_bound`
/// then fetches the memory of the next goroutine while the popped one runs.
const COLD: usize = 128;

impl Worker {
    /// Queues a goroutine that is bound to this worker. Must be called on this worker's thread.
    pub(crate) fn push_bound(&self, goroutine: Ptr) {
        goroutine.note(Event::Queued(Place::BoundQueue(self.id)));
        // SAFETY: only this worker's thread touches its bound queue [A1]. The goroutine is in no other
        // queue.
        let len = unsafe {
            let ring = &mut *self.bound_queue.get();
            ring.push_back(goroutine.raw());
            ring.len()
        };
        // Relaxed: only the watchdog reads this count.
        self.waiting.store(len, Ordering::Relaxed);
    }

    pub(crate) fn pop_bound(&self) -> Option<Ptr> {
        // SAFETY: the caller is this worker's thread, and no other thread touches the bound queue. [A1]
        let (popped, len) = unsafe {
            let ring = &mut *self.bound_queue.get();
            let popped = ring.pop_front();
            if ring.len() >= COLD
                && let Some(next) = ring.front()
            {
                // SAFETY: the goroutine `next` is in this worker's bound queue. So `next` has begun, and no
                // other thread uses it.
                Ptr::from_raw(next).prefetch_next();
            }
            (popped, ring.len())
        };
        // Relaxed: only the watchdog reads this count.
        self.waiting.store(len, Ordering::Relaxed);
        let popped = popped.map(Ptr::from_raw)?;
        popped.note(Event::Taken(Place::BoundQueue(self.id)));
        Some(popped)
    }

    /// Queues a goroutine that is bound to this worker. May be called on any thread.
    pub(crate) fn send_bound(&self, goroutine: Ptr) {
        goroutine.note(Event::Queued(Place::RemoteQueue(self.id)));
        // Relaxed: only the watchdog reads this count.
        self.inbox_len.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the goroutine was unparked just now, so it is in no queue. [S2]
        unsafe { self.remote.push(goroutine.raw()) };
    }

    /// Moves the goroutines of the remote queue to the bound queue. Must be called on this worker's thread.
    pub(crate) fn drain_remote(&self) {
        if self.remote.is_empty() {
            return;
        }
        let drained = self.remote.drain(|raw| {
            let goroutine = Ptr::from_raw(raw);
            goroutine.note(Event::Taken(Place::RemoteQueue(self.id)));
            self.push_bound(goroutine);
        });
        // Relaxed: only the watchdog reads this count.
        self.inbox_len.fetch_sub(drained, Ordering::Relaxed);
    }

    /// Changes the number of started goroutines that are bound to this worker. Must be called on this
    /// worker's thread.
    pub(crate) fn add_bound(&self, change: isize) {
        // Relaxed: only this thread writes the count.
        let bound_count = self.bound_count.load(Ordering::Relaxed);
        self.bound_count.store(bound_count.wrapping_add_signed(change), Ordering::Relaxed);
    }

    /// Returns whether a goroutine that is bound to this worker is runnable.
    pub(crate) fn has_work_at_home(&self) -> bool {
        // SAFETY: only this worker's thread calls this function, and no other thread touches the bound
        // queue. [A1]
        !self.remote.is_empty() || unsafe { !(*self.bound_queue.get()).is_empty() }
    }

    pub(crate) fn bound_count(&self) -> usize {
        // Relaxed: the caller is this thread, which alone writes the count, or the value is only reported.
        self.bound_count.load(Ordering::Relaxed)
    }
}
