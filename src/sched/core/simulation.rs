//! Simulation: a runtime of one worker that a seed steers, in virtual time, so that the same seed makes
//! the same run. Its own worker's thread alone works on it.
//! pick: take all that can run out of the queues; fire what is due; choose one of them by the seed. If
//!     nobody can run, advance the clock to the nearest deadline; without one, the run is over.
//! preempt (an operation that may suspend begins): a toss by the seed says who goes on.
//! [K10] The choices are a function of the seed and of what the program does: no address, no real time
//! and no other thread has a part in them.
//! [K11] The clock never goes back; it leaps only when nobody can run, to the nearest deadline.
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

/// Far enough from zero that an instant before the run can be told.
pub(crate) const START: u64 = 1_000_000_000_000;
/// What runs until it suspends takes less than so many nanoseconds.
const STEP: u32 = 2_000;

const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01B3;

pub(crate) struct Simulation(pub(crate) Mutex<State>);

pub(crate) struct State {
    pub(crate) rng: Rng,
    /// One operation in so many is where somebody else goes on. Its own for each seed: some bugs need
    /// many switches, and some need few.
    pub(crate) switch_in: u32,
    pub(crate) runnable: Vec<Ptr>,
    /// Who was chosen last.
    pub(crate) last: Option<(Ptr, u64)>,
    pub(crate) now: u64,
    pub(crate) steps: u64,
    /// A loop that polls never ends where nobody else can run.
    pub(crate) most_steps: u64,
    pub(crate) digest: u64,
}

/// What a run came to.
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

    /// Somebody of those who can run.
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

    /// Whether somebody else goes on where an operation begins.
    pub(crate) fn toss(&mut self, place: &Location<'_>) -> bool {
        let switch = self.rng.below(self.switch_in) == 0;
        self.mix(u64::from(place.line()) << 1 | u64::from(switch));
        switch
    }

    /// It is `now`. [K11]
    pub(crate) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.mix(self.now);
    }
}

/// The simulation that the calling thread works on.
pub(crate) fn here<'a>() -> Option<&'a Simulation> {
    if MODELLED || !run_log::any_open() {
        return None;
    }
    current_worker()?.shared().simulation.as_deref()
}

/// Whether the caller is a goroutine of a simulation.
pub(crate) fn is_here() -> bool {
    here().is_some()
}

/// The time there. `None` elsewhere, at the cost of a look at one flag where nothing is simulated.
#[inline]
pub(crate) fn now() -> Option<u64> {
    if run_log::any_open() { here().map(Simulation::now) } else { None }
}

/// Whether it is a goroutine of the simulation that the caller is part of.
pub(crate) fn is_of_caller(goroutine: &Goroutine) -> bool {
    let own = |worker: &Worker| ptr::eq(worker.shared, goroutine.shared);
    here().is_some() && current_worker().is_some_and(own)
}

/// A number that the seed decides. `None` outside of a simulation.
pub(crate) fn draw() -> Option<u64> {
    here().map(|simulation| simulation.0.lock().rng.next())
}

/// A goroutine has ended; by a panic, of which perhaps nobody will hear.
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

/// The join handle of a goroutine that has panicked goes unused.
pub(crate) fn unheard(goroutine: Ptr, said: &str) {
    if here().is_some() {
        fail_unheard(goroutine.id(), said);
    }
}

fn fail_unheard(id: u64, said: &str) -> ! {
    run_log::fail(Kind::Panic, format!("goroutine {id} panicked, and nobody joined it: {said}"))
}

/// A goroutine that unwinds, or must not suspend, would stop the only thread there is.
pub(crate) fn refuse_in_place(worker: &Worker, goroutine: Ptr) {
    if worker.shared().simulation.is_some() {
        let message = format!(
            "goroutine {} waits while it unwinds or inside `no_suspend`, which stops its kernel \
             thread, the only one of a simulation: let it wait elsewhere",
            goroutine.id()
        );
        run_log::fail(Kind::Limit, message);
    }
}
