//! The steps of a worker that found no work: search, sleep, queue, end. The module documentation of `idle`
//! describes the protocol and the invariants.
//! Checked by: verification/loom/idle.rs, verification/loom/handover.rs, verification/loom/relieve.rs.

use super::idle_workers::*;
use crate::observe::fault;
use crate::observe::specification::Doing;
use crate::platform::atomic::Ordering;
use crate::platform::atomic::fence;
use crate::platform::thread;

impl IdleWorkers {
    /// Counts the caller as searching, unless at least half of the busy workers already search.
    pub fn start_searching(&self) -> bool {
        // Relaxed: this is a limit on wasted effort, not a part of the protocol.
        let seen = self.counts.load(Ordering::Relaxed);
        let busy = self.active.load(Ordering::Relaxed).saturating_sub(idle(seen));
        if 2 * searching(seen) >= busy.max(1) {
            return false;
        }
        self.token()
    }

    /// Called when a searching worker has found work. If it was the last one and there is more work, another worker
    /// must search, because a submitter may have relied on the caller. [I1]
    pub fn stop_searching(&self, sources: &impl Sources) -> WakeAction {
        // Release: pairs with the fences below, in `sleep` and in `release`, each of which follows a
        // read-modify-write of this word. A worker that is the last to search, or releases its processor, after us
        // sees in its recheck what we have put into our run queue. [I1]
        let before = self.counts.fetch_sub(SEARCHING, Ordering::Release);
        if searching(before) != 1 || idle(before) == 0 {
            return WakeAction::Nothing;
        }
        // SeqCst: pairs with the fence in `notify`. As an Acquire, it pairs with the Release above. [I1]
        fence(Ordering::SeqCst);
        // mutant: the last searcher does not recheck: replace sources.has_stealable() with false
        if sources.has_stealable() { self.wake_searcher() } else { WakeAction::Nothing }
    }

    /// Blocks the kernel thread until the worker is assigned a processor. Releases `held` first, if there is one,
    /// and performs the wake-up that this requires. [I1] [I2]
    pub fn sleep(
        &self,
        id: WorkerId,
        held: Option<ProcId>,
        is_searching: bool,
        sources: &impl Sources,
    ) -> WakeReason {
        let slot = self.slot(id);
        let mut lists = self.lists.lock();
        let wake =
            held.map_or(WakeAction::Nothing, |proc| self.release_processor(&mut lists, proc));
        // mutant: drop token given back
        if is_searching {
            // Relaxed: the fence below makes it an Acquire that pairs with the Release in `stop_searching`. No
            // Release is needed, because a worker that gives its token back here has found nothing to publish.
            self.counts.fetch_sub(SEARCHING, Ordering::Relaxed);
        }
        // mutant: drop end of a CPU-bound worker
        lists.cpu_bound_workers.retain(|one| *one != id);
        // mutant: sleep though it stops: replace lists.stopping with false
        if lists.stopping {
            drop(lists);
            self.unpark(wake);
            return WakeReason::Stop;
        }
        // Relaxed: written under the lock; ordered before the recheck by the fence below.
        // mutant: drop announcement of PARKED
        slot.state.store(PARKED, Ordering::Relaxed);
        lists.sleepers.push(id);
        self.spec.see(Doing::AboutToSleep(id));
        let surplus = lists.sleepers.len() > lists.idle.len();
        drop(lists);
        // mutant: drop wake of who queues
        self.unpark(wake);
        // SeqCst: pairs with the fences in `notify` and `wake_bound`. As an Acquire, it pairs with the Release in
        // `stop_searching`. [I1] [I2]
        fence(Ordering::SeqCst);
        // mutant: no recheck of what is at home: replace sources.has_bound() with false
        let home = sources.has_bound();
        // mutant: no recheck of what is shared: replace sources.has_stealable() with false
        if (home || sources.runs_stealable() && sources.has_stealable() && !fault("lost wake-up"))
            && let Some(awake) = self.self_wake(id, home)
        {
            // The work that was seen may belong to an unfinished steal, so this worker lets the stealing thread
            // finish it.
            thread::yield_now();
            return awake;
        }
        self.spec.see(Doing::Sleeps(id));
        self.sleeps.more(1);
        // mutant: a home may end: replace !sources.has_residents() with true
        self.block(id, surplus && !sources.has_residents(), sources)
    }

    /// Called by a worker that is registered as sleeping and found work in its recheck. If no thread has woken it
    /// yet and a processor is idle, it takes that processor. If none is idle and the work is bound to this worker
    /// (`home`), it queues for a processor.
    pub fn self_wake(&self, id: WorkerId, home: bool) -> Option<WakeReason> {
        let mut lists = self.lists.lock();
        // Relaxed: the field is written only under this lock.
        // mutant: drop look whether it was woken
        if self.slot(id).state.load(Ordering::Relaxed) != PARKED {
            return None;
        }
        match self.acquire_idle(&mut lists) {
            Some(proc) => {
                // mutant: drop departure from the sleepers
                lists.sleepers.retain(|sleeper| *sleeper != id);
                // Relaxed: the field is written only under the lock.
                self.slot(id).state.store(RUNNING, Ordering::Relaxed);
                self.hold(proc, id);
                // mutant: self_wake without a token: replace self.token() with false
                Some(WakeReason::Run { proc, searching: self.token() })
            }
            None => {
                // mutant: drop place in the queue
                if home {
                    // mutant: drop departure from the sleepers
                    lists.sleepers.retain(|sleeper| *sleeper != id);
                    self.enqueue(&mut lists, id);
                }
                None
            }
        }
    }

