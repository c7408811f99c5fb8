//! The steps of threads that have published work, and wake a worker for it. The module documentation of `idle`
//! describes the protocol and the invariants.
//! Checked by: verification/loom/idle.rs, verification/loom/handover.rs, verification/loom/relieve.rs,
//! verification/loom/retake.rs, verification/shuttle/leave.rs.

use super::idle_workers::*;
use crate::observe::specification::Doing;
use crate::platform::atomic::Ordering;
use crate::platform::atomic::fence;

impl IdleWorkers {
    /// Wakes a worker if that is needed. Must be called after work was put where every worker looks. [I1]
    #[inline]
    pub fn notify(&self) -> WakeAction {
        // SeqCst: pairs with the fences in `sleep` and `stop_searching`: either we see the idle processor and that
        // no worker searches, or the other side's recheck sees our work. [I1]
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders this access.
        let seen = self.counts.load(Ordering::Relaxed);
        if idle(seen) == 0 || searching(seen) > 0 {
            WakeAction::Nothing
        } else {
            self.wake_searcher()
        }
    }

    /// Assigns an idle processor and a searching token to a sleeper, or to a new thread. [I1]
    #[cold]
    pub fn wake_searcher(&self) -> WakeAction {
        let mut lists = self.lists.lock();
        // Relaxed: a searching worker that stops after this read rechecks every source.
        if lists.stopping || searching(self.counts.load(Ordering::Relaxed)) > 0 {
            return WakeAction::Nothing;
        }
        if lists.idle.is_empty() {
            return WakeAction::Nothing;
        }
        let Some(wake) = self.pick(&mut lists) else { return WakeAction::Nothing };
        let proc = self.acquire_idle(&mut lists).expect("an idle processor was just seen");
        // mutant: wake without a token: replace self.token() with false
        self.assign(wake.slot(), proc, self.token());
        wake
    }

    /// Picks a sleeper, or else a vacant slot if the limit on threads allows. If there is neither, no work is
    /// forgotten: all threads are in user code, and each rechecks every source before it sleeps.
    fn pick(&self, lists: &mut Lists) -> Option<WakeAction> {
        if let Some(at) = self.last_free_sleeper(lists) {
            return Some(WakeAction::Unpark(lists.sleepers.remove(at)));
        }
        self.take_slot_locked(lists).map(WakeAction::Start)
    }

    /// Returns the index, in the list of sleepers, of the worker that has slept for the shortest time, among those
    /// that run stealable goroutines. Any other sleeper would only release its processor again.
    pub(super) fn last_free_sleeper(&self, lists: &Lists) -> Option<usize> {
        lists.sleepers.iter().rposition(|id| !self.slot(*id).is_alone())
    }

    /// Takes a vacant slot for one more thread.
    pub fn take_slot(&self) -> Option<WorkerId> {
        self.take_slot_locked(&mut self.lists.lock())
    }

    fn take_slot_locked(&self, lists: &mut Lists) -> Option<WorkerId> {
        if lists.threads + lists.helpers >= self.max_threads {
            // The end of a helper, or the monitor, tries again.
            // mutant: drop note of a thread that is missing
            lists.start_pending = true;
            self.spec.see(Doing::Starved(lists.start_pending));
            return None;
        }
        let slot = lists.vacant.pop()?;
        lists.threads += 1;
        self.spec.see(Doing::Seated(slot));
        // Relaxed: written under the lock; a hint.
        self.used_slots.store(self.used_slots().max(slot + 1), Ordering::Relaxed);
        Some(slot)
    }

    /// Wakes worker `id` if it is parked. Must be called after a push to its remote queue. [I2]
    #[inline]
    pub fn wake_bound(&self, id: WorkerId) -> WakeAction {
        // SeqCst: pairs with the fence in `sleep`: either we see PARKED, or the recheck there sees the remote
        // queue. [I2]
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders this access.
        if self.slot(id).state.load(Ordering::Relaxed) != PARKED {
            return WakeAction::Nothing;
        }
        self.wake_named(id)
    }

    #[cold]
    fn wake_named(&self, id: WorkerId) -> WakeAction {
        let mut lists = self.lists.lock();
        // Relaxed: the field is written only under this lock.
        if self.slot(id).state.load(Ordering::Relaxed) != PARKED {
            return WakeAction::Nothing;
        }
        // mutant: drop departure from the sleepers
        lists.sleepers.retain(|sleeper| *sleeper != id);
        match self.acquire_idle(&mut lists) {
            Some(proc) => {
                // The worker also gets a searching token, because it may just have seen shared work in its recheck,
                // and then runs its bound goroutines first. [I1]
                // mutant: wake home without a token: replace self.token() with false
                self.assign(id, proc, self.token());
                WakeAction::Unpark(id)
            }
            None => {
                // mutant: drop place in the queue
                self.enqueue(&mut lists, id);
                WakeAction::Nothing
            }
        }
    }
}
