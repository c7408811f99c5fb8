//! Who takes and gives processors from outside: the monitor, resize, stop.
//!
//! seize: under the lock, claim a worker in user code; its processor is then the caller's.
//! release: give it to who queues, else put it into the idle list, and wake somebody if work is there.
//! dispute: the worker, on its next entry, learns under the same lock that it has no processor.
//! [H1] as in `claim`.  [I5] A retaken processor with work in its queues is not left idle unseen.
//! Checked by: verification/loom/retake.rs, verification/loom/handover.rs, verification/loom/monitor.rs,
//! verification/loom/relieve.rs, verification/loom/resize.rs, verification/loom/shutdown.rs,
//! verification/shuttle/.

use super::idle_workers::*;
use crate::observe::fault;
use crate::observe::specification::Doing;
use crate::platform::atomic::fence;
use crate::platform::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A monitor's wait that is worth cutting short.
const LAZY: Duration = Duration::from_micros(100);

impl IdleWorkers {
    /// Takes `proc` from worker `id` if that is in user code: for the monitor, or for that worker itself,
    /// which is about to block. The caller then owns the processor, and must [`release`](Self::release)
    /// it. [H1]
    pub fn try_revoke(&self, id: WorkerId, proc: ProcId, cpu_bound: bool) -> bool {
        let mut lists = self.lists.lock();
        // Relaxed: written under this lock.
        let holder = self.holders[proc as usize].load(Ordering::Relaxed);
        // mutant: try_revoke from who has it no more: replace holder != id with false
        if holder != id
            || (cpu_bound && lists.cpu_bound_workers.len() >= self.max_cpu_bound(&lists))
        {
            return false;
        }
        // The monitor and the worker itself may both want it: whoever has seized it has not released it yet.
        // mutant: try_revoke twice: replace self.slot(id).gate.is_taken() with false
        if self.slot(id).gate.is_taken() {
            return false;
        }
        // mutant: try_revoke without a claim: replace !self.slot(id).gate.try_revoke() with false
        if !self.slot(id).gate.try_revoke() {
            return false;
        }
        // Relaxed: written under the lock.
        // mutant: drop note that it is blocked
        self.slot(id).state.store(BLOCKED, Ordering::Relaxed);
        self.spec.see(Doing::Retaken { worker: id, processor: proc, cpu_bound });
        if cpu_bound {
            lists.cpu_bound_workers.push(id);
        }
        true
    }

    /// Lets `look` see what worker `id` runs, if that is in user code and so stays there meanwhile.
    pub fn observe<R>(&self, id: WorkerId, look: impl FnOnce() -> R) -> Option<R> {
        let _lists = self.lists.lock();
        let gate = &self.slot(id).gate;
        if gate.is_taken() {
            // It is in user code, or waits for this lock. [H1]
            return Some(look());
        }
        let seen = gate.try_revoke().then(look);
        if seen.is_some() {
            // It keeps its processor: the dispute, if it comes to one, finds nothing taken.
            // mutant: drop claim given back
            gate.take_revocation();
        }
        seen
    }

    /// Whether its processor was retaken and it does not yet wait for another, as a hint.
    pub fn is_without(&self, id: WorkerId) -> bool {
        // Relaxed: written under the lock.
        matches!(self.slot(id).state.load(Ordering::Relaxed), BLOCKED | RETURNED)
    }

    /// Whether nobody sits there; final once the roster has stopped.
    pub fn is_vacant(&self, id: WorkerId) -> bool {
        let _lists = self.lists.lock();
        // Relaxed: written under this lock.
        self.slot(id).state.load(Ordering::Relaxed) == VACANT
    }

    /// A worker's thread has ended, or will never again do anything.
    pub fn leave(&self, id: WorkerId) {
        let mut lists = self.lists.lock();
        self.spec.see(Doing::Vacated(id));
        // Relaxed: written under the lock.
        self.slot(id).state.store(VACANT, Ordering::Relaxed);
        lists.threads -= 1;
    }

    /// After `stop`: calls `then` once every worker has left, or is in user code, where it has no
    /// processor from now on. No worker enters the runtime meanwhile. [T1]
    pub fn when_stopped<R>(&self, then: impl FnOnce() -> R) -> Option<R> {
        let lists = self.lists.lock();
        debug_assert!(lists.stopping);
        // Relaxed: written under this lock.
        let stopped = |id| match self.slot(id).state.load(Ordering::Relaxed) {
            VACANT | BLOCKED => true,
            _ if fault("late resume") => true,
            // mutant: who stops need not leave: replace self.revoke_stopped(id) with true
            _ => self.revoke_stopped(id),
        };
        (0..self.used_slots()).all(stopped).then(|| {
            self.spec.see(Doing::Stopped);
            then()
        })
    }

