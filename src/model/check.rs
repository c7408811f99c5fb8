//! Exploring a program: every execution, sampled ones, or one again.

use super::report::bound;
use super::{Failure, Report, line, simulate};
use crate::explore;
use crate::explore::{EXHAUSTS, Plan, SAMPLES, Search};
use crate::observe::run_log::Rules;
use crate::platform::Arc;
use std::time::Duration;

/// Explores every execution of `program` with at most two preemptions.
///
/// # Panics
/// With a [`Failure`], if there is one. Without the feature `loom`.
#[track_caller]
pub fn check(program: impl Fn() + Send + Sync + 'static) -> Report {
    Check::new().check(program)
}

/// Works like [`check`], with the failure as a value.
///
/// # Errors
/// If an execution fails.
///
/// # Panics
/// Without the feature `loom`.
#[track_caller]
pub fn try_check(program: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
    Check::new().try_check(program)
}

/// Runs `program` so many times: at each step, any goroutine that can run goes on. The same seed makes
/// the same choices.
///
/// # Panics
/// With a [`Failure`], if there is one. Without the feature `shuttle`, or with `loom` beside it.
#[track_caller]
pub fn random(seed: u64, executions: u64, program: impl Fn() + Send + Sync + 'static) -> Report {
    Check::new().random(seed, executions, program)
}

/// Works like [`random`], by random priorities that change at `depth - 1` random points: few preemptions at odd
/// places. Each execution finds a bug that needs `depth` ordered steps with a probability of at least
/// 1/(n·k^(depth-1)), for n goroutines and k steps (probabilistic concurrency testing).
///
/// # Panics
/// The same as for [`random`]; if `depth` is zero.
#[track_caller]
pub fn pct(
    seed: u64,
    depth: usize,
    executions: u64,
    program: impl Fn() + Send + Sync + 'static,
) -> Report {
    Check::new().pct(seed, depth, executions, program)
}

/// Runs the execution that `line` names, as a failure has printed it, and fails as it did. An execution
/// that loom found takes as long as finding it did, since all before it are run as well.
///
/// # Panics
/// With the [`Failure`]; without the feature that found it; if no failure has printed such a line.
#[track_caller]
pub fn replay(line: &str, program: impl Fn() + Send + Sync + 'static) -> Report {
    match Check::new().try_replay(line, program) {
        Ok(value) => value,
        Err(failure) => panic!("{failure}"),
    }
}

/// How far to explore, and what counts as a failure.
///
/// ```no_run
/// use selvedge::{go, model::Check};
///
/// let report = Check::new().complete().forbid_lost_values().check(|| {
///     go(|| ()).join().unwrap();
/// });
/// println!("{report}");
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is explored until `check` is called"]
pub struct Check {
    preemptions: Option<usize>,
    most: Option<u64>,
    within: Option<Duration>,
    steps: Option<usize>,
    rules: Rules,
}

/// Steps of an execution. loom reserves memory for so many.
const LOOM_STEPS: usize = 10_000;
const SHUTTLE_STEPS: usize = 1_000_000;

impl Check {
    /// Two preemptions, no caps; lost values are no failure.
    pub fn new() -> Self {
        Check {
            preemptions: Some(2),
            most: None,
            within: None,
            steps: None,
            rules: Rules::default(),
        }
    }

    /// Every execution with at most so many preemptions: switches away from a goroutine that could
    /// have gone on. Most bugs need one or two; each more multiplies the time by some 5 to 10.
    pub fn preemptions(mut self, most: usize) -> Self {
        self.preemptions = Some(most);
        self
    }

    /// Every execution. Only small programs end within a life-time.
    pub fn complete(mut self) -> Self {
        self.preemptions = None;
        self
    }

    /// At most so many executions; what reaches it is reported as CUT.
    pub fn executions(mut self, most: u64) -> Self {
        self.most = Some(most);
        self
    }

    /// For at most about so long; what reaches it is reported as CUT.
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// So many steps an execution, each a thing done to an atomic, a lock or a thread: 10,000 with
    /// loom, 1,000,000 with shuttle if not told. Of a simulation, turns: 10,000,000 if not told.
    pub fn steps(mut self, most: usize) -> Self {
        self.steps = Some(most);
        self
    }

    /// Makes a message that is dropped with its channel a failure.
    pub fn forbid_lost_values(mut self) -> Self {
        self.rules.forbid_lost_values = true;
        self
    }

