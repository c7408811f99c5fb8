//! Batch: goroutines that were readied together go to where they wait to run, with one wake-up for each
//! home and one for all that may run anywhere.
//! add: at home with the caller, its ring; at home elsewhere, that inbox; else aside.
//! finish: wakes the last home; the stealable go to where every worker looks.
//! Checked by: verification/loom/poller.rs, verification/loom/sleepers.rs, verification/shuttle/sockets.rs,
//! verification/shuttle/timers.rs.

use super::cell::{Goroutine, Ptr};
use super::processor::ProcessorGuard;
use super::runtime::Shared;
use super::worker::Worker;
use crate::sched::idle::{WakeReason, WorkerId};
use crate::structures::List;

/// The calling worker, inside the runtime, and its processor, if it has one.
pub(crate) type Here<'a> = Option<(&'a Worker, Option<ProcessorGuard<'a>>)>;

pub(crate) struct Batch<'a> {
    shared: &'a Shared,
    here: Here<'a>,
    stealable: List<Goroutine>,
    to_wake: Option<WorkerId>,
    home: bool,
}

/// Where a batch went.
#[must_use]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Batched {
    /// Some to the ring of the worker that called.
    pub(crate) home: bool,
    /// Some to where every worker looks: somebody is still to be woken for it. [I1]
    pub(crate) stealable: bool,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(shared: &'a Shared, here: Here<'a>) -> Self {
        Batch { shared, here, stealable: List::new(), to_wake: None, home: false }
    }

    /// One that was just readied, so it is in no queue. [S2]
    pub(crate) fn add(&mut self, goroutine: Ptr) {
        let Some(home) = goroutine.bound_to() else {
            // SAFETY: it was just readied.
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

    /// To be called once all are added.
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
                // SAFETY: they left the list, so they are in no queue.
                None => unsafe { self.shared.inject_all(each) },
            }
        }
        batched
    }
}

impl Worker {
    /// A worker that sleeps has readied a batch: what is for itself, or for anybody, it takes up.
    pub(crate) fn self_wake_for(&self, batched: Batched) -> Option<WakeReason> {
        if !batched.home && !batched.stealable {
            return None;
        }
        let up = self.shared().idle.self_wake(self.id, batched.home);
        // It may have been granted one meanwhile, out of the queue and without a token. [I1]
        // mutant: drop wake for the stealable
        if batched.stealable && up.is_none() {
            self.shared().perform_wake(self.shared().idle.notify());
        }
        up
    }
}
