//! Simulating a program: on real goroutines, one at a time, by a seed and in virtual time.
//! docs/simulate.md tells it at length.
//! Checked by: proptests/model/simulate.rs.

use super::report::Coverage;
use super::{Check, Failure, Report, line};
use crate::api::go::Spawn;
use crate::api::join::JoinHandle;
use crate::api::runtime::Runtime;
use crate::explore;
use crate::observe::run_log;
use crate::observe::run_log::{Kind, Rules};
use crate::platform::{Arc, MODELLED, clock};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// A simulated run that did not fail.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Simulated<T> {
    /// What the program returned.
    pub value: T,
    /// A number that two runs share if the same happened in both: which goroutine went on at each step, and when.
    pub digest: u64,
    /// How often a goroutine was chosen to go on.
    pub steps: u64,
    /// How long the run took, by its own clock.
    pub elapsed: Duration,
}

/// Runs `program` on a runtime of its own, until all of its goroutines have ended: one goroutine at a
/// time, on one kernel thread, every choice made by `seed`, in virtual time. Of the build that ships.
///
/// The same seed makes the same run, bit for bit. Where an operation that may suspend begins, any
/// goroutine that can run may go on instead. Time passes by less than 2 µs a step; when nobody can run,
/// it leaps to the nearest deadline, so that an hour of sleeps takes no longer than the steps in it.
///
/// A deadlock, a goroutine still parked at the end, a panic of which nobody hears, and a run of more
/// than ten million steps ([`Check::steps`] sets another limit) are failures, as in [`Failure`]. Blocks the calling thread; a step costs below
/// a microsecond or two.
///
/// What the same seed can't repeat: threads that the program starts itself, real clocks, random numbers
/// of its own (a `HashMap`'s order among them), and tokens, channels and timers made outside of it. A
/// goroutine that blocks its kernel thread stops everybody: [`blocking`](fn@crate::blocking) runs in
/// place.
///
/// # Panics
/// With the [`Failure`], if there is one: its last line runs it again. With the features `loom` and
/// `shuttle`; if the machine grants no thread.
///
/// ```
/// use selvedge::{go, model, time};
/// use std::time::Duration;
///
/// let run = model::simulate(7, || {
///     let sleeper = go(|| time::sleep(Duration::from_secs(3600)));
///     sleeper.join().unwrap();
///     "an hour later"
/// });
/// assert_eq!(run.value, "an hour later");
/// assert!(run.elapsed >= Duration::from_secs(3600));
/// ```
#[track_caller]
pub fn simulate<T: Send + 'static>(
    seed: u64,
    program: impl FnOnce() -> T + Send + 'static,
) -> Simulated<T> {
    match try_simulate(seed, program) {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}

/// Works like [`simulate`], with the failure as a value. A failed run stops where it is: its kernel thread and
/// its memory stay behind.
///
/// # Errors
/// If the run fails.
///
/// # Panics
/// With the features `loom` and `shuttle`; if the machine grants no thread.
#[track_caller]
pub fn try_simulate<T: Send + 'static>(
    seed: u64,
    program: impl FnOnce() -> T + Send + 'static,
) -> Result<Simulated<T>, Failure> {
    simulate_within(seed, MOST_STEPS, Rules::default(), program)
}

/// Steps of a run, if not told.
pub(super) const MOST_STEPS: u64 = 10_000_000;

#[track_caller]
fn simulate_within<T: Send + 'static>(
    seed: u64,
    most_steps: u64,
    rules: Rules,
    program: impl FnOnce() -> T + Send + 'static,
) -> Result<Simulated<T>, Failure> {
    if MODELLED {
        panic!(
            "simulate: this build has a checker, which makes the choices: build without the \
             features `loom` and `shuttle`, or use `model::check` or `model::random`"
        );
    }
    explore::report_panics();
    let start = clock::now();
    let runtime = Runtime::builder().simulated(seed, most_steps).build();
    let runtime = match runtime {
        Ok(value) => value,
        Err(error) => panic!("simulate: {error}"),
    };
    let (tell, told) = run_log::ear();
    let main = move || {
        run_log::open(rules, tell);
        run_log::spawned(0, Some("main"), None);
        catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|_| {
            let said = run_log::died(1);
            run_log::fail(Kind::Panic, format!("goroutine 1 panicked: {said}"))
        })
    };
    let main = runtime.go_with(Spawn::new().name("main"), main);
    let main = match main {
        Ok(value) => value,
        Err(error) => panic!("simulate: {error}"),
    };
    // An error says that the run has ended, and its log is closed.
    match told.recv() {
        Err(_) => Ok(outcome(&runtime, main)),
        Ok(record) => {
            // Its thread never comes back.
            std::mem::forget((runtime, main));
            let took = Duration::from_nanos(clock::now() - start).as_secs_f64();
            let found = format!("a simulation with seed {seed} after {took:.1} s");
            Err(Failure::new(record, line::of_seed(seed), found))
        }
    }
}

fn outcome<T>(runtime: &Runtime, main: JoinHandle<T>) -> Simulated<T> {
    let value = main.join().expect("a panic of the program is a failure");
    let simulation = runtime.simulation().expect("built as one");
    let totals = simulation.totals();
    let elapsed = Duration::from_nanos(totals.elapsed);
    Simulated { value, digest: totals.digest, steps: totals.steps, elapsed }
}

/// [`simulate`] with each of `seeds`, until one fails. The last line of what is then said runs that
/// one again.
///
/// ```
/// use selvedge::sync::Mutex;
/// use selvedge::{go, model};
/// use std::sync::Arc;
///
/// model::simulate_seeds(0..100, || {
///     let count = Arc::new(Mutex::new(0));
///     let others = [(); 2].map(|()| {
///         let count = Arc::clone(&count);
///         go(move || *count.lock().unwrap() += 1)
///     });
///     others.map(|other| other.join().unwrap());
///     assert_eq!(*count.lock().unwrap(), 2);
/// });
/// ```
///
/// # Panics
/// The same as for [`simulate`].
#[track_caller]
pub fn simulate_seeds(
    seeds: impl IntoIterator<Item = u64>,
    program: impl Fn() + Send + Sync + 'static,
) -> Report {
    match try_simulate_seeds(seeds, program) {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}

/// Works like [`simulate_seeds`], with the failure as a value.
///
/// # Errors
/// If a run fails: the first that does.
///
/// # Panics
/// The same as for [`try_simulate`].
#[track_caller]
pub fn try_simulate_seeds(
    seeds: impl IntoIterator<Item = u64>,
    program: impl Fn() + Send + Sync + 'static,
) -> Result<Report, Failure> {
    Check::new().try_simulate(seeds, program)
}

/// Works like [`try_simulate_seeds`], for so many steps at most, and by these rules.
#[track_caller]
pub(super) fn simulate_all(
    seeds: impl IntoIterator<Item = u64>,
    most_steps: u64,
    rules: Rules,
    program: impl Fn() + Send + Sync + 'static,
) -> Result<Report, Failure> {
    let start = clock::now();
    let program = Arc::new(program);
    let mut executions = 0;
    for seed in seeds {
        let program = Arc::clone(&program);
        simulate_within(seed, most_steps, rules, move || program())?;
        executions += 1;
    }
    let took = Duration::from_nanos(clock::now() - start);
    Ok(Report { executions, coverage: Coverage::Sampled, took })
}
