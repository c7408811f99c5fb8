//! A batch queues goroutines that were made runnable together. It performs one wake-up for each worker to
//! which some of them are bound, and one for all goroutines that any worker may run.
//!
//! - `add` puts a goroutine that is bound to the calling worker in that worker's bound queue. A goroutine
//!   that is bound to another worker goes into that worker's remote queue. A stealable goroutine is kept in
//!   the batch.
//! - `finish` wakes the last worker that got bound goroutines. Then `finish` puts the stealable goroutines
//!   where every worker looks.
//!
//! Checked by: verification/loom/poller.rs, verification/loom/sleepers.rs, verification/shuttle/sockets.rs,
//! verification/shuttle/timers.rs.

use super::cell::{Goroutine, Ptr};
use super::processor::ProcessorGuard;
use super::runtime::Shared;
use super::worker::Worker;
use crate::sched::idle::{WakeReason, WorkerId};
use crate::structures::List;

/// The calling worker, which is inside the runtime, and its processor, if it has one. `None` if the caller
/// is not a worker.
pub(crate) type Here<'a> = Option<(&'a Worker, Option<ProcessorGuard<'a>>)>;

pub(crate) struct Batch<'a> {
    shared: &'a Shared,
    here: Here<'a>,
    stealable: List<Goroutine>,
    to_wake: Option<WorkerId>,
    home: bool,
}

/// Says where the goroutines of a batch were put.
#[must_use]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Batched {
    /// Some goroutines of the batch are in the bound queue of the calling worker.
    pub(crate) home: bool,
    /// Some goroutines of the batch are where every worker looks. The caller must still wake a worker for
    /// them. [I1]
    pub(crate) stealable: bool,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(shared: &'a Shared, here: Here<'a>) -> Self {
        Batch { shared, here, stealable: List::new(), to_wake: None, home: false }
    }

    /// Adds a goroutine that was made runnable just now. Such a goroutine is in no queue. [S2]
    pub(crate) fn add(&mut self, goroutine: Ptr) {
        let Some(home) = goroutine.bound_to() else {
            // SAFETY: the goroutine was made runnable just now, so it is in no queue. [S2]
            return unsafe { self.stealable.push_back(goroutine.raw()) };
        };
        if let Some((worker, _)) = self.here
            && worker.id == home
        {
            worker.push_bound(goroutine);
            self.home = true;
            return;
        }
        self.shared.workers[home as usize].send_bound(goroutine);
        let others = self.to_wake.replace(home).filter(|before| *before != home);
        // mutant: drop wake of another home
        if let Some(other) = others {
            self.shared.perform_wake(self.shared.idle.wake_bound(other));
        }
    }

    /// Queues the stealable goroutines and performs the last wake-up. The caller must call it after all
    /// goroutines are added.
    pub(crate) fn finish(mut self) -> Batched {
        // mutant: drop wake of the last home
        if let Some(home) = self.to_wake {
            self.shared.perform_wake(self.shared.idle.wake_bound(home));
        }
        let batched = Batched { home: self.home, stealable: !self.stealable.is_empty() };
        if batched.stealable {
            let each = std::iter::from_fn(|| self.stealable.pop_front().map(Ptr::from_raw));
            match self.here.and_then(|(_, held)| held) {
                Some(held) => each.for_each(|goroutine| held.push(self.shared, goroutine)),
                // SAFETY: the iterator takes the goroutines out of the list of this batch, so they are in
                // no queue.
                None => unsafe { self.shared.inject_all(each) },
            }
        }
        batched
    }
}

impl Worker {
    /// Called by a worker that is about to block and has queued a batch. The worker wakes itself for
    /// goroutines that are bound to it or stealable. Returns `None` if it did not get a processor in this
    /// way.
    pub(crate) fn self_wake_for(&self, batched: Batched) -> Option<WakeReason> {
        if !batched.home && !batched.stealable {
            return None;
        }
        let up = self.shared().idle.self_wake(self.id, batched.home);
        // This worker may have been assigned a processor meanwhile as a queueing worker, which gets no
        // searching token. So another worker must be woken. [I1]
        // mutant: drop wake for the stealable
        if batched.stealable && up.is_none() {
            self.shared().perform_wake(self.shared().idle.notify());
        }
        up
    }
}
