//! Runs sampled executions, by shuttle with schedulers of our own. A seed and a number identify an execution.
//! random: at each step, choose any goroutine that can run.   pct: choose the goroutine with the highest priority.
//! The priority of a goroutine is drawn when it is first seen. The running goroutine gets the lowest priority at
//! `depth - 1` random steps, and whenever it yields (Burckhardt et al., ASPLOS 2010).

use super::{Plan, Search};
use crate::observe::run_log;
use crate::observe::run_log::Kind;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Instant;

/// Whether `Search::Every` is available.
pub const EXHAUSTS: bool = false;
/// Whether the other searches are available.
pub const SAMPLES: bool = true;
pub(super) const MOST_THREADS: Option<u32> = None;
/// Whether the log counts the steps of an execution.
pub(super) const LEDGER_COUNTS: bool = false;

const STACK_SIZE: usize = 256 * 1024;
/// The assumed length of an execution before the first execution was measured.
const FIRST_GUESS: u64 = 64;

/// Lets shuttle install its panic hook now, and replaces it. shuttle installs the hook at its first run, and
/// the hook prints each panic.
pub(super) fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        Runner::new(Sampler::new(Search::Random { seed: 0 }, 0, 1), config()).run(|| {});
        std::panic::set_hook(usual);
    });
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_SIZE;
    config.failure_persistence = FailurePersistence::None;
    // The sampler counts the steps itself.
    config.max_steps = MaxSteps::None;
    config.silence_warnings = true;
    config
}

/// Calls `body` once for each execution.
pub(super) fn search(
    plan: &Plan,
    length: &Arc<AtomicU64>,
    body: impl Fn() + Send + Sync + 'static,
) {
    let mut sampler = Sampler::new(plan.search, plan.first, plan.most.unwrap_or(u64::MAX));
    sampler.steps = plan.steps as u64;
    sampler.until = plan.within.and_then(|limit| Instant::now().checked_add(limit));
    sampler.told = Arc::clone(length);
    Runner::new(sampler, config()).run(body);
}

/// Returns nothing, because the log learns of every failure first.
pub(super) fn explain(_: &str, _: &str) -> Option<(Kind, String)> {
    None
}

/// Calls `f`, because the thread that calls this has a large stack already.
pub fn roomy<R>(f: impl FnOnce() -> R) -> R {
    f()
}

struct Sampler {
    search: Search,
    next: u64,
    left: u64,
    until: Option<Instant>,
    /// The number of steps that an execution may take, that it has taken, and that the longest earlier execution
    /// took.
    steps: u64,
    taken: u64,
    length: u64,
    told: Arc<AtomicU64>,
    random: SplitMix,
    /// The priorities, of which the highest runs first, and the steps at which the next changes happen.
    ranks: HashMap<usize, u64>,
    lowest: u64,
    changes: Vec<u64>,
}

impl Sampler {
    fn new(search: Search, first: u64, most: u64) -> Self {
        let length = match search {
            Search::Pct { length, .. } => length.unwrap_or(FIRST_GUESS),
            _ => 0,
        };
        Sampler {
            search,
            next: first,
            left: most,
            until: None,
            steps: u64::MAX,
            taken: 0,
            length,
            told: Arc::default(),
            random: SplitMix(0),
            ranks: HashMap::new(),
            lowest: u64::MAX / 2,
            changes: Vec::new(),
        }
    }

    /// Returns the priority of `task`. The priority is drawn at the first call for the task.
    fn rank(&mut self, task: usize) -> u64 {
        if let Some(rank) = self.ranks.get(&task) {
            return *rank;
        }
        let rank = u64::MAX / 2 + (self.random.next() >> 2);
        self.ranks.insert(task, rank);
        rank
    }

    fn demote(&mut self, task: TaskId) {
        self.lowest -= 1;
        self.ranks.insert(task.into(), self.lowest);
    }
}

impl Scheduler for Sampler {
    fn new_execution(&mut self) -> Option<Schedule> {
        if self.left == 0 || self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        self.length = self.length.max(self.taken);
        // Relaxed: the value is read after the thread has sent its result.
        self.told.store(self.length, Ordering::Relaxed);
        self.left -= 1;
        self.taken = 0;
        let (Search::Random { seed } | Search::Pct { seed, .. }) = self.search else {
            unreachable!("whoever asks has looked at EXHAUSTS");
        };
        self.random = SplitMix(SplitMix(seed).next() ^ self.next.wrapping_mul(GOLDEN));
        self.next += 1;
        if let Search::Pct { depth, .. } = self.search {
            self.ranks.clear();
            self.lowest = u64::MAX / 2;
            let mut changes: Vec<_> =
                (1..depth).map(|_| self.random.next() % self.length.max(1)).collect();
            changes.sort_unstable();
            changes.reverse();
            self.changes = changes;
        }
        Some(Schedule::new(0))
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        self.taken += 1;
        if self.taken > self.steps {
            run_log::fail(Kind::Limit, run_log::log::TOO_MANY_STEPS.to_owned());
        }
        let Search::Pct { .. } = self.search else {
            let at = self.random.next() % runnable.len() as u64;
            return Some(runnable[at as usize].id());
        };
        let changes = self.changes.last().is_some_and(|at| *at <= self.taken);
        if changes {
            self.changes.pop();
        }
        if let Some(current) = current.filter(|_| changes || is_yielding) {
            self.demote(current);
        }
        let ids: Vec<_> = runnable.iter().map(|task| task.id()).collect();
        ids.into_iter().max_by_key(|id| self.rank((*id).into()))
    }

    fn next_u64(&mut self) -> u64 {
        self.random.next()
    }
}

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// A small generator whose numbers stay the same from release to release.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
