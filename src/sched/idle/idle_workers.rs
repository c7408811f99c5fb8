//! Idle workers: which workers sleep, which wait for a processor, and which worker holds which processor. This file
//! holds the data and the small steps on it.

use super::retake_gate::RetakeGate;
use crate::observe::broken;
use crate::observe::fault;
use crate::observe::specification::{Doing, Spec};
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::platform::{Counter, Mutex, Parker};
use crossbeam_utils::CachePadded;
use std::collections::VecDeque;
use std::time::Duration;

/// How long the thread of a worker that is not needed sleeps before it ends.
pub(crate) const IDLE_THREAD_LIFE: Duration = Duration::from_secs(5);

/// The number of a worker.
pub type WorkerId = u32;

/// The number of a processor.
pub type ProcId = u32;

pub(super) const SEARCHING: u32 = 1;

pub(super) const IDLE: u32 = 1 << 16;

pub(super) const NOBODY: u32 = u32::MAX;

/// The slot has no kernel thread.
pub const VACANT: u32 = 0;

/// The worker has a processor, or is about to learn that it was assigned one.
pub const RUNNING: u32 = 1;

/// The worker sleeps without a processor. Any thread that has a processor to give may wake it.
pub const PARKED: u32 = 2;

/// The worker has runnable goroutines bound to it and waits for a processor.
pub const QUEUEING: u32 = 3;

/// The worker's processor was retaken while the worker was in user code.
pub const BLOCKED: u32 = 4;

/// Like `BLOCKED`, but the worker has re-entered the runtime since.
pub const RETURNED: u32 = 5;

/// Why a worker's sleep ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// The worker was assigned a processor.
    Run {
        /// The assigned processor.
        proc: ProcId,
        /// True if the worker also has a searching token, which it must give back.
        searching: bool,
    },
    /// The runtime stops.
    Stop,
    /// The worker has slept for long and is not needed, so its thread must end.
    Reaped,
}

/// What the caller must do after it has released the lock.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeAction {
    /// Nothing is to be done.
    Nothing,
    /// The processor is assigned: unpark this worker.
    Unpark(WorkerId),
    /// The processor is assigned: start a kernel thread for this worker.
    Start(WorkerId),
}

/// The places where a worker rechecks for work before it sleeps.
pub trait Sources {
    /// Returns true if there is stealable work, in a run queue or in the global queue.
    fn has_stealable(&self) -> bool;
    /// Returns true if there is work in the worker's own bound queue or remote queue.
    fn has_bound(&self) -> bool;
    /// Returns true if started goroutines are bound to the worker, so that its thread must not end. [A1]
    fn has_residents(&self) -> bool;
    /// Returns true if the worker runs stealable goroutines, and not only those bound to it. [A2]
    fn runs_stealable(&self) -> bool {
        true
    }
    /// Blocks elsewhere than in `parker`, if that serves other goroutines (the sockets, the worker's timers).
    /// Returns `Some` after that, with the result of [`self_wake`](IdleWorkers::self_wake) if it took a processor.
    /// Returns `None` if the worker must block in `parker`.
    fn block(&self, _parker: &Parker) -> Option<Option<WakeReason>> {
        None
    }
}

pub(super) const ASSIGNED_NONE: u32 = 0;

pub(super) const ASSIGNED_STOP: u32 = 1;

/// A worker's slot in the registry. It outlives the kernel thread that uses it.
pub struct WorkerSlot {
    /// Written under the lock, and read by `wake_bound`.
    pub(super) state: AtomicU32,
    /// What the sleeper was assigned: nothing, stop, or a processor, perhaps with a token.
    pub(super) assign: AtomicU32,
    /// True if the worker runs only goroutines bound to it, so that no thread wakes it for other work. Written by
    /// the worker; read under the lock, of sleepers only. [A2]
    pub(super) alone: AtomicBool,
    pub(crate) parker: Parker,
    /// Decides whether the processor is still this worker's.
    pub gate: RetakeGate,
}

/// The data that the lock guards.
pub(crate) struct Lists {
    pub(super) idle: Vec<ProcId>,
    pub(super) sleepers: Vec<WorkerId>,
    pub(super) queueing: VecDeque<WorkerId>,
    pub(super) vacant: Vec<WorkerId>,
    /// Slots of workers that lost their processor because of a CPU-bound goroutine.
    pub(super) cpu_bound_workers: Vec<WorkerId>,
    pub(super) active: u32,
    /// The numbers of kernel threads: of workers, and of helpers.
    pub(super) threads: usize,
    pub(super) helpers: usize,
    pub(crate) stopping: bool,
    /// A thread could not be started while work waited, so the monitor must try again.
    pub(super) start_pending: bool,
    pub(super) monitor_sleeps: bool,
}

