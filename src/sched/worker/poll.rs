//! Polls sockets, and queues the goroutines whose sockets are ready, a whole batch at a time. Also decides
//! when workers and the monitor poll.
//!
//! - A worker that sleeps (`block_at_sockets`) waits at the sockets. Such a worker itself takes the
//!   goroutines that are stealable or bound to it.
//! - A worker between two goroutines (`look_at_sockets`) polls when its own queues are empty, before it
//!   searches on other processors, and at every 61st decision.
//! - The monitor (`see_to_sockets`) polls while all processors are busy. If a processor is idle, it sends a
//!   worker to wait at the sockets.
//!
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
    /// Waits at the sockets for at most `limit`, instead of sleeping. Returns `None` if there are no
    /// sockets or another thread waits there. Returns `Some(None)` if the worker was woken, if it woke only
    /// other workers, or if the time is over.
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

    /// Polls the sockets between two goroutines. Returns true if a goroutine is now runnable that this
    /// worker can run.
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
    /// Polls the sockets for the monitor, if no worker waits there. No worker waits there if all workers
    /// are busy, or if they fell asleep before the sockets were needed.
    pub(crate) fn see_to_sockets(&self) {
        let Some(sockets) = self.sockets.get().filter(|own| own.poller.is_unattended()) else {
            return;
        };
        let _acting = self.idle.spec.acting();
        if self.idle.idle_processors() > 0 {
            // The woken worker will find no work, and will then wait at the sockets.
            return self.perform_wake(self.idle.wake_searcher());
        }
        let wakes = sockets.poller.look(|slot| self.idle.slot(slot).parker.unpark());
        if self.deliver(wakes, None).stealable {
            self.perform_wake(self.idle.notify());
        }
    }

    /// Gives each goroutine its permit and queues it. `here` is the calling worker, which is inside the
    /// runtime, and its processor.
    fn deliver(&self, wakes: Vec<WakeHandle>, here: Here<'_>) -> Batched {
        let mut batch = Batch::new(self, here);
        // For the specification, each goroutine is being unparked until all are in their queues.
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
            // The handle is not dropped in the usual way, because its drop enters the runtime as user code
            // does.
            std::mem::forget(wake);
            if id.is_none() {
                drop_reference_inside(goroutine);
            }
        });
        batched
    }

    /// Returns the goroutine of this handle, and its id. The id is `None` if the handle is counted. Each
    /// handle that this runtime's poller returns is that of a goroutine of this runtime.
    fn own_goroutine(&self, wake: &WakeHandle) -> (Ptr, Option<u64>) {
        match wake.goroutine() {
            Some(own) if ptr::eq(own.0.shared, self) => own,
            _ => broken("deliver", "a goroutine of this runtime", "another handle"),
        }
    }
}
