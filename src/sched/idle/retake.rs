//! Retake is how the monitor, a resize and `stop` take and give processors from outside.
//!
//! try_revoke: under the lock, close the gate of a worker in user code; its processor is then the caller's.
//! release: give the processor to the first queueing worker; if there is none, put it into the idle list and wake a
//! worker if there is work.
//! check_revoked: the worker, on its next entry, learns under the same lock whether it still has a processor.
//! [H1] as in `retake_gate`.  [I5] A retaken processor is not left idle, unnoticed, while its queues have work.
//! Checked by: verification/loom/retake.rs, verification/loom/handover.rs, verification/loom/monitor.rs,
//! verification/loom/relieve.rs, verification/loom/resize.rs, verification/loom/shutdown.rs, verification/shuttle/.

use super::idle_workers::*;
use crate::observe::fault;
use crate::observe::specification::Doing;
use crate::platform::atomic::fence;
use crate::platform::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// If the monitor waits for longer than this, a thread that blocks should prompt it.
const LAZY: Duration = Duration::from_micros(100);

impl IdleWorkers {
    /// Takes `proc` from worker `id` if that worker is in user code, and returns true if so. Called by the monitor,
    /// or by the worker itself when it is about to block. The caller then owns the processor, and must
    /// [`release`](Self::release) it. [H1]
    pub fn try_revoke(&self, id: WorkerId, proc: ProcId, cpu_bound: bool) -> bool {
        let mut lists = self.lists.lock();
        // Relaxed: the field is written only under this lock.
        let holder = self.holders[proc as usize].load(Ordering::Relaxed);
        // mutant: try_revoke from who has it no more: replace holder != id with false
        if holder != id
            || (cpu_bound && lists.cpu_bound_workers.len() >= self.max_cpu_bound(&lists))
        {
            return false;
        }
        // Both the monitor and the worker itself may want the processor. If the gate is taken, the other thread has
        // revoked it and not yet released it.
        // mutant: try_revoke twice: replace self.slot(id).gate.is_taken() with false
        if self.slot(id).gate.is_taken() {
            return false;
        }
        // mutant: try_revoke without a claim: replace !self.slot(id).gate.try_revoke() with false
        if !self.slot(id).gate.try_revoke() {
            return false;
        }
        // Relaxed: the field is written only under the lock.
        // mutant: drop note that it is blocked
        self.slot(id).state.store(BLOCKED, Ordering::Relaxed);
        self.spec.see(Doing::Retaken { worker: id, processor: proc, cpu_bound });
        if cpu_bound {
            lists.cpu_bound_workers.push(id);
        }
        true
    }

    /// Calls `look` while worker `id` is in user code and cannot leave it, so that `look` may read what the worker
    /// runs. Returns `None` without calling `look` if the worker is inside the runtime.
    pub fn observe<R>(&self, id: WorkerId, look: impl FnOnce() -> R) -> Option<R> {
        let _lists = self.lists.lock();
        let gate = &self.slot(id).gate;
        if gate.is_taken() {
            // The worker is in user code, or waits for this lock. [H1]
            return Some(look());
        }
        let seen = gate.try_revoke().then(look);
        if seen.is_some() {
            // The worker keeps its processor. If it saw the gate taken meanwhile, its check finds nothing revoked.
            // mutant: drop claim given back
            gate.take_revocation();
        }
        seen
    }

    /// Returns true if the worker's processor was retaken and it does not yet wait for another one, as a hint.
    pub fn is_without(&self, id: WorkerId) -> bool {
        // Relaxed: the field is written only under the lock.
        matches!(self.slot(id).state.load(Ordering::Relaxed), BLOCKED | RETURNED)
    }

    /// Returns true if the slot has no thread. The result no longer changes once the runtime has stopped.
    pub fn is_vacant(&self, id: WorkerId) -> bool {
        let _lists = self.lists.lock();
        // Relaxed: the field is written only under this lock.
        self.slot(id).state.load(Ordering::Relaxed) == VACANT
    }

