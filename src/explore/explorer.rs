//! Explorer: explores one program, execution after execution.

#[cfg(feature = "loom")]
use super::loom as backend;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
use super::none as backend;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
use super::shuttle as backend;
use super::virtual_time;
use crate::observe::run_log;
use crate::observe::run_log::{Kind, Record, Rules};
use crate::platform::{Arc, Parker, tls};
pub use backend::{EXHAUSTS, SAMPLES, roomy};
use std::any::Any;
use std::io::Write;
use std::panic::{
    AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind, set_hook, take_hook,
};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// Says which executions are run.
#[derive(Clone, Copy, Debug)]
pub enum Search {
    /// Runs each different execution, with at most so many preemptions.
    Every {
        /// The greatest number of preemptions. `None` means that there is no bound.
        preemptions: Option<usize>,
    },
    /// At each step any goroutine may run.
    Random {
        /// The seed. Each execution has a seed of its own, made from this seed and the execution's number.
        seed: u64,
    },
    /// Draws random priorities, and so many random steps at which a priority changes.
    Pct {
        /// The seed, as for `Random`.
        seed: u64,
        /// The number of ordering constraints that a bug of this kind has.
        depth: usize,
        /// The length of the longest earlier execution, in steps. `None` means that it must be measured.
        #[allow(dead_code, reason = "shuttle alone reads it")]
        length: Option<u64>,
    },
}

/// The plan of an exploration.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The executions to run.
    pub search: Search,
    /// The number of the first execution. Only sampling can begin at a number other than 0.
    pub first: u64,
    /// The greatest number of executions.
    pub most: Option<u64>,
    /// The greatest duration of the exploration, approximately.
    pub within: Option<Duration>,
    /// The greatest number of the checker's steps in one execution.
    pub steps: usize,
    /// What counts as a failure.
    pub rules: Rules,
}

/// The result of an exploration.
#[derive(Debug)]
pub struct Explored {
    /// The number of executions that were begun.
    pub executions: u64,
    /// The length of the longest execution before the last, in steps. `Pct` uses it.
    pub length: u64,
    /// Whether a limit may have ended an execution.
    pub cut: bool,
    /// The duration of the exploration.
    pub took: Duration,
    /// The failure that ended the exploration.
    pub failure: Option<Record>,
}

/// Runs the executions of `plan`, until one fails.
pub fn explore(plan: Plan, program: Arc<dyn Fn() + Send + Sync>) -> Explored {
    backend::prepare();
    report_panics();
    let start = Instant::now();
    let begun = Arc::new(AtomicU64::new(0));
    let length = Arc::new(AtomicU64::new(0));
    let (tell, told) = channel();
    let (count, longest) = (Arc::clone(&begun), Arc::clone(&length));
    let thread = std::thread::Builder::new().name("selvedge-model".to_owned()).spawn(move || {
        let body = move || {
            // Relaxed: the value is read only after the thread has sent its result or ended.
            count.fetch_add(1, Ordering::Relaxed);
            let most_steps = backend::LEDGER_COUNTS.then_some(plan.steps);
            run(Rules { most_steps, ..plan.rules }, &tell, &*program);
        };
        // A panic reaches this point if no goroutine of the run has caught it.
        let end = catch_unwind(AssertUnwindSafe(|| backend::search(&plan, &longest, body)));
        run_log::raise_deferred_failure();
        end.unwrap_or_else(|payload| resume_unwind(payload));
        run_log::close();
    });
    let thread = thread.unwrap_or_else(|error| panic!("model: no kernel thread: {error}"));
    // An error means that the receiver was dropped, because the search has ended.
    let failure = told.recv().ok().or_else(|| {
        let message = "the checker itself panicked; what it said stands above".to_owned();
        let run = run_log::Run::default();
        thread.join().err().map(|_| Record { kind: Kind::Panic, message, run })
    });
    // Relaxed: the thread has sent its result or ended.
    let executions = begun.load(Ordering::Relaxed);
    let took = start.elapsed();
    let reached = |cap: Duration| took >= cap;
    let cut = plan.most.is_some_and(|most| executions >= most) || plan.within.is_some_and(reached);
    // Relaxed: the thread has sent its result or ended.
    let length = length.load(Ordering::Relaxed);
    Explored { executions, length, cut, took, failure }
}

/// Runs one execution, on the first of its model threads.
fn run(rules: Rules, tell: &Sender<Record>, program: &(dyn Fn() + Send + Sync)) {
    run_log::open(Rules { most_threads: backend::MOST_THREADS, ..rules }, tell.clone());
    virtual_time::begin();
    run_log::thread("the program itself");
    let main = run_log::spawned(0, Some("main"), None);
    tls::set_parker(Arc::new(Parker::of(main, Some("main".into()))));
    if let Err(payload) = roomy(|| catch_unwind(AssertUnwindSafe(program))) {
        run_log::panicked(main, message(&*payload));
        run_log::fail(Kind::Panic, format!("goroutine {main} panicked: {}", message(&*payload)));
    }
    ended(main);
}

/// Records that a goroutine of the run has ended. After this, the function uses nothing of the model except the
/// clock.
pub fn ended(goroutine: u32) {
    if run_log::ended(goroutine) {
        virtual_time::end();
    }
}

/// Returns the message of a panic.
pub fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(its payload is no text)")
}

/// Sends panics within a run to its log, because most are found in hundreds of executions, or are expected.
/// Panics of the checker itself fail the run.
pub fn report_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            let text = message(info.payload());
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            if !run_log::saw_panic(text, place) {
                usual(info);
            } else if let Some((kind, message)) =
                backend::explain(text, info.location().map_or("", |place| place.file()))
                && !run_log::defer_failure(kind, message)
            {
                end_process(text);
            }
        }));
    });
}

/// Ends the process, because a destructor has called the checker again, which panics as before. Otherwise the process
/// would abort without a message, or wait for ever.
fn end_process(text: &str) -> ! {
    let message = format!(
        "selvedge::model: the checker panics while a run unwinds from a panic of its own, and can't go \
         on: {text}\nThe program is wrong, or beyond the checker; this process ends.\n"
    );
    // This message is not written to the output that a test harness captures, because the harness would not show it
    // any more.
    let _ = std::io::stderr().write_all(message.as_bytes());
    std::process::exit(101)
}
