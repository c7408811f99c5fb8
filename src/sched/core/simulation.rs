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
use super::current::{current, current_worker};
use super::processor::Held;
use super::worker::Worker;
use crate::observe::run_log;
use crate::observe::run_log::Kind;
use crate::platform::{MODELLED, Mutex};
use crate::sched::core::current::YIELD;
use crate::sched::suspend::park::{suspend, unwinds};
use crate::sched::suspend::park_until::fire_timers;
use crate::structures::{NEVER, Rng};
use std::panic::Location;
use std::ptr;

/// Far enough from zero that an instant before the run can be told.
const START: u64 = 1_000_000_000_000;
/// What runs until it suspends takes less than so many nanoseconds.
const STEP: u32 = 2_000;

const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01B3;

pub(crate) struct Simulation(Mutex<State>);

struct State {
    rng: Rng,
    /// One operation in so many is where somebody else goes on. Its own for each seed: some bugs need
    /// many switches, and some need few.
    switch_in: u32,
    runnable: Vec<Ptr>,
    /// Who was chosen last.
    last: Option<(Ptr, u64)>,
    now: u64,
    steps: u64,
    /// A loop that polls never ends where nobody else can run.
    most_steps: u64,
    digest: u64,
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

    fn now(&self) -> u64 {
        self.0.lock().now
    }
}

impl State {
    fn mix(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(FNV_PRIME);
    }

    /// Somebody of those who can run.
    fn choose(&mut self) -> Option<Ptr> {
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
    fn toss(&mut self, place: &Location<'_>) -> bool {
        let switch = self.rng.below(self.switch_in) == 0;
        self.mix(u64::from(place.line()) << 1 | u64::from(switch));
        switch
    }

    /// It is `now`. [K11]
    fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        self.mix(self.now);
    }
}

impl Worker {
    /// The next goroutine of a simulation. Does not return if the run has failed. [K10]
    #[cold]
    pub(crate) fn pick(&self, held: Held<'_>) -> Option<Ptr> {
        let simulation = self.shared().simulation.as_deref().expect("it is one");
        let last = simulation.0.lock().last.take();
        // A cell that is another goroutine's by now was given up by one that has ended.
        if let Some((goroutine, id)) = last
            && goroutine.id() == id
            && goroutine.word.is_parked()
        {
            run_log::waits(id as u32);
        }
        loop {
            self.gather(held, simulation);
            let now = simulation.now();
            let nearest = self.shared().timers.nearest();
            if nearest <= now {
                fire_timers(self.shared(), now);
                continue;
            }
            // In its own statement: the lock is not kept.
            let chosen = simulation.0.lock().choose();
            if let Some(chosen) = chosen {
                return Some(self.chosen(chosen, simulation));
            }
            if nearest == NEVER {
                run_log::at_rest();
                return None;
            }
            simulation.0.lock().advance(nearest);
            run_log::time(nearest - START);
        }
    }

    fn chosen(&self, goroutine: Ptr, simulation: &Simulation) -> Ptr {
        run_log::wakes(goroutine.id() as u32);
        let State { steps, most_steps, .. } = *simulation.0.lock();
        if steps > most_steps {
            let message = format!(
                "the simulation took {most_steps} steps and goes on: a loop that waits for nobody? \
                 Let it park, or raise the limit with `Check::steps`"
            );
            run_log::fail(Kind::Limit, message);
        }
        goroutine
    }

    /// Takes all that can run out of the queues, in their order.
    fn gather(&self, held: Held<'_>, simulation: &Simulation) {
        self.drain_inbox();
        let mut state = simulation.0.lock();
        let next = || {
            let own = self.pop_home().or_else(|| held.local(|local| local.deque.pop()));
            own.or_else(|| self.shared().injector.pop().map(Ptr::from_raw))
        };
        state.runnable.extend(std::iter::from_fn(next));
        state.runnable.extend(held.processor().take_next());
    }
}

/// The simulation that the calling thread works on.
fn here<'a>() -> Option<&'a Simulation> {
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

/// An operation that may suspend begins: perhaps somebody else goes on.
#[inline(never)]
pub(crate) fn preempt(place: &'static Location<'static>) {
    let Some(simulation) = here() else { return };
    let Some((worker, goroutine)) = current() else { return };
    if unwinds(worker) || goroutine.own.no_suspend.get() > 0 {
        return;
    }
    // In its own statement: the lock is not kept across the switch.
    let switch = simulation.0.lock().toss(place);
    if switch {
        suspend(worker, goroutine, YIELD, place);
    }
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