    fn revoke_stopped(&self, id: WorkerId) -> bool {
        // mutant: try_revoke without a claim: replace !self.slot(id).gate.try_revoke() with false
        if !self.slot(id).gate.try_revoke() {
            return false;
        }
        // Relaxed: written under the lock.
        self.slot(id).state.store(BLOCKED, Ordering::Relaxed);
        for holder in &self.holders {
            if holder.load(Ordering::Relaxed) == id {
                holder.store(NOBODY, Ordering::Relaxed);
            }
        }
        true
    }

    /// How many goroutines may compute beyond the number of processors.
    fn max_cpu_bound(&self, lists: &Lists) -> usize {
        (2 * lists.active as usize).max(4)
    }

    /// The caller owns `proc`: after a seizure, or after its thread could not go on. [I5]
    pub fn release(&self, proc: ProcId, shared_work: impl Fn() -> bool) -> WakeAction {
        let mut lists = self.lists.lock();
        let wake = self.release_processor(&mut lists, proc);
        drop(lists);
        if wake != WakeAction::Nothing {
            return wake;
        }
        // SeqCst: pairs with the fence in `notify`: either a submitter sees this idle processor, or
        // we see its work. [I1]
        fence(Ordering::SeqCst);
        // mutant: no recheck after a release: replace shared_work() with false
        if shared_work() && !fault("stranded retake") {
            self.wake_searcher()
        } else {
            WakeAction::Nothing
        }
    }

    /// The worker's answer to a disputed entry: whether its processor is gone. [H1]
    #[cold]
    pub fn check_revoked(&self, id: WorkerId) -> bool {
        let _lists = self.lists.lock();
        // mutant: the check_revoked is always won: replace self.slot(id).gate.take_revocation() with { let _ = self.slot(id).gate.take_revocation(); false }
        let taken = self.slot(id).gate.take_revocation();
        if taken {
            // One that computes stays in `cpu_bound_workers` until it waits for a processor.
            // Relaxed: written under the lock.
            // mutant: drop note that it is back
            self.slot(id).state.store(RETURNED, Ordering::Relaxed);
            self.spec.see(Doing::Returned(id));
        }
        taken
    }

    /// From now on `processors` may be held. Those too many are given up by their holders at the
    /// next decision; new ones are idle. The caller then calls [`notify`](Self::notify).
    pub fn set_active(&self, processors: u32) {
        let mut lists = self.lists.lock();
        let before = lists.active;
        lists.active = processors;
        self.spec.see(Doing::Active(processors));
        // Relaxed: read outside the lock as a hint.
        self.active.store(processors, Ordering::Relaxed);
        self.reach.store(processors.max(self.reach() as u32), Ordering::Relaxed);
        // mutant: what is idle is not retired: replace *p < processors with true
        let kept: Vec<ProcId> = lists.idle.iter().copied().filter(|p| *p < processors).collect();
        let dropped = lists.idle.len() - kept.len();
        lists.idle = kept;
        // Relaxed: under the lock, as are all changes to the count of idle processors.
        self.counts.fetch_sub(dropped as u32 * IDLE, Ordering::Relaxed);
        for proc in before..processors {
            // One that its holder has not yet given up stays with it.
            // mutant: what is held comes twice: replace self.holders[proc as usize].load(Ordering::Relaxed) == NOBODY with true
            if self.holders[proc as usize].load(Ordering::Relaxed) == NOBODY {
                let wake = self.release_processor(&mut lists, proc);
                // mutant: drop wake of who queues
                self.unpark(wake);
            }
        }
        // mutant: drop call for resched_requested
        self.set_resched_requested(&lists);
    }

    /// Tells every worker to stop: the sleeping now, the running at their next decision. `announce`
    /// is called under the lock: who sees what it sets gets `Stop` from here.
    pub fn stop(&self, announce: impl FnOnce()) {
        let mut lists = self.lists.lock();
        lists.stopping = true;
        self.spec.see(Doing::Stopping);
        // Before the announcement: who learns of that by a refusal finds it at its next decision.
        // mutant: drop call for resched_requested
        self.set_resched_requested(&lists);
        // mutant: drop announcement
        announce();
        let waiting: Vec<WorkerId> = lists
            .sleepers
            .drain(..)
            .collect::<Vec<_>>()
            .into_iter()
            .chain(lists.queueing.drain(..))
            .collect();
        for id in waiting {
            // Relaxed: written under the lock.
            self.slot(id).state.store(RUNNING, Ordering::Relaxed);
            // Release: pairs with the Acquire in `wait_for_assignment`.
            self.slot(id).assign.swap(ASSIGNED_STOP, Ordering::Release);
            // mutant: drop wake of who waits
            self.slot(id).parker.unpark();
        }
        // mutant: drop wake of the monitor
        self.monitor.unpark();
    }

