//! Roster: which worker has which processor, and who sleeps.
//!
//! One lock guards the lists; it is taken only to sleep, to wake, to queue or to retake. The fast
//! paths read one packed word, `lookout`, that counts idle processors and searching workers.
//!
//! notify (after publishing work): fence, read lookout; if a processor is idle and nobody searches,
//!     take it from the list and hand it, with a searching token, to a named sleeper.
//! sleep: put the processor down, stop searching, register as a sleeper; fence; recheck every source.
//! wake_home (after pushing to an inbox): fence, read that worker's state; wake it if it is parked.
//! put_down: a processor goes to a queueing worker before it goes idle.
//!
//! The parts: `publish` (those who have work), `sleep` (a worker without), `retake` (who takes and
//! gives processors from outside: the monitor, resize, stop); here the lists they share.
//!
//! [I1] Shared work and an idle processor imply a searching worker or a wake-up in flight.
//! [I2] A parked worker's inbox is empty, or its wake-up is in flight.
//! [I3] No worker queues while a processor is idle.  [I4] A processor has at most one holder.
//! Checked by: verification/loom/idle.rs, verification/loom/handover.rs, verification/loom/resize.rs,
//! verification/loom/monitor.rs, verification/loom/retake.rs, verification/shuttle/.

mod retake;
pub mod retake_gate;
mod sleep;
mod wake;

use crate::observe::broken;
use crate::observe::fault;
use crate::observe::specification::{Doing, Spec};
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::platform::{Count, Mutex, Parker};
use crossbeam_utils::CachePadded;
use retake_gate::Claim;
use std::collections::VecDeque;
use std::time::Duration;

/// How long a thread that has nothing to do, and is not needed, sleeps before it ends.
pub(crate) const IDLE_THREAD_LIFE: Duration = Duration::from_secs(5);

/// A worker's number.
pub type SeatId = u32;
/// A processor's number.
pub type ProcId = u32;

