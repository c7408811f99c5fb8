//! A simulation: a runtime of one worker in virtual time. A seed determines every choice, so that the same
//! seed gives the same run. Only the worker's own thread uses it.
//!
//! - `pick` (`worker/simulated.rs`) takes all runnable goroutines out of the queues, completes the timers
//!   that are due, and chooses a goroutine by the seed. If no goroutine is runnable, it advances the clock
//!   to the nearest deadline. If there is no deadline, the run is over.
//! - `preempt` runs when an operation that may suspend begins. The seed decides which goroutine continues.
//!
//! [K10] The choices are a function of the seed and of what the program does. They depend on no address, no
//! real time and no other thread.
//! [K11] The clock never goes back. The clock advances only when no goroutine can run, and only to the
//! nearest deadline.
//! Checked by: proptests/model/simulate.rs.

use super::cell::{Goroutine, Ptr};
use super::current::current_worker;
use super::worker::Worker;
use crate::observe::run_log;
use crate::observe::run_log::Kind;
use crate::platform::{MODELLED, Mutex};
use crate::structures::Rng;
use std::panic::Location;
use std::ptr;

/// The time at which a run starts. The time is far enough from zero that an instant before the run can be
/// expressed.
pub(crate) const START: u64 = 1_000_000_000_000;
/// A goroutine takes less than this number of nanoseconds of virtual time until it suspends.
const STEP: u32 = 2_000;

const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01B3;

pub(crate) struct Simulation(pub(crate) Mutex<State>);

pub(crate) struct State {
    pub(crate) rng: Rng,
    /// On average, one operation in this number switches to another goroutine. The number depends on the
    /// seed, because some bugs need many switches, and some need few.
    pub(crate) switch_in: u32,
    pub(crate) runnable: Vec<Ptr>,
    /// The goroutine that was chosen last, and its id.
    pub(crate) last: Option<(Ptr, u64)>,
    pub(crate) now: u64,
    pub(crate) steps: u64,
    /// The limit of steps. Without it, a polling loop would never end if no other goroutine can run.
    pub(crate) most_steps: u64,
    pub(crate) digest: u64,
}

/// The totals of a run.
pub(crate) struct Totals {
    pub(crate) steps: u64,
    pub(crate) elapsed: u64,
    pub(crate) digest: u64,
}

impl Simulation {
    pub(crate) fn new(seed: u64, most_steps: u64) -> Self {
        let rng = Rng::new(seed);
        Simulation(Mutex::new(State {
            switch_in: 2 << rng.below(4),
            rng,
            runnable: Vec::new(),
            last: None,
            now: START,
            steps: 0,
            most_steps,
            digest: FNV_BASIS,
        }))
    }

    pub(crate) fn totals(&self) -> Totals {
        let state = self.0.lock();
        Totals { steps: state.steps, elapsed: state.now - START, digest: state.digest }
    }

    pub(crate) fn now(&self) -> u64 {
        self.0.lock().now
    }
}

impl State {
    fn mix(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(FNV_PRIME);
    }

    /// Chooses a runnable goroutine.
    pub(crate) fn choose(&mut self) -> Option<Ptr> {
        let count = u32::try_from(self.runnable.len()).expect("fewer goroutines than 2^32");
        if count == 0 {
            return None;
        }
        self.steps += 1;
        self.now += u64::from(self.rng.below(STEP));
        let at = self.rng.below(count) as usize;
        let chosen = self.runnable.swap_remove(at);
        self.last = Some((chosen, chosen.id()));
        self.mix(chosen.id());
        Some(chosen)
    }

    /// Decides whether to switch to another goroutine at the beginning of an operation.
    pub(crate) fn toss(&mut self, place: &Location<'_>) -> bool {
        let switch = self.rng.below(self.switch_in) == 0;
        self.mix(u64::from(place.line()) << 1 | u64::from(switch));
        switch
    }

    /// Sets the clock to `now`, unless it is already later. [K11]
    pub(crate) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.mix(self.now);
    }
}

/// Returns the simulation to which the calling thread belongs.
pub(crate) fn here<'a>() -> Option<&'a Simulation> {
    if MODELLED || !run_log::any_open() {
        return None;
    }
    current_worker()?.shared().simulation.as_deref()
}

/// Returns whether the caller is a goroutine of a simulation.
pub(crate) fn is_here() -> bool {
    here().is_some()
}

/// Returns the virtual time in a simulation, and `None` elsewhere. If there is no simulation in the
/// process, it only reads one flag.
#[inline]
pub(crate) fn now() -> Option<u64> {
    if run_log::any_open() { here().map(Simulation::now) } else { None }
}

/// Returns whether the goroutine belongs to the same simulation as the caller.
pub(crate) fn is_of_caller(goroutine: &Goroutine) -> bool {
    let own = |worker: &Worker| ptr::eq(worker.shared, goroutine.shared);
    here().is_some() && current_worker().is_some_and(own)
}

/// Returns a random number that the seed determines. Returns `None` outside a simulation.
pub(crate) fn draw() -> Option<u64> {
    here().map(|simulation| simulation.0.lock().rng.next())
}

/// Records that a goroutine has ended. `panicked` says whether it ended by a panic, and `unheard` whether
/// no other goroutine will receive that panic.
#[inline]
pub(crate) fn ends(goroutine: Ptr, panicked: bool, unheard: bool) {
    if run_log::any_open() {
        ends_slow(goroutine, panicked, unheard);
    }
}

#[cold]
fn ends_slow(goroutine: Ptr, panicked: bool, unheard: bool) {
    if here().is_none() {
        return;
    }
    let id = goroutine.id();
    if panicked {
        let said = run_log::died(id as u32);
        if unheard {
            fail_unheard(id, &said);
        }
    }
    run_log::ends(id as u32);
}

/// Fails the run, because the join handle of a goroutine that panicked was not used.
pub(crate) fn unheard(goroutine: Ptr, said: &str) {
    if here().is_some() {
        fail_unheard(goroutine.id(), said);
    }
}

fn fail_unheard(id: u64, said: &str) -> ! {
    run_log::fail(Kind::Panic, format!("goroutine {id} panicked, and nobody joined it: {said}"))
}

/// Fails the run if a goroutine would block the only thread of the simulation, because it unwinds or must
/// not suspend.
pub(crate) fn refuse_in_place(worker: &Worker, goroutine: Ptr) {
    if worker.shared().simulation.is_some() {
        let message = format!(
            "goroutine {} waits while it unwinds or inside `no_suspend`, which would block the only \
             kernel thread of the simulation: let it wait elsewhere",
            goroutine.id()
        );
        run_log::fail(Kind::Limit, message);
    }
}