    /// Called when a worker's thread has ended, or will do nothing more.
    pub fn leave(&self, id: WorkerId) {
        let mut lists = self.lists.lock();
        self.spec.see(Doing::Vacated(id));
        // Relaxed: the field is written only under the lock.
        self.slot(id).state.store(VACANT, Ordering::Relaxed);
        lists.threads -= 1;
    }

    /// Called after `stop`. If every worker has left or is in user code, where it now has no processor, calls
    /// `then` and returns its result. No worker enters the runtime during `then`. [T1]
    pub fn when_stopped<R>(&self, then: impl FnOnce() -> R) -> Option<R> {
        let lists = self.lists.lock();
        debug_assert!(lists.stopping);
        // Relaxed: the field is written only under this lock.
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
        // Relaxed: the field is written only under the lock.
        self.slot(id).state.store(BLOCKED, Ordering::Relaxed);
        for holder in &self.holders {
            if holder.load(Ordering::Relaxed) == id {
                holder.store(NOBODY, Ordering::Relaxed);
            }
        }
        true
    }

    /// Returns the greatest number of CPU-bound goroutines that may run beyond the number of processors.
    fn max_cpu_bound(&self, lists: &Lists) -> usize {
        (2 * lists.active as usize).max(4)
    }

    /// Releases `proc`, which the caller must own, for example because the caller has revoked it. [I5]
    pub fn release(&self, proc: ProcId, shared_work: impl Fn() -> bool) -> WakeAction {
        let mut lists = self.lists.lock();
        let wake = self.release_processor(&mut lists, proc);
        drop(lists);
        if wake != WakeAction::Nothing {
            return wake;
        }
        // SeqCst: pairs with the fence in `notify`: either a submitter sees this idle processor, or we see its
        // work. [I1]
        fence(Ordering::SeqCst);
        // mutant: no recheck after a release: replace shared_work() with false
        if shared_work() && !fault("stranded retake") {
            self.wake_searcher()
        } else {
            WakeAction::Nothing
        }
    }

    /// Called by a worker that saw its gate taken. Returns true if its processor was revoked. [H1]
    #[cold]
    pub fn check_revoked(&self, id: WorkerId) -> bool {
        let _lists = self.lists.lock();
        // mutant: the check_revoked is always won: replace self.slot(id).gate.take_revocation() with { let _ = self.slot(id).gate.take_revocation(); false }
        let taken = self.slot(id).gate.take_revocation();
        if taken {
            // A CPU-bound worker stays in `cpu_bound_workers` until it waits for a processor.
            // Relaxed: the field is written only under the lock.
            // mutant: drop note that it is back
            self.slot(id).state.store(RETURNED, Ordering::Relaxed);
            self.spec.see(Doing::Returned(id));
        }
        taken
    }

