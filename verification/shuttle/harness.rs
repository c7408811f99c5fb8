//! Harness: runs one scenario under several schedulers and adds a row to the table.
//!
//! `scenario | threads | goroutines | schedulers | executions | seconds | SAMPLED, COMPLETE, ...`
//!
//! SAMPLED: as many schedules as asked for, which proves nothing of the others. COMPLETE: every
//! schedule (depth first only); CUT: depth first, stopped before its end. RED: failed, and the
//! schedule is saved. PASSED, STRAYED: a replay that passed; STRAYED says at which step the schedule
//! no longer fitted the code, from where it went on as it liked.

use crate::replay::{Journal, Recorder, Replay};
use crate::table;
use shuttle::scheduler::{
    DfsScheduler, PctScheduler, RandomScheduler, Scheduler, UrwRandomScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

/// How to pick schedules, and how many.
#[derive(Clone, Copy, Debug)]
pub enum Plan {
    /// At each step any thread.
    Random(usize),
    /// Random priorities that change at so many points: few preemptions, at odd places.
    Pct(usize, usize),
    /// Each schedule about as likely as any other.
    Uniform(usize),
    /// Every schedule, one after another.
    DepthFirst(usize),
}

impl Plan {
    /// The usual three, with so many executions in all.
    pub fn usual(executions: usize) -> [Plan; 3] {
        let each = executions / 3;
        [Plan::Random(each), Plan::Pct(4, each), Plan::Uniform(each)]
    }

    fn label(self, seed: u64) -> String {
        match self {
            Plan::Random(_) => format!("random-{seed}"),
            Plan::Pct(depth, _) => format!("pct{depth}-{seed}"),
            Plan::Uniform(_) => format!("uniform-{seed}"),
            Plan::DepthFirst(_) => "dfs".to_owned(),
        }
    }

    fn most(self) -> usize {
        let (Plan::Random(n) | Plan::Pct(_, n) | Plan::Uniform(n) | Plan::DepthFirst(n)) = self;
        if table::long() { 20 * n } else { n }
    }

    fn scheduler(self, seed: u64) -> Box<dyn Scheduler + Send> {
        match self {
            Plan::Random(_) => Box::new(RandomScheduler::new_from_seed(seed, self.most())),
            Plan::Pct(depth, _) => Box::new(PctScheduler::new_from_seed(seed, depth, self.most())),
            Plan::Uniform(_) => Box::new(UrwRandomScheduler::new_from_seed(seed, self.most())),
            Plan::DepthFirst(_) => Box::new(DfsScheduler::new(Some(self.most()), false)),
        }
    }

    fn end(self, executions: usize) -> &'static str {
        match self {
            Plan::DepthFirst(_) if executions < self.most() => "COMPLETE",
            Plan::DepthFirst(_) => "CUT",
            _ => "SAMPLED",
        }
    }
}

/// What one scenario is about: a sentence, its threads (main, workers, helpers and others, at most),
/// and its goroutines.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub threads: usize,
    pub goroutines: usize,
}

impl Scenario {
    /// Runs `model` by each of `plans`, or, in a replay, by the schedule that was saved.
    pub fn check(self, plans: &[Plan], model: impl Fn() + Send + Sync + Clone + 'static) {
        let mut total = Total::default();
        self.sample(plans, &mut total, model);
        total.print(self);
    }

    /// As [`check`](Self::check), for a model made of each of `seeds`, which its name then bears.
    pub fn check_each<M: Fn() + Send + Sync + Clone + 'static>(
        self,
        plans: &[Plan],
        seeds: Vec<u64>,
        model: impl Fn(u64) -> M,
    ) {
        let mut total = Total::default();
        for seed in seeds {
            let name = String::leak(format!("{}, number {seed}", self.name));
            Scenario { name, ..self }.sample(plans, &mut total, model(seed));
        }
        total.print(self);
    }

    fn sample(
        self,
        plans: &[Plan],
        total: &mut Total,
        model: impl Fn() + Send + Sync + Clone + 'static,
    ) {
        prepare();
        if let Some(replay) = Replay::asked_for() {
            if replay.scenario() == self.name {
                self.replay(replay, model);
            }
            return;
        }
        for &plan in plans {
            let seed = seed();
            let label = plan.label(seed);
            let journal = Journal::start(self.name, &label);
            let scheduler = Recorder::new(plan.scheduler(seed), journal.clone());
            let start = Instant::now();
            let executions = self.run(scheduler, &journal, &label, start, model.clone());
            total.add(label, executions, start, plan.end(executions));
        }
    }

    fn run(
        self,
        scheduler: impl Scheduler + 'static,
        journal: &Journal,
        label: &str,
        start: Instant,
        model: impl Fn() + Send + Sync + 'static,
    ) -> usize {
        let run = || Runner::new(scheduler, config()).run(model);
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            journal.save();
            self.print(label, journal.executions(), start.elapsed(), "RED");
            resume_unwind(panic)
        })
    }

    fn replay(self, replay: Replay, model: impl Fn() + Send + Sync + 'static) {
        let (start, journal) = (Instant::now(), Journal::of_replay());
        let strayed = replay.strayed();
        self.run(replay, &journal, "replay", start, model);
        let end = match strayed.get() {
            None => "PASSED".to_owned(),
            Some(step) => format!("STRAYED at step {step}"),
        };
        self.print("replay", 1, start.elapsed(), &end);
    }

    fn print(self, scheduler: &str, executions: usize, took: Duration, end: &str) {
        let Scenario { name, threads, goroutines } = self;
        let numbers = [threads, goroutines].map(|number| number.to_string());
        let [threads, goroutines] = numbers;
        let seconds = format!("{:.1}", took.as_secs_f64());
        let (scheduler, executions) = (scheduler.to_owned(), executions.to_string());
        let row =
            [name.to_owned(), threads, goroutines, scheduler, executions, seconds, end.to_owned()];
        table::add(&HEAD, &row);
    }
}

/// What the plans of one scenario came to: one row, unless one of them failed.
#[derive(Default)]
struct Total {
    labels: Vec<String>,
    executions: usize,
    took: Duration,
    end: &'static str,
}

impl Total {
    fn add(&mut self, label: String, executions: usize, start: Instant, end: &'static str) {
        if !self.labels.contains(&label) {
            self.labels.push(label);
        }
        self.executions += executions;
        self.took += start.elapsed();
        self.end = end;
    }

    fn print(&self, scenario: Scenario) {
        if self.executions > 0 {
            scenario.print(&self.labels.join(", "), self.executions, self.took, self.end);
        }
    }
}

/// The head of the table.
const HEAD: [&str; 7] =
    ["shuttle", "threads", "goroutines", "scheduler", "executions", "seconds", "verdict"];

fn seed() -> u64 {
    let seed = std::env::var("SELVEDGE_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.unwrap_or(20_261_123)
}

/// One for the whole process, as shuttle's panic hook takes the first one it sees.
fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 128 * 1024;
    // The journal saves schedules, with the scenario's name.
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(200_000);
    config.silence_warnings = true;
    config
}

/// Installs what catches failures: once, and after shuttle has installed its own panic hook.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        Runner::new(RandomScheduler::new_from_seed(0, 1), config()).run(|| {});
        crate::replay::save_before_an_abort();
        crate::support::keep_expected_panics_quiet();
    });
}
