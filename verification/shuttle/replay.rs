//! Schedules: written down while they run, saved where they fail, and run again.
//!
//! A broken invariant aborts the process, and so may a panic that meets a half-finished model; a
//! handler of SIGABRT then saves the schedule and prints the row.

use crate::harness::{Plan, Scenario};
use crate::support::anchored;
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};
use std::cell::{Cell, RefCell};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Who ran at each step of the execution at hand.
#[derive(Clone, Default)]
pub struct Journal(Rc<Inner>);

#[derive(Default)]
struct Inner {
    /// Scenario and scheduler; empty in a replay, which saves nothing.
    name: String,
    label: String,
    executions: Cell<usize>,
    steps: RefCell<Vec<usize>>,
}

thread_local! {
    /// The journal of the scenario that this kernel thread (and so each of its model threads) runs.
    static RUNNING: RefCell<Option<Journal>> = const { RefCell::new(None) };
}

impl Journal {
    pub fn start(name: &str, label: &str) -> Journal {
        let inner = Inner { name: name.to_owned(), label: label.to_owned(), ..Inner::default() };
        let journal = Journal(Rc::new(inner));
        RUNNING.set(Some(journal.clone()));
        journal
    }

    pub fn of_replay() -> Journal {
        Journal::default()
    }

    pub fn executions(&self) -> usize {
        self.0.executions.get()
    }

    /// Writes the schedule of this execution so far to its file.
    pub fn save(&self) {
        if self.0.name.is_empty() {
            return;
        }
        let name = format!("{}.{}.txt", slug(&self.0.name), self.0.label);
        let path = directory().join(name);
        let mut text = format!("{}\n{}\n", self.0.name, encode(&self.0.steps.borrow()));
        if let Ok(fault) = std::env::var("SELVEDGE_FAULT") {
            text += &format!("{FAULT}{fault}\n");
        }
        let told = match std::fs::write(&path, text) {
            Ok(()) => format!("the failing schedule is in {}\n", path.display()),
            Err(error) => format!("the failing schedule could not be saved: {error}\n"),
        };
        let _ = std::io::stderr().write_all(told.as_bytes());
    }
}

fn directory() -> PathBuf {
    std::env::var_os("SELVEDGE_REPLAYS").map_or_else(kept, PathBuf::from)
}

/// Where schedules are that every run replays.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("verification/shuttle/replays")
}

/// Of a schedule that was found with a deliberate fault, the third line: which.
const FAULT: &str = "fault: ";

fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Each thread's number, and for how many steps it ran.
fn encode(steps: &[usize]) -> String {
    let runs = steps.chunk_by(|one, two| one == two);
    let runs: Vec<_> = runs.map(|run| format!("{}x{}", run[0], run.len())).collect();
    runs.join(" ")
}

fn decode(text: &str) -> Option<Vec<usize>> {
    let mut steps = Vec::new();
    for run in text.split_whitespace() {
        let (thread, times) = run.split_once('x')?;
        let (thread, times): (usize, usize) = (thread.parse().ok()?, times.parse().ok()?);
        steps.extend(std::iter::repeat_n(thread, times));
    }
    Some(steps)
}

/// A scheduler, with a journal of what it decides.
pub struct Recorder<S> {
    scheduler: S,
    journal: Journal,
}

impl<S> Recorder<S> {
    pub fn new(scheduler: S, journal: Journal) -> Self {
        Recorder { scheduler, journal }
    }
}

impl<S: Scheduler> Scheduler for Recorder<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        let schedule = self.scheduler.new_execution()?;
        self.journal.0.executions.update(|n| n + 1);
        self.journal.0.steps.borrow_mut().clear();
        Some(schedule)
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        let next = self.scheduler.next_task(runnable, current, is_yielding)?;
        self.journal.0.steps.borrow_mut().push(next.into());
        Some(next)
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("no model draws random numbers of shuttle's");
    }
}

/// A schedule that was saved.
pub struct Replay {
    scenario: String,
    steps: Vec<usize>,
    at: usize,
    started: bool,
    strayed: Rc<Cell<Option<usize>>>,
}

impl Replay {
    /// The one that `SELVEDGE_REPLAY` names.
    pub fn asked_for() -> Option<Replay> {
        let path = std::env::var_os("SELVEDGE_REPLAY")?;
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut lines = text.lines();
        let mut line = || lines.next().expect("a scenario's name, and its steps");
        let (scenario, steps) = (line(), line());
        let steps = decode(steps).expect("runs of steps, as in 0x12 1x3");
        let strayed = Rc::default();
        Some(Replay { scenario: scenario.to_owned(), steps, at: 0, started: false, strayed })
    }

    pub fn scenario(&self) -> &str {
        &self.scenario
    }

    /// At which step the schedule ceased to fit, once it has run.
    pub fn strayed(&self) -> Rc<Cell<Option<usize>>> {
        Rc::clone(&self.strayed)
    }
}

impl Scheduler for Replay {
    fn new_execution(&mut self) -> Option<Schedule> {
        let first = !std::mem::replace(&mut self.started, true);
        first.then(|| Schedule::new(0))
    }