    // ---- the monitor -------------------------------------------------------------------------------

    /// Wakes the monitor if it sleeps for as long as nothing runs.
    pub(super) fn wake_monitor(&self, lists: &mut Lists) {
        if std::mem::take(&mut lists.monitor_sleeps) {
            self.monitor.unpark();
        }
    }

    /// Makes the monitor look now.
    pub fn prompt_monitor(&self) {
        self.monitor.unpark();
    }

    /// The monitor waits: for `period`, or, if it `may_rest`, while nothing runs until something
    /// does. False means that the runtime stops.
    pub fn monitor_sleep(&self, period: Duration, may_rest: bool) -> bool {
        let mut lists = self.lists.lock();
        if lists.stopping {
            return false;
        }
        // Relaxed: written under this lock.
        let nobody = |holder: &AtomicU32| holder.load(Ordering::Relaxed) == NOBODY;
        let nothing_runs = may_rest && self.holders.iter().all(nobody);
        let calm = !lists.start_pending && (0..self.used_slots()).all(|id| !self.is_without(id));
        // Who takes up a processor then wakes it.
        lists.monitor_sleeps = nothing_runs;
        drop(lists);
        if nothing_runs && calm {
            self.monitor.park();
        } else {
            // Relaxed: a hint for who may prompt us.
            self.monitor_is_lazy.store(period > LAZY, Ordering::Relaxed);
            self.monitor.park_timeout(period);
            self.monitor_is_lazy.store(false, Ordering::Relaxed);
        }
        let mut lists = self.lists.lock();
        lists.monitor_sleeps = false;
        !lists.stopping
    }

    /// Whether the monitor sleeps for so long that who blocks should prompt it.
    #[inline]
    pub fn monitor_is_lazy(&self) -> bool {
        // Relaxed: a hint.
        self.monitor_is_lazy.load(Ordering::Relaxed)
    }

    /// Tries again what a failed thread start left undone.
    pub fn relieve(&self, shared_work: impl Fn() -> bool) -> WakeAction {
        let mut lists = self.lists.lock();
        if !std::mem::take(&mut lists.start_pending) {
            return WakeAction::Nothing;
        }
        self.spec.see(Doing::Starved(false));
        drop(lists);
        // mutant: no recheck after a failed start: replace shared_work() with false
        if shared_work() { self.wake_searcher() } else { WakeAction::Nothing }
    }

    /// The worker that has `proc`, as a hint.
    pub fn holder(&self, proc: ProcId) -> Option<WorkerId> {
        // Relaxed: a hint; `try_revoke` decides under the lock.
        let id = self.holders[proc as usize].load(Ordering::Relaxed);
        (id != NOBODY).then_some(id)
    }

    /// Whether workers queue for a processor, the runtime stops, or it shrinks.
    #[inline]
    pub fn resched_requested(&self) -> bool {
        // Relaxed: see `set_resched_requested`.
        self.resched_requested.load(Ordering::Relaxed)
    }

    /// The number of processors that may be held.
    pub fn active(&self) -> u32 {
        // Relaxed: a hint.
        self.active.load(Ordering::Relaxed)
    }

    /// Processors that nobody has, as a hint.
    pub fn idle_processors(&self) -> u32 {
        // Relaxed: a hint.
        idle(self.counts.load(Ordering::Relaxed))
    }

    /// Kernel threads of workers and helpers, and workers queueing, as a snapshot.
    pub fn threads(&self) -> (usize, usize) {
        let lists = self.lists.lock();
        (lists.threads + lists.helpers, lists.queueing.len())
    }

    /// Counts one more helper thread; false at the cap, which keeps one worker for each processor.
    pub fn add_helper(&self) -> bool {
        let mut lists = self.lists.lock();
        let workers = lists.threads.max(lists.active as usize);
        let room = workers + lists.helpers < self.max_threads;
        lists.helpers += usize::from(room);
        room
    }

    /// A helper thread has ended, or could not be started: there is room for a worker, if one is
    /// missing.
    pub fn remove_helper(&self, shared_work: impl Fn() -> bool) -> WakeAction {
        self.lists.lock().helpers -= 1;
        // mutant: a helper's end makes room for nobody: replace self.relieve(shared_work) with WakeAction::Nothing
        self.relieve(shared_work)
    }
}