/// See the module.
pub struct IdleWorkers {
    pub(super) lists: Mutex<Lists>,
    /// The number of idle processors in the upper half, and of searching workers in the lower half. Written only by
    /// read-modify-writes.
    pub(super) counts: CachePadded<AtomicU32>,
    /// True if a worker must handle a resched request at its next decision, because a worker queues for a
    /// processor, or the runtime stops or shrinks. Written under the lock.
    pub(super) resched_requested: CachePadded<AtomicBool>,
    slots: Box<[CachePadded<WorkerSlot>]>,
    /// The worker that holds each processor. Written under the lock.
    pub(super) holders: Box<[AtomicU32]>,
    pub(super) active: AtomicU32,
    /// The greatest number of processors so far. The queues of processors from this number on were never used.
    pub(super) reach: AtomicU32,
    /// The number of slots that have, or had, a thread.
    pub(super) used_slots: AtomicU32,
    pub(super) max_threads: usize,
    pub(super) monitor: Parker,
    pub(super) monitor_is_lazy: AtomicBool,
    /// How often a worker found no work, and slept.
    pub(crate) sleeps: Counter,
    /// How often a worker that slept or queued was woken.
    pub(crate) wakes: Counter,
    /// The specification. The registry and the rest of the runtime report their events to it.
    pub(crate) spec: Spec,
}

impl IdleWorkers {
    /// Makes a registry of idle processors, `processors` of at most `max_processors`, and of workers without
    /// threads.
    pub fn new(processors: u32, max_processors: u32, max_threads: usize) -> Self {
        let lists = Lists {
            idle: (0..processors).rev().collect(),
            sleepers: Vec::with_capacity(max_threads),
            queueing: VecDeque::with_capacity(max_threads),
            vacant: (0..max_threads as u32).rev().collect(),
            cpu_bound_workers: Vec::new(),
            active: processors,
            threads: 0,
            helpers: 0,
            stopping: false,
            start_pending: false,
            monitor_sleeps: false,
        };
        let spec = Spec::new();
        spec.see(Doing::Active(processors));
        (0..processors).for_each(|processor| spec.see(Doing::Idle(processor)));
        IdleWorkers {
            lists: Mutex::new(lists),
            counts: CachePadded::new(AtomicU32::new(processors * IDLE)),
            resched_requested: CachePadded::new(AtomicBool::new(false)),
            slots: (0..max_threads).map(|_| CachePadded::new(WorkerSlot::new())).collect(),
            holders: (0..max_processors).map(|_| AtomicU32::new(NOBODY)).collect(),
            active: AtomicU32::new(processors),
            reach: AtomicU32::new(processors),
            used_slots: AtomicU32::new(0),
            max_threads,
            monitor: Parker::new(),
            monitor_is_lazy: AtomicBool::new(false),
            sleeps: Counter::new(),
            wakes: Counter::new(),
            spec,
        }
    }

    /// Returns the slot of a worker.
    pub fn slot(&self, id: WorkerId) -> &WorkerSlot {
        &self.slots[id as usize]
    }

    /// Returns the number of slots that have, or had, a thread. No worker from this number on was ever used.
    pub fn used_slots(&self) -> u32 {
        // Relaxed: the value is a hint.
        self.used_slots.load(Ordering::Relaxed)
    }

    /// Returns the greatest number of processors so far. The queues of processors from this number on were never
    /// used.
    pub fn reach(&self) -> usize {
        // Relaxed: a thread that puts work beyond the number read here has learned of the processor under the lock,
        // and notifies.
        self.reach.load(Ordering::Relaxed) as usize
    }