const SEARCHING: u32 = 1;
const IDLE: u32 = 1 << 16;
const NOBODY: u32 = u32::MAX;

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
pub enum Awake {
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
pub enum Wake {
    /// Nothing.
    Nothing,
    /// The grant is made: unpark this worker.
    Unpark(SeatId),
    /// The grant is made: start a kernel thread for this worker.
    Start(SeatId),
}

/// The places where a worker rechecks for work.
pub trait Sources {
    /// Anything stealable: deques and the injector.
    fn shared(&self) -> bool;
    /// The worker's own ring and inbox.
    fn home(&self) -> bool;
    /// Whether started goroutines have their home here, so that the thread may not end. [A1]
    fn is_home(&self) -> bool;
    /// Whether it runs what is stealable, and not what is at home alone. [A2]
    fn runs_shared(&self) -> bool {
        true
    }
    /// Sleeps until `parker` is given a permit, or it may [`rise`](Roster::rise), where that is of use
    /// to others: `Some`. `None`: it is to sleep by its parker alone.
    fn rest(&self, _parker: &Parker) -> Option<Option<Awake>> {
        None
    }
}

const GRANT_NONE: u32 = 0;
const GRANT_STOP: u32 = 1;

/// A worker's place in the roster.
pub struct Seat {
    /// Written under the lock, read by `wake_home`.
    state: AtomicU32,
    /// What a sleeper was woken with: nothing, stop, or a processor and a token.
    grant: AtomicU32,
    /// It runs only what is at home: nobody wakes it for other work. Written by its worker, and read of
    /// sleepers under the lock. [A2]
    alone: AtomicBool,
    pub(crate) parker: Parker,
    /// Whether the processor is still this worker's.
    pub claim: Claim,
}

/// What the lock guards.
pub(crate) struct Lists {
    idle: Vec<ProcId>,
    sleepers: Vec<SeatId>,
    queueing: VecDeque<SeatId>,
    vacant: Vec<SeatId>,
    /// Seats whose processor was retaken from a goroutine that computes.
    hogs: Vec<SeatId>,
    active: u32,
    /// Of workers, and of helpers.
    threads: usize,
    helpers: usize,
    pub(crate) stopping: bool,
    /// A thread could not be started while work waited: the monitor tries again.
    starved: bool,
    monitor_sleeps: bool,
}

/// See the module.
pub struct Roster {
    lists: Mutex<Lists>,
    /// Idle processors in the upper half, searching workers in the lower. Written by
    /// read-modify-writes alone.
    lookout: CachePadded<AtomicU32>,
    /// Some worker should look up at its next decision: somebody queues, or the runtime stops or
    /// shrinks. Written under the lock.
    attention: CachePadded<AtomicBool>,
    seats: Box<[CachePadded<Seat>]>,
    /// The worker that has each processor. Written under the lock.
    holders: Box<[AtomicU32]>,
    active: AtomicU32,
    /// The most processors there ever were: beyond it, no queue was ever used.
    reach: AtomicU32,
    /// Seats that have, or had, a thread.
    used_seats: AtomicU32,
    max_threads: usize,
    monitor: Parker,
    monitor_is_lazy: AtomicBool,
    /// How often a worker found nothing to do, and slept.
    pub(crate) sleeps: Count,
    /// How often one that slept, or queued, was woken.
    pub(crate) wakes: Count,
    /// Told of what happens, here and in the runtime as a whole.
    pub(crate) spec: Spec,
}

impl Roster {
    /// `processors` of at most `max_processors` are idle; no worker has a thread yet.
    pub fn new(processors: u32, max_processors: u32, max_threads: usize) -> Self {
        let lists = Lists {
            idle: (0..processors).rev().collect(),
            sleepers: Vec::with_capacity(max_threads),
            queueing: VecDeque::with_capacity(max_threads),
            vacant: (0..max_threads as u32).rev().collect(),
            hogs: Vec::new(),
            active: processors,
            threads: 0,
            helpers: 0,
            stopping: false,
            starved: false,
            monitor_sleeps: false,
        };
        let spec = Spec::new();
        spec.see(Doing::Active(processors));
        (0..processors).for_each(|processor| spec.see(Doing::Idle(processor)));
        Roster {
            lists: Mutex::new(lists),
            lookout: CachePadded::new(AtomicU32::new(processors * IDLE)),
            attention: CachePadded::new(AtomicBool::new(false)),
            seats: (0..max_threads).map(|_| CachePadded::new(Seat::new())).collect(),
            holders: (0..max_processors).map(|_| AtomicU32::new(NOBODY)).collect(),
            active: AtomicU32::new(processors),
            reach: AtomicU32::new(processors),
            used_seats: AtomicU32::new(0),
            max_threads,
            monitor: Parker::new(),
            monitor_is_lazy: AtomicBool::new(false),
            sleeps: Count::new(),
            wakes: Count::new(),
            spec,
        }
    }

    /// The seat of a worker.
    pub fn seat(&self, id: SeatId) -> &Seat {
        &self.seats[id as usize]
    }

    /// Seats that have, or had, a thread: no worker beyond was ever used.
    pub fn used_seats(&self) -> u32 {
        // Relaxed: a hint.
        self.used_seats.load(Ordering::Relaxed)
    }

    /// The most processors there ever were: beyond it, no queue was ever used.
    pub fn reach(&self) -> usize {
        // Relaxed: who puts work beyond it was told so by the lock, and notifies.
        self.reach.load(Ordering::Relaxed) as usize
    }

    /// The owner of `proc` gives it up: to who queues first, else it is idle, or gone if the
    /// runtime has shrunk. [I3]
    fn put_down(&self, lists: &mut Lists, proc: ProcId) -> Wake {
        self.hold(proc, NOBODY);
        let mut wake = Wake::Nothing;
        // mutant: pass over who queues: replace lists.queueing.pop_front() with None::<SeatId>
        // mutant: keep a retired processor: replace proc >= lists.active with false
        if proc >= lists.active {
            // It is retired; its queues are empty.
        } else if let Some(next) = lists.queueing.pop_front() {
            self.grant(next, proc, false);
            wake = Wake::Unpark(next);
        } else {
            lists.idle.push(proc);
            self.spec.see(Doing::Idle(proc));
            // Relaxed: who rechecks after this goes through a fence first, which makes it an Acquire
            // that pairs with the Release in `stop_searching`.
            self.lookout.fetch_add(IDLE, Ordering::Relaxed);
        }
        self.set_attention(lists);
        wake
    }

