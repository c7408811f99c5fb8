//! Harness: runs one scenario under loom, counts its permutations and adds a row to the table.
//!
//! `scenario | threads | operations | bound | permutations | seconds | COMPLETE, CUT or RED`
//!
//! loom ends a run *with success* when LOOM_MAX_PERMUTATIONS or LOOM_MAX_DURATION is reached; such a
//! run is CUT, and counts as not checked. The harness sets no cap of its own. The bound is ours too:
//! LOOM_MAX_PREEMPTIONS has no effect. RED: the scenario failed in the permutation printed.
//!
//! `SELVEDGE_PATH=<file> cargo test --features loom --test loom -- --exact <test>` keeps the path of the
//! permutation at hand in that file, and begins with the one that it finds there: run twice, it fails
//! the second time in its first permutation.

use crate::table;
use selvedge::internals::platform::cell::UnsafeCell;
use selvedge::internals::platform::thread;
use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

/// How far to look.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// Every interleaving with at most so many preemptions.
    Preemptions(usize),
    /// Every interleaving.
    Complete,
}

impl Bound {
    /// Two preemptions; three in the long run.
    pub fn usual() -> Bound {
        Bound::Preemptions(if table::long() { 3 } else { 2 })
    }

    /// One preemption; two in the long run. For the whole scheduler, where its every life counts.
    pub fn narrow() -> Bound {
        Bound::Preemptions(if table::long() { 2 } else { 1 })
    }

    /// Two preemptions; no bound in the long run.
    pub fn complete_if_long() -> Bound {
        if table::long() { Bound::Complete } else { Bound::Preemptions(2) }
    }
}

/// What one model is about: a sentence, its threads (main counted in), and what they do.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub threads: usize,
    pub operations: &'static str,
}

impl Scenario {
    /// Runs `model` in every permutation that `bound` allows.
    #[track_caller]
    pub fn check(self, bound: Bound, model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.max_threads = self.threads;
        builder.preemption_bound = match bound {
            Bound::Preemptions(n) => Some(n),
            Bound::Complete => None,
        };
        // A run that begins where another ended would not be a whole one, so only where asked for.
        builder.checkpoint_file = std::env::var_os("SELVEDGE_PATH").map(PathBuf::from);
        // How often loom looks at its caps, and writes the path.
        builder.checkpoint_interval = if builder.checkpoint_file.is_some() { 1 } else { 1_000 };
        let row = Row::new(self, bound);
        row.print_if_aborted();
        let red = RedIfPanicking(&row);
        let begun = Arc::clone(&row.begun);
        builder.check(move || {
            begun.fetch_add(1, Ordering::Relaxed);
            model();
        });
        drop(red);
        row.print(if row.cut_by(&builder) { "CUT" } else { "COMPLETE" });
    }
}

thread_local! {
    /// The row of the scenario that this kernel thread (and so each of its model threads) runs.
    static RUNNING: RefCell<Option<Row>> = const { RefCell::new(None) };
}

/// What will be printed of one scenario.
#[derive(Clone)]
struct Row {
    scenario: Scenario,
    bound: Bound,
    begun: Arc<AtomicUsize>,
    start: Instant,
}

impl Row {
    fn new(scenario: Scenario, bound: Bound) -> Row {
        Row { scenario, bound, begun: Arc::default(), start: Instant::now() }
    }

    /// A race that shows once more while the first panic unwinds aborts the process, and no `Drop`
    /// runs: the panic hook then prints the row.
    fn print_if_aborted(&self) {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                usual(info);
                if info.payload_as_str().is_some_and(|why| why.starts_with("panic in a ")) {
                    RUNNING.with_borrow(|row| row.iter().for_each(|row| row.print("RED")));
                }
            }));
        });
        RUNNING.set(Some(self.clone()));
    }

    /// Whether a cap may have ended the run. loom looks at its caps before each permutation whose
    /// number is a multiple of the interval; where the last one fell just there, we can't tell, and
    /// say that it was cut.
    fn cut_by(&self, builder: &loom::model::Builder) -> bool {
        let next = self.begun.load(Ordering::Relaxed) + 1;
        let reached = |cap: Duration| self.start.elapsed() >= cap;
        next.is_multiple_of(builder.checkpoint_interval)
            && (builder.max_permutations.is_some_and(|cap| next >= cap)
                || builder.max_duration.is_some_and(reached))
    }

    fn print(&self, end: &str) {
        let Scenario { name, threads, operations } = self.scenario;
        let bound = match self.bound {
            Bound::Preemptions(n) => n.to_string(),
            Bound::Complete => "none".to_owned(),
        };
        let permutations = self.begun.load(Ordering::Relaxed).to_string();
        let seconds = format!("{:.1}", self.start.elapsed().as_secs_f64());
        let (name, operations) = (name.to_owned(), operations.to_owned());
        let row = [name, threads.to_string(), operations, bound, permutations, seconds, end.into()];
        table::add(&HEAD, &row);
    }
}

/// The head of the table.
const HEAD: [&str; 7] =
    ["loom", "threads", "operations", "bound", "permutations", "seconds", "verdict"];

/// Prints the row when the scenario fails by a panic that unwinds.
struct RedIfPanicking<'a>(&'a Row);

impl Drop for RedIfPanicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.print("RED");
        }
    }
}

/// Starts a model thread.
pub fn spawn(f: impl FnOnce() + Send + 'static) -> thread::JoinHandle {
    thread::spawn("model".to_owned(), f).expect("a model thread can always start")
}

/// Waits for a model thread, which must not have panicked.
#[track_caller]
pub fn join(handle: thread::JoinHandle) {
    assert!(handle.join(), "a model thread panicked");
}

/// A number behind a race-checked cell: whoever reads it must have synchronized with its writer.
#[derive(Debug)]
pub struct Payload(UnsafeCell<usize>);

// SAFETY: what the models check; loom fails the permutation in which two threads race for the cell.
unsafe impl Send for Payload {}
// SAFETY: as above.
unsafe impl Sync for Payload {}

impl Payload {
    pub fn new(id: usize) -> Payload {
        let payload = Payload(UnsafeCell::new(0));
        payload.write(id);
        payload
    }

    pub fn write(&self, id: usize) {
        // SAFETY: see the impl of `Sync`.
        self.0.with_mut(|cell| unsafe { *cell = id });
    }

    /// Takes the number, and so fails if anybody else reads at the same time.
    pub fn take(&self) -> usize {
        // SAFETY: see the impl of `Sync`.
        self.0.with_mut(|cell| unsafe { std::mem::take(&mut *cell) })
    }
}

/// Each of the numbers `1..=n` left exactly once.
#[track_caller]
pub fn assert_conserved(n: usize, mut left: Vec<usize>) {
    left.sort_unstable();
    assert_eq!(left, (1..=n).collect::<Vec<_>>(), "each item must leave exactly once");
}

/// One taker saw its items in the order in which they were pushed.
#[track_caller]
pub fn assert_in_order(taken: &[usize]) {
    assert!(taken.is_sorted(), "items must leave in the order of their pushes: {taken:?}");
}