    /// Releases `proc` on behalf of its owner. The processor goes to the first queueing worker; if there is none,
    /// it becomes idle. It is retired if the runtime has shrunk. [I3]
    pub(super) fn release_processor(&self, lists: &mut Lists, proc: ProcId) -> WakeAction {
        self.hold(proc, NOBODY);
        let mut wake = WakeAction::Nothing;
        // mutant: pass over who queues: replace lists.queueing.pop_front() with None::<WorkerId>
        // mutant: keep a retired processor: replace proc >= lists.active with false
        if proc >= lists.active {
            // The processor is retired, and its queues are empty.
        } else if let Some(next) = lists.queueing.pop_front() {
            self.assign(next, proc, false);
            wake = WakeAction::Unpark(next);
        } else {
            lists.idle.push(proc);
            self.spec.see(Doing::Idle(proc));
            // Relaxed: a thread that rechecks after this passes a fence first. That fence makes this an Acquire
            // that pairs with the Release in `stop_searching`.
            self.counts.fetch_add(IDLE, Ordering::Relaxed);
        }
        self.set_resched_requested(lists);
        wake
    }

    pub(super) fn acquire_idle(&self, lists: &mut Lists) -> Option<ProcId> {
        let proc = lists.idle.pop()?;
        if fault("two holders") {
            lists.idle.push(proc);
        }
        // Relaxed: the count of idle processors changes only under the lock, which orders the changes.
        self.counts.fetch_sub(IDLE, Ordering::Relaxed);
        // mutant: drop wake of the monitor
        self.wake_monitor(lists);
        Some(proc)
    }

    pub(super) fn hold(&self, proc: ProcId, id: WorkerId) {
        self.spec.see(Doing::Held { processor: proc, by: (id != NOBODY).then_some(id) });
        // Relaxed: written under the lock; read outside the lock only as a hint.
        self.holders[proc as usize].store(id, Ordering::Relaxed);
    }

    /// Makes a searching token. The count is raised under the lock, before any thread can use the token.
    pub(super) fn token(&self) -> bool {
        // Relaxed: a raised count only spares other threads a wake-up, and the worker that gets the token checks
        // every source after this.
        self.counts.fetch_add(SEARCHING, Ordering::Relaxed);
        true
    }

    pub(super) fn assign(&self, id: WorkerId, proc: ProcId, is_searching: bool) {
        self.hold(proc, id);
        // Relaxed: the field is written only under the lock.
        self.slot(id).state.store(RUNNING, Ordering::Relaxed);
        let word = (proc + 1) << 2 | (is_searching as u32) << 1;
        // Release: pairs with the Acquire in `wait_for_assignment`.
        self.slot(id).assign.swap(word, Ordering::Release);
    }

    pub(super) fn enqueue(&self, lists: &mut Lists, id: WorkerId) {
        // Relaxed: the field is written only under the lock.
        self.slot(id).state.store(QUEUEING, Ordering::Relaxed);
        lists.queueing.push_back(id);
        self.spec.see(Doing::Queues(id));
        // mutant: drop call for resched_requested
        self.set_resched_requested(lists);
    }

    pub(super) fn set_resched_requested(&self, lists: &Lists) {
        let held = &self.holders[lists.active as usize..];
        // Relaxed: written under the lock. Workers read it at every decision, and a worker that is about to sleep
        // takes the lock.
        let shrinking = held.iter().any(|holder| holder.load(Ordering::Relaxed) != NOBODY);
        // mutant: no resched_requested for a stop: replace lists.stopping with false
        // mutant: no resched_requested when shrinking: replace shrinking with false
        let look_up = lists.stopping || shrinking || !lists.queueing.is_empty();
        self.resched_requested.store(look_up, Ordering::Relaxed);
    }

    /// Performs the wake-up of a [`WakeAction::Unpark`].
    pub fn unpark(&self, wake: WakeAction) {
        // mutant: nobody is unparked: replace self.slot(id).parker.unpark() with ()
        match wake {
            WakeAction::Nothing => {}
            WakeAction::Unpark(id) => {
                self.wakes.more(1);
                self.slot(id).parker.unpark();
            }
            WakeAction::Start(_) => broken("unpark", "no thread to start", "Start"),
        }
    }
}

impl WakeAction {
    pub(super) fn slot(self) -> WorkerId {
        match self {
            WakeAction::Unpark(id) | WakeAction::Start(id) => id,
            WakeAction::Nothing => NOBODY,
        }
    }
}

impl WorkerSlot {
    fn new() -> Self {
        WorkerSlot {
            state: AtomicU32::new(VACANT),
            assign: AtomicU32::new(ASSIGNED_NONE),
            alone: AtomicBool::new(false),
            parker: Parker::new(),
            gate: RetakeGate::new(),
        }
    }
}

pub(super) fn idle(counts: u32) -> u32 {
    counts / IDLE
}

pub(super) fn searching(counts: u32) -> u32 {
    counts % IDLE
}
