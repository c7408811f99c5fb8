//! Explorer: runs a small program under loom in every interleaving and with every value that a load
//! may return, and tells what came out.
//!
//! A program that loom must reject runs in a child process, as its panic may meet loom's own objects
//! on a stack, and then aborts.

use selvedge::internals::platform::thread;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// The chapter that has a row for each fact.
const CHAPTER: &str = include_str!("../../docs/checking.md");
/// Tells a child process which program it is to run.
const PROGRAM: &str = "SELVEDGE_LITMUS";

/// Every outcome of `program`, without a bound.
pub fn outcomes<T>(program: impl Fn() -> T + Send + Sync + 'static) -> BTreeSet<T>
where
    T: Ord + Send + 'static,
{
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = Arc::clone(&seen);
    unbounded().check(move || {
        let outcome = program();
        all.lock().expect("nobody panicked").insert(outcome);
    });
    std::mem::take(&mut seen.lock().expect("nobody panicked"))
}

/// `program` holds, without a bound.
pub fn check(program: impl Fn() + Send + Sync + 'static) {
    unbounded().check(program);
}

/// No bound, no cap: what is not seen does not occur.
fn unbounded() -> loom::model::Builder {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = None;
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.checkpoint_file = None;
    builder
}

/// Starts a model thread that answers with a value.
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Answer<T> {
    let slot = Arc::new(Mutex::new(None));
    let theirs = Arc::clone(&slot);
    let run = move || *theirs.lock().expect("alone") = Some(f());
    let handle = thread::spawn("litmus".to_owned(), run).expect("a model thread can start");
    Answer { handle, slot }
}

pub struct Answer<T> {
    handle: thread::JoinHandle,
    slot: Arc<Mutex<Option<T>>>,
}

impl<T> Answer<T> {
    pub fn join(self) -> T {
        assert!(self.handle.join(), "a thread of a litmus test panicked");
        self.slot.lock().expect("it has ended").take().expect("it has answered")
    }
}

/// What is said of an outcome, by loom or by C11.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    Allowed,
    Forbidden,
    /// loom itself gives up.
    Crashes,
}

impl Says {
    fn word(self) -> &'static str {
        match self {
            Says::Allowed => "allowed",
            Says::Forbidden => "forbidden",
            Says::Crashes => "crashes",
        }
    }
}

/// A row of the table: an outcome, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub behaviour: &'static str,
    pub loom: Says,
    pub c11: Says,
}

impl Row {
    /// Fails if loom no longer answers as the row says, or if the chapter has no such row.
    #[track_caller]
    pub fn hold(self, reached: bool) {
        let now = match (reached, self.loom) {
            (true, Says::Crashes) => Says::Crashes,
            (true, _) => Says::Allowed,
            (false, _) => Says::Forbidden,
        };
        assert!(
            now == self.loom,
            "loom now says {} of: {}\nIt was {} (a {}), and C11 says {}: now it is a {}.\nChange \
             that row of docs/checking.md, its consequences in src/, and this test.",
            now.word(),
            self.behaviour,
            self.loom.word(),
            self.verdict(),
            self.c11.word(),
            Row { loom: now, ..self }.verdict(),
        );
        let row = [self.behaviour, self.loom.word(), self.c11.word(), self.verdict()].join(" | ");
        assert!(CHAPTER.contains(&format!("| {row} |")), "docs/checking.md has no row: {row}");
    }

    fn verdict(self) -> &'static str {
        match (self.loom, self.c11) {
            (Says::Allowed, Says::Forbidden) => "false alarm",
            (Says::Forbidden, Says::Allowed) => "miss",
            (Says::Crashes, _) => "crash",
            _ => "right",
        }
    }
}

/// Whether `outcome` is among those of `program`.
pub fn reaches<T>(outcome: T, program: impl Fn() -> T + Send + Sync + 'static) -> bool
where
    T: Ord + Send + Debug + 'static,
{
    let all = outcomes(program);
    assert!(!all.is_empty(), "the program never ended");
    all.contains(&outcome)
}

/// Whether loom rejects `program`, the one of test `name`, saying one of `whys`. Runs it in a child
/// process. A test with several of them tells them apart by `#` and a number behind its name.
#[track_caller]
pub fn rejects(name: &str, whys: &[&str], program: impl Fn() + Send + Sync + 'static) -> bool {
    if std::env::var(PROGRAM).is_ok_and(|asked| asked == name) {
        check(program);
        std::process::exit(0);
    }
    if in_child() {
        return true; // another program of this test is asked for
    }
    let Output { status, stderr, stdout } = child(name).output().expect("a child process");
    let told = [stderr, stdout].map(|out| String::from_utf8_lossy(&out).into_owned()).concat();
    assert!(!told.contains("running 0 tests"), "there is no test `{name}`");
    let why = || whys.iter().any(|why| told.contains(why));
    assert!(status.success() || why(), "rejected, but not for {whys:?}:\n{told}");
    !status.success()
}

/// Whether this is a child process, which runs one program.
pub fn in_child() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// This very binary, running that one test.
fn child(name: &str) -> Command {
    let binary = std::env::current_exe().expect("a test knows its binary");
    let mut command = Command::new(binary);
    let test = name.split('#').next().unwrap_or(name);
    command.args(["--exact", "--nocapture", test]).env(PROGRAM, name);
    command.env_remove("LOOM_LOG").env_remove("LOOM_LOCATION");
    command
}

#[test]
fn each_row_of_the_chapter_is_a_test() {
    let tests = [include_str!("envelope.rs"), include_str!("limits.rs")].concat();
    let rows: Vec<&str> = CHAPTER
        .lines()
        .skip_while(|line| !line.starts_with("| behaviour | loom | C11 |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() > 10, "docs/checking.md has its table of loom against C11");
    for row in rows {
        let behaviour = row.split('|').nth(1).map_or("", str::trim);
        assert!(tests.contains(&format!("\"{behaviour}\"")), "no test holds the row: {behaviour}");
    }
}