    fn take_idle(&self, lists: &mut Lists) -> Option<ProcId> {
        let proc = lists.idle.pop()?;
        if fault("two holders") {
            lists.idle.push(proc);
        }
        // Relaxed: under the lock, as are all changes to the count of idle processors.
        self.lookout.fetch_sub(IDLE, Ordering::Relaxed);
        // mutant: drop wake of the monitor
        self.wake_monitor(lists);
        Some(proc)
    }

    fn hold(&self, proc: ProcId, id: SeatId) {
        self.spec.see(Doing::Held { processor: proc, by: (id != NOBODY).then_some(id) });
        // Relaxed: written under the lock; read outside it as a hint only.
        self.holders[proc as usize].store(id, Ordering::Relaxed);
    }

    /// A searching token: it is counted before anybody can see it used, under the lock.
    fn token(&self) -> bool {
        // Relaxed: raising the count only spares others a wake-up, and who gets the token looks at
        // every source after this.
        self.lookout.fetch_add(SEARCHING, Ordering::Relaxed);
        true
    }

    fn grant(&self, id: SeatId, proc: ProcId, is_searching: bool) {
        self.hold(proc, id);
        // Relaxed: written under the lock.
        self.seat(id).state.store(RUNNING, Ordering::Relaxed);
        let word = (proc + 1) << 2 | (is_searching as u32) << 1;
        // Release: pairs with the Acquire in `await_grant`.
        self.seat(id).grant.swap(word, Ordering::Release);
    }

    fn enqueue(&self, lists: &mut Lists, id: SeatId) {
        // Relaxed: written under the lock.
        self.seat(id).state.store(QUEUEING, Ordering::Relaxed);
        lists.queueing.push_back(id);
        self.spec.see(Doing::Queues(id));
        // mutant: drop call for attention
        self.set_attention(lists);
    }

    fn set_attention(&self, lists: &Lists) {
        let held = &self.holders[lists.active as usize..];
        // Relaxed: written under the lock; workers read it at every decision, and one that is
        // about to sleep takes the lock.
        let shrinking = held.iter().any(|holder| holder.load(Ordering::Relaxed) != NOBODY);
        // mutant: no attention for a stop: replace lists.stopping with false
        // mutant: no attention when shrinking: replace shrinking with false
        let look_up = lists.stopping || shrinking || !lists.queueing.is_empty();
        self.attention.store(look_up, Ordering::Relaxed);
    }

    /// Carries out an [`Wake::Unpark`].
    pub fn unpark(&self, wake: Wake) {
        // mutant: nobody is unparked: replace self.seat(id).parker.unpark() with ()
        match wake {
            Wake::Nothing => {}
            Wake::Unpark(id) => {
                self.wakes.more(1);
                self.seat(id).parker.unpark();
            }
            Wake::Start(_) => broken("unpark", "no thread to start", "Start"),
        }
    }
}

impl Wake {
    fn seat(self) -> SeatId {
        match self {
            Wake::Unpark(id) | Wake::Start(id) => id,
            Wake::Nothing => NOBODY,
        }
    }
}

impl Seat {
    fn new() -> Self {
        Seat {
            state: AtomicU32::new(VACANT),
            grant: AtomicU32::new(GRANT_NONE),
            alone: AtomicBool::new(false),
            parker: Parker::new(),
            claim: Claim::new(),
        }
    }
}

fn idle(lookout: u32) -> u32 {
    lookout / IDLE
}

fn searching(lookout: u32) -> u32 {
    lookout % IDLE
}