    /// Queues for a processor, and blocks the kernel thread until one is assigned. Releases `held` first, for the
    /// workers that already queue. [I3]
    pub fn queue(&self, id: WorkerId, held: Option<ProcId>) -> WakeReason {
        let mut lists = self.lists.lock();
        lists.cpu_bound_workers.retain(|one| *one != id);
        let wake =
            held.map_or(WakeAction::Nothing, |proc| self.release_processor(&mut lists, proc));
        if lists.stopping {
            drop(lists);
            self.unpark(wake);
            return WakeReason::Stop;
        }
        // mutant: queue beside an idle processor: replace self.acquire_idle(&mut lists) with None::<ProcId>
        if !fault("queue beside an idle processor")
            && let Some(proc) = self.acquire_idle(&mut lists)
        {
            // Relaxed: the field is written only under the lock.
            self.slot(id).state.store(RUNNING, Ordering::Relaxed);
            self.hold(proc, id);
            drop(lists);
            self.unpark(wake);
            return WakeReason::Run { proc, searching: false };
        }
        self.enqueue(&mut lists, id);
        drop(lists);
        // mutant: drop wake of who queued before
        self.unpark(wake);
        self.wait_for_assignment(id)
    }

    /// Blocks the kernel thread until the worker is assigned something, or, if `may_end`, for
    /// [`IDLE_THREAD_LIFE`](super::IDLE_THREAD_LIFE) at most. Meanwhile the worker serves the sockets or its
    /// timers, if no other thread does.
    fn block(&self, id: WorkerId, may_end: bool, sources: &impl Sources) -> WakeReason {
        let slot = self.slot(id);
        loop {
            if let Some(awake) = slot.take_assignment() {
                return awake;
            }
            match sources.block(&slot.parker) {
                Some(Some(awake)) => return awake,
                Some(None) => {}
                None if !may_end => slot.parker.park(),
                None => {
                    let limit = crate::sched::idle::IDLE_THREAD_LIFE;
                    if !slot.parker.park_timeout(limit) && self.reap(id) {
                        return WakeReason::Reaped;
                    }
                }
            }
        }
    }

    /// Blocks the kernel thread until the worker is assigned something.
    pub fn wait_for_assignment(&self, id: WorkerId) -> WakeReason {
        let slot = self.slot(id);
        loop {
            if let Some(awake) = slot.take_assignment() {
                return awake;
            }
            slot.parker.park();
        }
    }

    fn reap(&self, id: WorkerId) -> bool {
        let mut lists = self.lists.lock();
        // Relaxed: the field is written only under this lock.
        // mutant: drop look whether it was woken
        if self.slot(id).state.load(Ordering::Relaxed) != PARKED || lists.stopping {
            return false;
        }
        lists.sleepers.retain(|sleeper| *sleeper != id);
        self.vacate(&mut lists, id);
        true
    }

    /// Ends the worker's thread although the runtime does not stop. Its processor must have been released. [A3]
    pub fn resign(&self, id: WorkerId) -> WakeReason {
        let mut lists = self.lists.lock();
        lists.cpu_bound_workers.retain(|one| *one != id);
        if lists.stopping {
            return WakeReason::Stop;
        }
        self.vacate(&mut lists, id);
        WakeReason::Reaped
    }

    /// Called when the thread of worker `id` could not be started. The assigned processor goes to another worker.
    /// Work is not forgotten meanwhile, because the monitor tries again. [I1]
    pub fn start_failed(&self, id: WorkerId) -> WakeAction {
        let mut lists = self.lists.lock();
        // Relaxed: no other thread reads the assignment of a slot without a thread.
        let word = self.slot(id).assign.swap(ASSIGNED_NONE, Ordering::Relaxed);
        self.vacate(&mut lists, id);
        // mutant: drop note of a thread that is missing
        lists.start_pending = true;
        self.spec.see(Doing::Starved(lists.start_pending));
        if word <= ASSIGNED_STOP {
            return WakeAction::Nothing;
        }
        // mutant: drop token given back
        if word & 2 != 0 {
            // Relaxed: the count is changed under the lock, and the monitor, or the sleeper below, takes over the
            // search.
            self.counts.fetch_sub(SEARCHING, Ordering::Relaxed);
        }
        let wake = self.release_processor(&mut lists, (word >> 2) - 1);
        if wake != WakeAction::Nothing || self.last_free_sleeper(&lists).is_none() {
            return wake;
        }
        drop(lists);
        // mutant: nobody takes its place: replace self.wake_searcher() with WakeAction::Nothing
        self.wake_searcher()
    }

    fn vacate(&self, lists: &mut Lists, id: WorkerId) {
        // Relaxed: the field is written only under the lock.
        self.slot(id).state.store(VACANT, Ordering::Relaxed);
        lists.vacant.push(id);
        self.spec.see(Doing::Vacated(id));
        lists.threads -= 1;
    }
}

impl WorkerSlot {
    /// Must be called by the slot's worker, or while the slot has no thread.
    pub fn set_alone(&self, alone: bool) {
        // Relaxed: a thread that reads it finds the worker among the sleepers, under the lock that the worker has
        // taken since.
        self.alone.store(alone, Ordering::Relaxed);
    }

    pub(super) fn is_alone(&self) -> bool {
        // Relaxed: for the same reason as above.
        self.alone.load(Ordering::Relaxed)
    }

    fn take_assignment(&self) -> Option<WakeReason> {
        // Acquire: pairs with the Release in `assign`; the processor itself is published by the lock.
        match self.assign.swap(ASSIGNED_NONE, Ordering::Acquire) {
            ASSIGNED_NONE => None,
            ASSIGNED_STOP => Some(WakeReason::Stop),
            word => Some(WakeReason::Run { proc: (word >> 2) - 1, searching: word & 2 != 0 }),
        }
    }
}
