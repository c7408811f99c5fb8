//! Runs a case twice, each time in a child process: in an isolated runtime, where it must end in order,
//! and in a runtime whose goroutines share thread-locals, the *control*. A control that is said to fail
//! must fail: it proves that the case can see what it is there to see.

use selvedge::{Builder, Runtime};
use std::fmt;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Names the placement in a child process.
const CHILD: &str = "SELVEDGE_ISOLATED";
/// How often each child runs its case: for long runs.
const ROUNDS: &str = "SELVEDGE_ISOLATED_ROUNDS";
/// If it says `none`, no control is run: under a sanitizer they would be reported.
const CONTROLS: &str = "SELVEDGE_ISOLATED_CONTROLS";
/// Longer than any child takes.
const LIMIT: Duration = Duration::from_secs(240);
/// A child in which no goroutine gets on for so long hangs.
const OWN_PATIENCE: Duration = Duration::from_secs(60);
const CONTROL_PATIENCE: Duration = Duration::from_secs(3);

const PANICKED: i32 = 101;
const WRONG: i32 = 102;
const HANGS: i32 = 103;
/// The child did not do what the case needs, so its end says nothing.
const MEANINGLESS: i32 = 104;
const SKIPPED: i32 = 105;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Isolated,
    Anchored,
    Migrating,
}

impl Placement {
    pub fn build(self, builder: Builder) -> Runtime {
        match self {
            Placement::Isolated => builder.build(),
            // SAFETY: none is promised: a control, in a process of its own, is to show what is broken.
            Placement::Anchored => unsafe { builder.build_anchored() },
            // SAFETY: as above.
            Placement::Migrating => unsafe { builder.build_migrating() },
        }
        .expect("a runtime")
    }

    pub fn runtime(self, processors: usize) -> Runtime {
        let builder = Runtime::builder().processors(processors).max_processors(4);
        self.build(builder.max_goroutines(30_000))
    }

    fn name(self) -> &'static str {
        match self {
            Placement::Isolated => "isolated",
            Placement::Anchored => "anchored",
            Placement::Migrating => "migrating",
        }
    }

    fn of_this_process() -> Option<Placement> {
        let name = std::env::var(CHILD).ok()?;
        let all = [Placement::Isolated, Placement::Anchored, Placement::Migrating];
        Some(all.into_iter().find(|placement| placement.name() == name).expect("a placement"))
    }
}

/// How a case ends on shared thread-locals.
#[derive(Clone, Copy, Debug)]
pub enum Control {
    /// It sees something wrong, panics, crashes or hangs.
    Fails(Placement),
    /// It ends in order all the same.
    Holds(Placement),
    /// It is about isolated runtimes alone.
    None,
}

pub struct Case {
    pub name: &'static str,
    pub body: fn(Placement),
    pub control: Control,
    /// It measures time, so no other case runs beside it.
    pub alone: bool,
}

/// Runs the case and its control; panics unless both end as they must.
#[track_caller]
pub fn prove(case: &Case) {
    if let Some(placement) = Placement::of_this_process() {
        live(case, placement);
    }
    static MACHINE: RwLock<()> = RwLock::new(());
    let (_beside, _alone) = match case.alone {
        false => (Some(MACHINE.read().unwrap_or_else(PoisonError::into_inner)), None),
        true => (None, Some(MACHINE.write().unwrap_or_else(PoisonError::into_inner))),
    };
    let end = child(case.name, Placement::Isolated);
    let name = case.name;
    if end.verdict == Verdict::Skipped {
        return println!("SKIPPED: {name}: {end}");
    }
    assert!(end.verdict == Verdict::InOrder, "{name}: isolated: {end}");
    let no_controls = std::env::var_os(CONTROLS).is_some_and(|value| value == "none");
    let control = if no_controls { Control::None } else { case.control };
    let (placement, must_hold) = match control {
        Control::None => return println!("{name}: isolated: {end}"),
        Control::Fails(placement) => (placement, false),
        Control::Holds(placement) => (placement, true),
    };
    let mut control = child(case.name, placement);
    // Which worker runs what is a matter of chance, so a control may need more than one try to fail.
    for _ in 0..4 {
        if must_hold || control.verdict != Verdict::InOrder {
            break;
        }
        control = child(case.name, placement);
    }
    let placement = placement.name();
    println!("{name}: isolated: {end}; {placement}: {control}");
    assert!(control.verdict != Verdict::Meaningless, "{name}: {placement}: {control}");
    match must_hold {
        true => assert!(control.verdict == Verdict::InOrder, "{name}: {placement}: {control}"),
        false => assert!(
            control.verdict != Verdict::InOrder,
            "{name}: the control ({placement}) does not fail, so the case shows nothing"
        ),
    }
}

// ---- the parent's side ---------------------------------------------------------------------------

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    InOrder,
    Wrong,
    Panicked,
    Crashed(i32),
    Hangs,
    Meaningless,
    Skipped,
}

