//! Idle workers: which workers sleep, which of them wait for a processor, and who holds which. Data and small steps.

use super::retake_gate::RetakeGate;
use crate::observe::broken;
use crate::observe::fault;
use crate::observe::specification::{Doing, Spec};
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::platform::{Counter, Mutex, Parker};
use crossbeam_utils::CachePadded;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a thread that has nothing to do, and is not needed, sleeps before it ends.
pub(crate) const IDLE_THREAD_LIFE: Duration = Duration::from_secs(5);

/// A worker's number.
pub type WorkerId = u32;

/// A processor's number.
pub type ProcId = u32;

pub(super) const SEARCHING: u32 = 1;

pub(super) const IDLE: u32 = 1 << 16;

pub(super) const NOBODY: u32 = u32::MAX;

/// No kernel thread sits here.
pub const VACANT: u32 = 0;

/// It has a processor, or is about to learn that it was given one.
pub const RUNNING: u32 = 1;

/// It sleeps without a processor; anybody with one to give may wake it.
pub const PARKED: u32 = 2;

/// It has runnable goroutines at home and waits for a processor.
pub const QUEUEING: u32 = 3;

/// Its processor was retaken while it was in user code.
pub const BLOCKED: u32 = 4;

/// It was, and has come back to the runtime since.
pub const RETURNED: u32 = 5;

/// What a worker's sleep ended with.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeReason {
    /// It has this processor; `searching` is a token to hand back.
    Run {
        /// The processor.
        proc: ProcId,
        /// Whether it has a searching token.
        searching: bool,
    },
    /// The runtime stops.
    Stop,
    /// It has slept long and nobody needs it: its thread ends.
    Reaped,
}

/// What the caller must do once the lock is released.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WakeAction {
    /// Nothing.
    Nothing,
    /// The grant is made: unpark this worker.
    Unpark(WorkerId),
    /// The grant is made: start a kernel thread for this worker.
    Start(WorkerId),
}

/// The places where a worker rechecks for work.
pub trait Sources {
    /// Anything stealable: deques and the injector.
    fn has_stealable(&self) -> bool;
    /// The worker's own ring and inbox.
    fn has_bound(&self) -> bool;
    /// Whether started goroutines have their home here, so that the thread may not end. [A1]
    fn has_residents(&self) -> bool;
    /// Whether it runs what is stealable, and not what is at home alone. [A2]
    fn runs_stealable(&self) -> bool {
        true
    }
    /// Sleeps until `parker` is given a permit, or it may [`self_wake`](Roster::rise), where that is of use
    /// to others: `Some`. `None`: it is to sleep by its parker alone.
    fn block(&self, _parker: &Parker) -> Option<Option<WakeReason>> {
        None
    }
}

pub(super) const ASSIGNED_NONE: u32 = 0;

pub(super) const ASSIGNED_STOP: u32 = 1;

/// A worker's place in the roster.
pub struct WorkerSlot {
    /// Written under the lock, read by `wake_bound`.
    pub(super) state: AtomicU32,
    /// What a sleeper was woken with: nothing, stop, or a processor and a token.
    pub(super) assign: AtomicU32,
    /// It runs only what is at home: nobody wakes it for other work. Written by its worker, and read of
    /// sleepers under the lock. [A2]
    pub(super) alone: AtomicBool,
    pub(crate) parker: Parker,
    /// Whether the processor is still this worker's.
    pub gate: RetakeGate,
}

/// What the lock guards.
pub(crate) struct Lists {
    pub(super) idle: Vec<ProcId>,
    pub(super) sleepers: Vec<WorkerId>,
    pub(super) queueing: VecDeque<WorkerId>,
    pub(super) vacant: Vec<WorkerId>,
    /// Seats whose processor was retaken from a goroutine that computes.
    pub(super) cpu_bound_workers: Vec<WorkerId>,
    pub(super) active: u32,
    /// Of workers, and of helpers.
    pub(super) threads: usize,
    pub(super) helpers: usize,
    pub(crate) stopping: bool,
    /// A thread could not be started while work waited: the monitor tries again.
    pub(super) start_pending: bool,
    pub(super) monitor_sleeps: bool,
}