    /// Sets the number of processors that may be held to `processors`. Holders of surplus processors release them
    /// at their next decision; new processors are idle. The caller must then call [`notify`](Self::notify).
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
        // Relaxed: the count of idle processors changes only under the lock, which orders the changes.
        self.counts.fetch_sub(dropped as u32 * IDLE, Ordering::Relaxed);
        for proc in before..processors {
            // A processor that its holder has not yet released stays with that holder.
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

    /// Tells every worker to stop: sleeping workers now, running workers at their next decision. Calls `announce`
    /// under the lock, so that a thread that sees its effect gets `Stop` from the registry.
    pub fn stop(&self, announce: impl FnOnce()) {
        let mut lists = self.lists.lock();
        lists.stopping = true;
        self.spec.see(Doing::Stopping);
        // This comes before `announce`, so that a worker that learns of the stop by a refusal finds the request at
        // its next decision.
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
            // Relaxed: the field is written only under the lock.
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

    /// Wakes the monitor if it sleeps until a processor is held.
    pub(super) fn wake_monitor(&self, lists: &mut Lists) {
        if std::mem::take(&mut lists.monitor_sleeps) {
            self.monitor.unpark();
        }
    }

    /// Makes the monitor scan the workers now.
    pub fn prompt_monitor(&self) {
        self.monitor.unpark();
    }

    /// Called by the monitor to wait: for `period`, or, if `may_rest` and no processor is held, until a worker
    /// acquires a processor. Returns false if the runtime stops.
    pub fn monitor_sleep(&self, period: Duration, may_rest: bool) -> bool {
        let mut lists = self.lists.lock();
        if lists.stopping {
            return false;
        }
        // Relaxed: the field is written only under this lock.
        let nobody = |holder: &AtomicU32| holder.load(Ordering::Relaxed) == NOBODY;
        let nothing_runs = may_rest && self.holders.iter().all(nobody);
        let calm = !lists.start_pending && (0..self.used_slots()).all(|id| !self.is_without(id));
        // A worker that then acquires a processor wakes the monitor.
        lists.monitor_sleeps = nothing_runs;
        drop(lists);
        if nothing_runs && calm {
            self.monitor.park();
        } else {
            // Relaxed: a hint for threads that may prompt the monitor.
            self.monitor_is_lazy.store(period > LAZY, Ordering::Relaxed);
            self.monitor.park_timeout(period);
            self.monitor_is_lazy.store(false, Ordering::Relaxed);
        }
        let mut lists = self.lists.lock();
        lists.monitor_sleeps = false;
        !lists.stopping
    }

    /// Returns true if the monitor sleeps for so long that a thread that blocks should prompt it.
    #[inline]
    pub fn monitor_is_lazy(&self) -> bool {
        // Relaxed: the value is a hint.
        self.monitor_is_lazy.load(Ordering::Relaxed)
    }

    /// Tries again to wake a worker, if a thread could not be started before.
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

    /// Returns the worker that holds `proc`, as a hint.
    pub fn holder(&self, proc: ProcId) -> Option<WorkerId> {
        // Relaxed: a hint; `try_revoke` decides under the lock.
        let id = self.holders[proc as usize].load(Ordering::Relaxed);
        (id != NOBODY).then_some(id)
    }

    /// Returns true if a worker queues for a processor, or the runtime stops or shrinks.
    #[inline]
    pub fn resched_requested(&self) -> bool {
        // Relaxed: see `set_resched_requested`.
        self.resched_requested.load(Ordering::Relaxed)
    }

    /// Returns the number of processors that may be held.
    pub fn active(&self) -> u32 {
        // Relaxed: the value is a hint.
        self.active.load(Ordering::Relaxed)
    }

    /// Returns the number of processors that no worker holds, as a hint.
    pub fn idle_processors(&self) -> u32 {
        // Relaxed: the value is a hint.
        idle(self.counts.load(Ordering::Relaxed))
    }

    /// Returns the number of kernel threads of workers and helpers, and of queueing workers, as a snapshot.
    pub fn threads(&self) -> (usize, usize) {
        let lists = self.lists.lock();
        (lists.threads + lists.helpers, lists.queueing.len())
    }

    /// Counts one more helper thread. Returns false at the limit, which leaves room for one worker for each
    /// processor.
    pub fn add_helper(&self) -> bool {
        let mut lists = self.lists.lock();
        let workers = lists.threads.max(lists.active as usize);
        let room = workers + lists.helpers < self.max_threads;
        lists.helpers += usize::from(room);
        room
    }

    /// Called when a helper thread has ended or could not be started. Starts a worker in its place if the start of
    /// one is pending.
    pub fn remove_helper(&self, shared_work: impl Fn() -> bool) -> WakeAction {
        self.lists.lock().helpers -= 1;
        // mutant: a helper's end makes room for nobody: replace self.relieve(shared_work) with WakeAction::Nothing
        self.relieve(shared_work)
    }
}