    /// Works like [`check`](fn@crate::model::check).
    ///
    /// # Panics
    /// The same as for [`check`](fn@crate::model::check).
    #[track_caller]
    pub fn check(self, program: impl Fn() + Send + Sync + 'static) -> Report {
        match self.try_check(program) {
            Ok(value) => value,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Works like [`try_check`](fn@crate::model::try_check).
    ///
    /// # Errors
    /// If an execution fails.
    ///
    /// # Panics
    /// Without the feature `loom`.
    #[track_caller]
    pub fn try_check(self, program: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
        let plan = self.plan(Search::Every { preemptions: self.preemptions }, self.most);
        explore(&plan, program)
    }

    /// Works like [`random`](fn@crate::model::random).
    ///
    /// # Panics
    /// The same as for [`random`](fn@crate::model::random).
    #[track_caller]
    pub fn random(
        self,
        seed: u64,
        executions: u64,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Report {
        match self.try_random(seed, executions, program) {
            Ok(value) => value,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Works like [`random`](fn@crate::model::random), with the failure as a value.
    ///
    /// # Errors
    /// If an execution fails.
    ///
    /// # Panics
    /// Without the feature `shuttle`, or with `loom` beside it.
    #[track_caller]
    pub fn try_random(
        self,
        seed: u64,
        executions: u64,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Result<Report, Failure> {
        explore(&self.plan(Search::Random { seed }, Some(executions)), program)
    }

    /// Works like [`pct`](fn@crate::model::pct).
    ///
    /// # Panics
    /// The same as for [`pct`](fn@crate::model::pct).
    #[track_caller]
    pub fn pct(
        self,
        seed: u64,
        depth: usize,
        executions: u64,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Report {
        match self.try_pct(seed, depth, executions, program) {
            Ok(value) => value,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Works like [`pct`](fn@crate::model::pct), with the failure as a value.
    ///
    /// # Errors
    /// If an execution fails.
    ///
    /// # Panics
    /// Without the feature `shuttle`, or with `loom` beside it; if `depth` is zero.
    #[track_caller]
    pub fn try_pct(
        self,
        seed: u64,
        depth: usize,
        executions: u64,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Result<Report, Failure> {
        assert!(depth > 0, "pct: a depth of 0 finds nothing: begin with 3");
        explore(&self.plan(Search::Pct { seed, depth, length: None }, Some(executions)), program)
    }

    /// Works like [`replay`](fn@crate::model::replay), with the failure as a value. The line brings its own rules.
    ///
    /// # Errors
    /// If the execution fails, as it should.
    ///
    /// # Panics
    /// Without the feature that found it; if no failure has printed such a line.
    #[track_caller]
    pub fn try_replay(
        self,
        line: &str,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Result<Report, Failure> {
        if let Some(seed) = line::seed_of(line) {
            return self.try_simulate([seed], program);
        }
        let plan = match line::read(line) {
            Ok(value) => value,
            Err(error) => panic!("replay: {error}"),
        };
        need(plan.search);
        let explored = explore::explore(plan, Arc::new(program));
        let report = Report::of_one(&explored);
        outcome(&plan, explored, report)
    }

    /// Works like [`simulate_seeds`](fn@crate::model::simulate_seeds), with the steps and the rules set here.
    ///
    /// # Panics
    /// The same as for [`simulate`](fn@crate::model::simulate).
    #[track_caller]
    pub fn simulate(
        self,
        seeds: impl IntoIterator<Item = u64>,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Report {
        match self.try_simulate(seeds, program) {
            Ok(value) => value,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Works like [`simulate`](Self::simulate), with the failure as a value.
    ///
    /// # Errors
    /// If a run fails: the first that does.
    ///
    /// # Panics
    /// The same as for [`try_simulate`](fn@crate::model::try_simulate).
    #[track_caller]
    pub fn try_simulate(
        self,
        seeds: impl IntoIterator<Item = u64>,
        program: impl Fn() + Send + Sync + 'static,
    ) -> Result<Report, Failure> {
        let steps = self.steps.map_or(simulate::MOST_STEPS, |steps| steps as u64);
        simulate::simulate_all(seeds, steps, self.rules, program)
    }

    fn plan(&self, search: Search, most: Option<u64>) -> Plan {
        let usual = if matches!(search, Search::Every { .. }) { LOOM_STEPS } else { SHUTTLE_STEPS };
        let steps = self.steps.unwrap_or(usual);
        Plan { search, first: 0, most, within: self.within, steps, rules: self.rules }
    }
}

impl Default for Check {
    fn default() -> Self {
        Check::new()
    }
}

#[track_caller]
fn explore(plan: &Plan, program: impl Fn() + Send + Sync + 'static) -> Result<Report, Failure> {
    need(plan.search);
    let explored = explore::explore(*plan, Arc::new(program));
    let report = Report::of(plan, &explored);
    outcome(plan, explored, report)
}

fn outcome(plan: &Plan, explored: explore::Explored, report: Report) -> Result<Report, Failure> {
    let Some(record) = explored.failure else { return Ok(report) };
    let number = plan.first + explored.executions.saturating_sub(1);
    let replay = line::write(plan, number, explored.length);
    let how = match plan.search {
        Search::Every { preemptions } => format!("loom, {}", bound(preemptions)),
        Search::Random { seed } => format!("random with seed {seed}"),
        Search::Pct { seed, depth, .. } => format!("pct of depth {depth} with seed {seed}"),
    };
    let took = explored.took.as_secs_f64();
    let found = format!("execution {} ({how}) after {took:.1} s", number + 1);
    Err(Failure::new(record, replay, found))
}

#[track_caller]
fn need(search: Search) {
    let (feature, there) = match search {
        Search::Every { .. } => ("loom", EXHAUSTS),
        _ => ("shuttle", SAMPLES),
    };
    let beside = if EXHAUSTS { " and without `loom`, which wins where both are on" } else { "" };
    assert!(
        there,
        "this exploration needs the feature `{feature}`{beside}: run \
         `cargo test --features selvedge/{feature}`"
    );
}