/// See the module.
pub struct IdleWorkers {
    pub(super) lists: Mutex<Lists>,
    /// Idle processors in the upper half, searching workers in the lower. Written by
    /// read-modify-writes alone.
    pub(super) counts: CachePadded<AtomicU32>,
    /// Some worker should look up at its next decision: somebody queues, or the runtime stops or
    /// shrinks. Written under the lock.
    pub(super) resched_requested: CachePadded<AtomicBool>,
    slots: Box<[CachePadded<WorkerSlot>]>,
    /// The worker that has each processor. Written under the lock.
    pub(super) holders: Box<[AtomicU32]>,
    pub(super) active: AtomicU32,
    /// The most processors there ever were: beyond it, no queue was ever used.
    pub(super) reach: AtomicU32,
    /// Seats that have, or had, a thread.
    pub(super) used_slots: AtomicU32,
    pub(super) max_threads: usize,
    pub(super) monitor: Parker,
    pub(super) monitor_is_lazy: AtomicBool,
    /// How often a worker found nothing to do, and slept.
    pub(crate) sleeps: Counter,
    /// How often one that slept, or queued, was woken.
    pub(crate) wakes: Counter,
    /// Told of what happens, here and in the runtime as a whole.
    pub(crate) spec: Spec,
}

impl IdleWorkers {
    /// `processors` of at most `max_processors` are idle; no worker has a thread yet.
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

    /// The seat of a worker.
    pub fn slot(&self, id: WorkerId) -> &WorkerSlot {
        &self.slots[id as usize]
    }

    /// Seats that have, or had, a thread: no worker beyond was ever used.
    pub fn used_slots(&self) -> u32 {
        // Relaxed: a hint.
        self.used_slots.load(Ordering::Relaxed)
    }

    /// The most processors there ever were: beyond it, no queue was ever used.
    pub fn reach(&self) -> usize {
        // Relaxed: who puts work beyond it was told so by the lock, and notifies.
        self.reach.load(Ordering::Relaxed) as usize
    }

    /// The owner of `proc` gives it up: to who queues first, else it is idle, or gone if the
    /// runtime has shrunk. [I3]
    pub(super) fn release_processor(&self, lists: &mut Lists, proc: ProcId) -> WakeAction {
        self.hold(proc, NOBODY);
        let mut wake = WakeAction::Nothing;
        // mutant: pass over who queues: replace lists.queueing.pop_front() with None::<WorkerId>
        // mutant: keep a retired processor: replace proc >= lists.active with false
        if proc >= lists.active {
            // It is retired; its queues are empty.
        } else if let Some(next) = lists.queueing.pop_front() {
            self.assign(next, proc, false);
            wake = WakeAction::Unpark(next);
        } else {
            lists.idle.push(proc);
            self.spec.see(Doing::Idle(proc));
            // Relaxed: who rechecks after this goes through a fence first, which makes it an Acquire
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
        // Relaxed: under the lock, as are all changes to the count of idle processors.
        self.counts.fetch_sub(IDLE, Ordering::Relaxed);
        // mutant: drop wake of the monitor
        self.wake_monitor(lists);
        Some(proc)
    }

    pub(super) fn hold(&self, proc: ProcId, id: WorkerId) {
        self.spec.see(Doing::Held { processor: proc, by: (id != NOBODY).then_some(id) });
        // Relaxed: written under the lock; read outside it as a hint only.
        self.holders[proc as usize].store(id, Ordering::Relaxed);
    }

    /// A searching token: it is counted before anybody can see it used, under the lock.
    pub(super) fn token(&self) -> bool {
        // Relaxed: raising the count only spares others a wake-up, and who gets the token looks at
        // every source after this.
        self.counts.fetch_add(SEARCHING, Ordering::Relaxed);
        true
    }

    pub(super) fn assign(&self, id: WorkerId, proc: ProcId, is_searching: bool) {
        self.hold(proc, id);
        // Relaxed: written under the lock.
        self.slot(id).state.store(RUNNING, Ordering::Relaxed);
        let word = (proc + 1) << 2 | (is_searching as u32) << 1;
        // Release: pairs with the Acquire in `wait_for_assignment`.
        self.slot(id).assign.swap(word, Ordering::Release);
    }

    pub(super) fn enqueue(&self, lists: &mut Lists, id: WorkerId) {
        // Relaxed: written under the lock.
        self.slot(id).state.store(QUEUEING, Ordering::Relaxed);
        lists.queueing.push_back(id);
        self.spec.see(Doing::Queues(id));
        // mutant: drop call for resched_requested
        self.set_resched_requested(lists);
    }

    pub(super) fn set_resched_requested(&self, lists: &Lists) {
        let held = &self.holders[lists.active as usize..];
        // Relaxed: written under the lock; workers read it at every decision, and one that is
        // about to sleep takes the lock.
        let shrinking = held.iter().any(|holder| holder.load(Ordering::Relaxed) != NOBODY);
        // mutant: no resched_requested for a stop: replace lists.stopping with false
        // mutant: no resched_requested when shrinking: replace shrinking with false
        let look_up = lists.stopping || shrinking || !lists.queueing.is_empty();
        self.resched_requested.store(look_up, Ordering::Relaxed);
    }

    /// Carries out an [`WakeAction::Unpark`].
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