struct End {
    verdict: Verdict,
    words: String,
    took: Duration,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.trim();
        match self.verdict {
            Verdict::InOrder => write!(f, "in order"),
            Verdict::Wrong => write!(f, "wrong"),
            Verdict::Panicked => write!(f, "panics"),
            Verdict::Crashed(signal) => write!(f, "ended by signal {signal}"),
            Verdict::Hangs => write!(f, "hangs"),
            Verdict::Meaningless => write!(f, "says nothing"),
            Verdict::Skipped => write!(f, "nothing was checked"),
        }?;
        write!(f, " ({} ms)", self.took.as_millis())?;
        if words.is_empty() { Ok(()) } else { write!(f, ": {words}") }
    }
}

fn child(name: &str, placement: Placement) -> End {
    let start = Instant::now();
    let mut child = Command::new(std::env::current_exe().expect("the test program"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, placement.name())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut stderr = child.stderr.take().expect("its words");
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        let _ = stderr.by_ref().take(1 << 20).read_to_end(&mut all);
        let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        String::from_utf8_lossy(&all).into_owned()
    });
    let status = loop {
        match child.try_wait().expect("its status") {
            Some(status) => break Some(status),
            None if start.elapsed() < LIMIT => std::thread::sleep(Duration::from_millis(2)),
            None => break None,
        }
    };
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let took = start.elapsed();
    let said = reader.join().expect("a reader");
    let lines: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let words = lines[..lines.len().min(3)].join(" | ");
    End { verdict: status.map_or(Verdict::Hangs, verdict), words, took }
}

fn verdict(status: ExitStatus) -> Verdict {
    match (status.code(), status.signal()) {
        (Some(0), _) => Verdict::InOrder,
        (Some(WRONG), _) => Verdict::Wrong,
        (Some(HANGS), _) => Verdict::Hangs,
        (Some(MEANINGLESS), _) => Verdict::Meaningless,
        (Some(SKIPPED), _) => Verdict::Skipped,
        (_, Some(signal)) => Verdict::Crashed(signal),
        _ => Verdict::Panicked,
    }
}

// ---- the child's side ----------------------------------------------------------------------------

/// What goroutines have done so far: while it grows, nothing hangs.
static PROGRESS: AtomicU64 = AtomicU64::new(0);
/// Panics that are part of the case are not reported.
static QUIET: AtomicBool = AtomicBool::new(false);

fn live(case: &Case, placement: Placement) -> ! {
    // SAFETY: a limit of this process: a control's crash leaves no file.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 }) };
    std::panic::set_hook(Box::new(|info| {
        if !QUIET.load(Relaxed) || !info.payload().is::<Expected>() {
            end(PANICKED, &info.to_string());
        }
    }));
    let isolated = placement == Placement::Isolated;
    let patience = if isolated { OWN_PATIENCE } else { CONTROL_PATIENCE };
    std::thread::spawn(move || watch(patience));
    let rounds = std::env::var(ROUNDS).map_or(1, |text| text.parse().expect("a number of rounds"));
    for _ in 0..rounds {
        (case.body)(placement);
    }
    end(0, "");
}

/// A payload that the case itself throws.
pub struct Expected(pub u64);

pub fn expect_panics() {
    QUIET.store(true, Relaxed);
}

pub fn progress() {
    PROGRESS.fetch_add(1, Relaxed);
}

fn watch(patience: Duration) {
    let mut seen = (PROGRESS.load(Relaxed), Instant::now());
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let now = PROGRESS.load(Relaxed);
        if now != seen.0 {
            seen = (now, Instant::now());
        } else if seen.1.elapsed() > patience {
            end(HANGS, &format!("no progress for {patience:?}"));
        }
    }
}

/// Ends the child at once: what has gone wrong may have broken everything else.
fn end(code: i32, words: &str) -> ! {
    let words = format!("{words}\n");
    // SAFETY: bytes of this frame; ends the process.
    unsafe {
        libc::write(2, words.as_ptr().cast(), words.len());
        libc::_exit(code)
    }
}

/// The case has seen what must not be.
#[cold]
#[track_caller]
pub fn wrong(what: fmt::Arguments<'_>) -> ! {
    let place = std::panic::Location::caller();
    end(WRONG, &format!("{}:{}: {what}", place.file(), place.line()))
}

/// The case has not done what it needs to show anything.
#[cold]
pub fn meaningless(why: fmt::Arguments<'_>) -> ! {
    end(MEANINGLESS, &why.to_string())
}

/// This machine lacks what the case needs.
pub fn skip(why: fmt::Arguments<'_>) -> ! {
    end(SKIPPED, &why.to_string())
}

/// `check!(condition, "what must be so")`.
macro_rules! check {
    ($condition:expr, $($what:tt)+) => {
        if !$condition {
            $crate::harness::wrong(format_args!($($what)+));
        }
    };
}

/// `same!(left, right, "what")`.
macro_rules! same {
    ($left:expr, $right:expr, $($what:tt)+) => {
        match (&$left, &$right) {
            (left, right) => if left != right {
                $crate::harness::wrong(format_args!(
                    "{}: {left:?} instead of {right:?}", format_args!($($what)+)
                ));
            }
        }
    };
}

pub(crate) use {check, same};
