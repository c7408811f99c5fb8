//! Deliver: goroutines whose sockets are ready go to where they wait to run, a whole batch at a time;
//! and when workers and the monitor look.
//! rest (a worker that sleeps): what is for this worker, or for anybody, it takes up itself.
//! look (a worker): when its own queues are empty, before it looks elsewhere; and every 61st decision.
//! look (the monitor): while all processors are busy; where one is idle it sends a worker to wait.
//! Checked by: verification/loom/poller.rs, verification/shuttle/sockets.rs, proptests/net/.

use crate::observe::broken;
use crate::platform::{Parker, SPEC};
use crate::sched::core::batch::{Batch, Batched, Here};
use crate::sched::core::cell::Ptr;
use crate::sched::core::cell_pool::drop_reference_inside;
use crate::sched::core::processor::ProcessorGuard;
use crate::sched::core::runtime::Shared;
use crate::sched::core::wake_handle::WakeHandle;
use crate::sched::core::worker::Worker;
use crate::sched::goroutine::state::UnparkAction;
use crate::sched::idle::WakeReason;
use std::ptr;
use std::time::Duration;

impl Worker {
    /// It is about to sleep: waits for sockets instead, if nobody does, for `limit` at most. `Some(None)`:
    /// it was woken, or has woken others, or that time is over.
    pub(crate) fn block_at_sockets(
        &self,
        parker: &Parker,
        limit: Option<Duration>,
    ) -> Option<Option<WakeReason>> {
        let shared = self.shared();
        let wakes = shared.sockets.get()?.poller.block(self.id, parker, limit)?;
        if wakes.is_empty() {
            return Some(None);
        }
        let _acting = shared.idle.spec.acting();
        Some(self.self_wake_for(shared.deliver(wakes, Some((self, None)))))
    }

    /// Between two goroutines: takes what is ready. True if something came of it for this worker.
    pub(crate) fn look_at_sockets(&self, held: ProcessorGuard<'_>) -> bool {
        let shared = self.shared();
        let Some(sockets) = shared.sockets.get() else { return false };
        let wakes = sockets.poller.look(|slot| shared.idle.slot(slot).parker.unpark());
        if wakes.is_empty() {
            return false;
        }
        let _acting = shared.idle.spec.acting();
        let found = shared.deliver(wakes, Some((self, Some(held))));
        if found.stealable {
            shared.perform_wake(shared.idle.notify());
        }
        found.home || found.stealable
    }
}

impl Shared {
    /// The monitor's part: nobody waits at the sockets, as all who could are busy, or asleep since
    /// before somebody was needed there.
    pub(crate) fn see_to_sockets(&self) {
        let Some(sockets) = self.sockets.get().filter(|own| own.poller.is_unattended()) else {
            return;
        };
        let _acting = self.idle.spec.acting();
        if self.idle.idle_processors() > 0 {
            // It will find nothing to do, and go there.
            return self.perform_wake(self.idle.wake_searcher());
        }
        let wakes = sockets.poller.look(|slot| self.idle.slot(slot).parker.unpark());
        if self.deliver(wakes, None).stealable {
            self.perform_wake(self.idle.notify());
        }
    }

    /// Gives each its permit, and puts it where it waits to run. `here`: the calling worker, inside the
    /// runtime, and its processor.
    fn deliver(&self, wakes: Vec<WakeHandle>, here: Here<'_>) -> Batched {
        let mut batch = Batch::new(self, here);
        // To the specification, each of them is unparked until all are in their queues.
        let mut unparks = Vec::new();
        for wake in &wakes {
            let (goroutine, id) = self.own_goroutine(wake);
            if SPEC && id.is_some_and(|id| goroutine.id() != id) {
                continue;
            }
            let unpark = self.idle.spec.unparking(goroutine.key());
            unparks.extend(SPEC.then_some(unpark));
            let action = match id {
                Some(id) => goroutine.word.unpark_if(id),
                None => goroutine.word.unpark(),
            };
            match (action, goroutine.bound_to()) {
                (UnparkAction::Nothing, _) | (UnparkAction::WakeInPlace, None) => {}
                (UnparkAction::WakeInPlace, Some(home)) => {
                    self.workers[home as usize].in_place.unpark();
                }
                (UnparkAction::Enqueue, _) => batch.add(goroutine),
            }
        }
        let batched = batch.finish();
        drop(unparks);
        wakes.into_iter().for_each(|wake| {
            let (goroutine, id) = self.own_goroutine(&wake);
            // Not by its own drop, which enters the runtime as user code does.
            std::mem::forget(wake);
            if id.is_none() {
                drop_reference_inside(goroutine);
            }
        });
        batched
    }

    /// Nobody else is told by this poller. With its id, or, counted, without.
    fn own_goroutine(&self, wake: &WakeHandle) -> (Ptr, Option<u64>) {
        match wake.goroutine() {
            Some(own) if ptr::eq(own.0.shared, self) => own,
            _ => broken("deliver", "a goroutine of this runtime", "somebody else"),
        }
    }
}