    fn next_task(&mut self, runnable: &[&Task], _: Option<TaskId>, _: bool) -> Option<TaskId> {
        let step = self.at;
        self.at += 1;
        if self.strayed.get().is_none() {
            let asked = self.steps.get(step).map(|thread| TaskId::from(*thread));
            if let Some(task) = runnable.iter().find(|task| Some(task.id()) == asked) {
                return Some(task.id());
            }
            self.strayed.set(Some(step));
        }
        // In turn, so that nobody starves.
        Some(runnable[step % runnable.len()].id())
    }

    fn next_u64(&mut self) -> u64 {
        unreachable!("no model draws random numbers of shuttle's");
    }
}

/// See the module.
pub fn save_before_an_abort() {
    extern "C" fn handler(_signal: libc::c_int) {
        // The process is about to die by a call of `abort` in a model, so nothing is half-done
        // but what that model does.
        RUNNING.with(|running| {
            let Ok(running) = running.try_borrow() else { return };
            let Some(journal) = running.as_ref() else { return };
            journal.save();
            let (name, label) = (&journal.0.name, &journal.0.label);
            let row = format!("{name} | - | - | {label} | {} | - | RED\n", journal.executions());
            let _ = std::io::stderr().write_all(row.as_bytes());
        });
    }
    let handler: extern "C" fn(libc::c_int) = handler;
    // SAFETY: the handler never returns into anything that goes on: `abort` kills the process then.
    unsafe { libc::signal(libc::SIGABRT, handler as libc::sighandler_t) };
}

/// This very binary, in a child process.
pub fn child(arguments: &[&str]) -> Command {
    let binary = std::env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(binary);
    command.args(arguments);
    command.env_remove("SELVEDGE_REPLAY").env_remove("SELVEDGE_CHECK").env_remove("SELVEDGE_TABLE");
    command
}

/// A child process for each schedule kept: those whose bug was mended pass. One that was found with a
/// deliberate fault fails with it, in the specification's words, and passes without.
#[test]
fn schedules_that_once_failed_pass() {
    if std::env::var_os("SELVEDGE_REPLAY").is_some() {
        return;
    }
    let entries = std::fs::read_dir(kept()).expect("some are kept").flatten();
    let files: Vec<_> = entries.map(|entry| entry.path()).collect();
    assert!(!files.is_empty(), "none is kept, so this checks nothing");
    for path in files {
        let run = |fault: &str| {
            let mut command = child(&[]);
            command.env("SELVEDGE_REPLAY", &path).env("SELVEDGE_FAULT", fault);
            let output = command.output().expect("a child process");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            (output.status.success(), told)
        };
        let (passed, told) = run("");
        assert!(passed, "{} fails: {told}", path.display());
        assert!(told.contains("| replay |"), "{} names no scenario", path.display());
        let text = std::fs::read_to_string(&path).expect("just listed");
        if let Some(fault) = text.lines().find_map(|line| line.strip_prefix(FAULT)) {
            let (passed, told) = run(fault);
            let named = !passed && told.contains("selvedge: specification: ");
            let path = path.display();
            assert!(named, "{path} does not find its fault any more: save one anew: {told}");
        }
    }
}

/// Asks a child process for the scenario that fails on purpose.
const FAIL: &str = "SELVEDGE_FAIL";

/// 2 threads, 1 goroutine; sampled, in 2 child processes. A scenario that must fail does; its
/// schedule, saved, fails again.
#[test]
fn a_failing_schedule_is_saved_and_fails_again() {
    if std::env::var_os(FAIL).is_some() {
        return fails_on_purpose();
    }
    if std::env::var_os("SELVEDGE_REPLAY").is_some() {
        return;
    }
    let directory = std::env::temp_dir().join(format!("selvedge-replays-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a place for schedules");
    let red = "harness: this one fails | 2 | 1 | ";
    let fail = |name: &str, value: &Path| {
        let mut command =
            child(&["--exact", "replay::a_failing_schedule_is_saved_and_fails_again"]);
        let output = command.env(FAIL, "1").env(name, value).output().expect("a child process");
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (passed, told) = fail("SELVEDGE_REPLAYS", &directory);
    assert!(!passed && told.contains(red), "it must fail: {told}");
    let mut saved = std::fs::read_dir(&directory).expect("it is there").flatten();
    let path = saved.next().expect("its schedule is saved").path();
    let (passed, told) = fail("SELVEDGE_REPLAY", &path);
    let failed_again = told.contains("| replay |") && told.contains("RED");
    assert!(!passed && failed_again, "it must fail again: {told}");
    std::fs::remove_dir_all(&directory).expect("it was ours");
}

fn fails_on_purpose() {
    let scenario = Scenario { name: "harness: this one fails", threads: 2, goroutines: 1 };
    scenario.check(&Plan::usual(300), || {
        let runtime = anchored(1, 1);
        let began = Arc::new(AtomicUsize::new(0));
        let goroutines = Arc::clone(&began);
        let handle = runtime.go(move || goroutines.fetch_add(1, Ordering::Relaxed));
        shuttle::thread::yield_now();
        assert_eq!(began.load(Ordering::Relaxed), 0, "it sometimes begins at once");
        handle.join().expect("no panic");
    });
}
