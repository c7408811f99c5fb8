//! Runs every execution, by loom. A model has at most five threads, and their stacks are small.

use super::{Plan, Search};
use crate::observe::run_log;
use crate::observe::run_log::Kind;
use crate::platform::Arc;
use std::cell::RefCell;
use std::sync::atomic::AtomicU64;

/// Whether `Search::Every` is available.
pub const EXHAUSTS: bool = true;
/// Whether the other searches are available.
pub const SAMPLES: bool = false;
/// The greatest number of model threads that loom can run.
pub(super) const MOST_THREADS: Option<u32> = Some(5);

/// Whether the log counts the steps of an execution.
pub(super) const LEDGER_COUNTS: bool = true;
/// More branches of loom than a step of ours can have.
const BRANCHES: usize = 16;

const STACK_SIZE: usize = 256 * 1024;

/// Does nothing, because loom needs no preparation.
pub(super) fn prepare() {}

/// Calls `body` once for each execution. loom ends a search *with success* when a limit is reached, and checks
/// its limits before each multiple of the interval. With an interval of 1 it stops exactly at the limit.
pub(super) fn search(plan: &Plan, _: &Arc<AtomicU64>, body: impl Fn() + Send + Sync + 'static) {
    let Search::Every { preemptions } = plan.search else {
        unreachable!("whoever asks has looked at SAMPLES");
    };
    let mut builder = loom::model::Builder::new();
    builder.max_threads = 5;
    // When an execution meets loom's own limit, loom panics, so the log's limit must be met first.
    builder.max_branches = plan.steps.saturating_mul(BRANCHES);
    builder.preemption_bound = preemptions;
    builder.max_permutations = plan.most.map(|most| most as usize + 1);
    builder.max_duration = plan.within;
    builder.checkpoint_file = None;
    builder.checkpoint_interval = 1;
    builder.check(body);
}

/// Returns what a panic of loom means for the user.
pub(super) fn explain(text: &str, file: &str) -> Option<(Kind, String)> {
    if text.starts_with("deadlock; threads =") {
        return Some((Kind::Deadlock, "everybody waits, and nobody will wake them".to_owned()));
    }
    if text.starts_with("Model exceeded maximum number of branches") {
        return Some((Kind::Limit, run_log::log::TOO_MANY_STEPS.to_owned()));
    }
    let of_loom = file.contains("/loom-0.") || text.starts_with("Causality violation");
    of_loom.then(|| (Kind::Panic, format!("loom says: {text}")))
}

thread_local! {
    static STACKS: RefCell<Vec<corosensei::stack::DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` on a stack of the size that user code may expect.
pub fn roomy<R>(f: impl FnOnce() -> R) -> R {
    let kept = STACKS.with_borrow_mut(Vec::pop);
    let mut stack = kept.unwrap_or_else(|| {
        corosensei::stack::DefaultStack::new(STACK_SIZE).expect("memory for a stack")
    });
    let result = corosensei::on_stack(&mut stack, f);
    STACKS.with_borrow_mut(|stacks| stacks.push(stack));
    result
}
