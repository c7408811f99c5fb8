//! Log: what happens in one checked run, as it happens; and what ends the run.

use super::place;
use super::place::with;
use super::record::{Event, GoroutineRecord, Kind, Object, Place, Record, Rules, Run, State, What};
use super::runtimes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

pub(super) struct RunLog {
    /// Which run of all in this process.
    pub(super) number: u64,
    rules: Rules,
    tell: Sender<Record>,
    pub(super) run: Run,
    running: usize,
    /// Waits that a time-out will end.
    timed: usize,
    threads: u32,
    /// How many steps were taken so far.
    steps: usize,
    objects: HashMap<usize, Object>,
    counts: HashMap<&'static str, u32>,
    /// What a checker's own panic means. It is told as soon as the checker's hook has returned.
    verdict: Option<(Kind, String)>,
    /// Panics that the hook saw, and that have not ended a goroutine yet.
    panics: Vec<(String, String)>,
    /// Runtimes that the program has built: whether a panic in each aborts.
    pub(super) runtimes: Vec<bool>,
}

/// How many kernel threads have an open log.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Returns whether any kernel thread of the process has a log. This is a hint that saves the others a look.
#[inline]
pub fn any_open() -> bool {
    // Relaxed: the thread that has one sees its own store.
    OPEN.load(Ordering::Relaxed) != 0
}

/// Returns whether this kernel thread has a log.
pub fn is_open() -> bool {
    any_open() && with(|_| ()).is_some()
}

/// Where a run tells of its failure, and where that is heard; nothing comes if it has none.
pub fn ear() -> (Sender<Record>, Receiver<Record>) {
    channel()
}

/// Begins a run on this kernel thread. The receiver at the other end of `tell` hears of its failure.
pub fn open(rules: Rules, tell: Sender<Record>) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let log = RunLog {
        // Relaxed: a number.
        number: RUNS.fetch_add(1, Ordering::Relaxed),
        rules,
        tell,
        run: Run::begin(),
        running: 0,
        timed: 0,
        threads: 0,
        steps: 0,
        objects: HashMap::new(),
        counts: HashMap::new(),
        verdict: None,
        panics: Vec::new(),
        runtimes: Vec::new(),
    };
    if place::put(log) {
        // Relaxed: see `any_open`.
        OPEN.fetch_add(1, Ordering::Relaxed);
    }
}

/// Ends the run.
pub fn close() -> Option<Run> {
    let log = place::take()?;
    // Relaxed: see `any_open`.
    OPEN.fetch_sub(1, Ordering::Relaxed);
    Some(log.run)
}

/// Counts one more model thread; fails the run if the checker can't run so many.
pub fn thread(what: &str) {
    let refused = with(|log| {
        log.threads += 1;
        log.rules.most_threads.is_some_and(|most| log.threads > most)
    });
    if refused == Some(true) {
        fail(
            Kind::Limit,
            format!(
                "loom explores at most 5 threads, the program's own counted in, and {what} would be \
                 one more: check a smaller program, or explore this one with \
                 `selvedge::model::random`"
            ),
        );
    }
}

/// Tells that a goroutine was spawned; returns its id.
pub fn spawned(by: u32, name: Option<&str>, place: Option<Place>) -> u32 {
    with(|log| {
        let runtime = log.goroutine(by).map_or(0, |record| record.runtime);
        let record = GoroutineRecord {
            name: name.map(str::to_owned),
            spawned: place,
            state: State::Running,
            doing: None,
            runtime,
        };
        log.run.goroutines.push(record);
        log.running += 1;
        let id = log.run.goroutines.len() as u32;
        if by != 0 {
            log.push(by, What::Op("spawn", Some(("goroutine", id))), place);
        }
        id
    })
    .unwrap_or(0)
}

/// Tells that a goroutine begins a public operation.
pub fn op(who: u32, what: What, place: Option<Place>) {
    step();
    with(|log| {
        let doing = log.push(who, what, place).clone();
        if let Some(record) = log.goroutine(who) {
            record.doing = Some(doing);
        }
    });
}

/// Returns what is said of an execution without an end.
pub(crate) const TOO_MANY_STEPS: &str = "an execution took more steps than it may: a loop that waits for \
    nobody? Let it park, or raise the limit with `Check::steps`";

/// Counts one more step of the run, which may be one too many. That is told here, where nothing unwinds yet and
/// no lock is held. A checker's own limit is met in a panic hook, and a stopped thread would keep the hook's
/// lock.
pub fn step() {
    raise_deferred_failure();
    let beyond = with(|log| {
        log.steps += 1;
        log.rules.most_steps.is_some_and(|most| log.steps > most)
    });
    if beyond == Some(true) {
        fail(Kind::Limit, TOO_MANY_STEPS.to_owned());
    }
}

/// Tells how the operation ended, if that is worth a word.
pub fn says(who: u32, outcome: &'static str) {
    with(|log| log.note(who, What::Says(outcome)));
}

/// Tells which of the things that a select waits for was first, and what is done to it.
pub fn chooses(who: u32, object: Option<Object>, part: &'static str) {
    with(|log| log.note(who, What::Chooses(object, part)));
}

/// Tells that a thing was made at `address`: a later thing at the same address is another.
pub fn made(kind: &'static str, address: usize) {
    with(|log| log.number(kind, address));
}

/// Returns the number of the thing at `address`.
pub fn object(kind: &'static str, address: usize) -> Option<Object> {
    with(|log| match log.objects.get(&address) {
        Some(object) if object.0 == kind => *object,
        _ => log.number(kind, address),
    })
}

/// Tells that a goroutine is about to wait until another wakes it. Does not return if none can. [K8]
pub fn sleeps(who: u32) {
    raise_deferred_failure();
    let stuck = with(|log| {
        log.waits(who);
        log.is_stuck()
    });
    if stuck == Some(true) {
        stuck_for_good();
    }
}

/// Tells that a goroutine of a simulation waits until another wakes it, or its time has come.
pub fn waits(who: u32) {
    with(|log| log.waits(who));
}

/// Tells that no goroutine of a simulation can run, and that time will not change this: the run is over. Does
/// not return if a goroutine waits. [K8]
pub fn at_rest() {
    let waiting = with(|log| log.run.goroutines.iter().any(|one| one.state != State::Ended));
    match waiting {
        Some(true) => stuck_for_good(),
        Some(false) => drop(close()),
        None => {}
    }
}

/// Tells that a goroutine was woken, or that its time has come.
pub fn wakes(who: u32) {
    with(|log| {
        let Some(record) = log.goroutine(who) else { return };
        if record.state == State::Waiting {
            record.state = State::Running;
            log.running += 1;
            log.note(who, What::GoesOn);
        }
    });
}

/// Tells that its closure has returned. Does not return if the goroutines left wait for ever. Returns true if
/// it was the last. [K8]
pub fn ended(who: u32) -> bool {
    raise_deferred_failure();
    let end = with(|log| {
        log.ends(who);
        let last = log.run.goroutines.iter().all(|record| record.state == State::Ended);
        (log.is_stuck(), last)
    });
    match end {
        Some((true, _)) => stuck_for_good(),
        Some((_, last)) => last,
        None => true,
    }
}

/// Works like [`ended`], in a simulation, which goes on.
pub fn ends(who: u32) {
    with(|log| log.ends(who));
}

/// Tells that a wait that time can end begins, or is over.
pub fn timed(begins: bool) {
    with(|log| log.timed = if begins { log.timed + 1 } else { log.timed - 1 });
}

/// Tells that time has passed.
pub fn time(nanos: u64) {
    with(|log| log.note(0, What::Time(nanos)));
}

/// Tells that so many messages were dropped with their channel.
pub fn lost(object: Option<Object>, count: usize) {
    if count > 0 && with(|log| log.rules.forbid_lost_values) == Some(true) {
        let (kind, number) = object.unwrap_or(("channel", 0));
        let messages = if count == 1 { "1 message" } else { &format!("{count} messages") };
        fail(Kind::LostValue, format!("{kind} {number} was dropped with {messages} unreceived"));
    }
}

/// Tells that the panic hook saw a panic.
pub fn saw_panic(message: &str, place: String) -> bool {
    with(|log| log.panics.push((message.to_owned(), place))).is_some()
}

/// Fails the run because of a checker's own panic. It is noted in the checker's hook, where a kernel thread
/// that stops would keep the hook's lock. It is told at the next step of any goroutine, or where the panic is
/// caught. Returns false if a panic is noted already: then the code that unwinds has met the checker again, and
/// can't be stopped any more.
pub fn defer_failure(kind: Kind, message: String) -> bool {
    with(|log| log.verdict.replace((kind, message)).is_none()) == Some(true)
}

/// Tells what was noted. Does not return if there was anything.
pub fn raise_deferred_failure() {
    if let Some((kind, message)) = with(|log| log.verdict.take()).flatten() {
        fail(kind, message);
    }
}

/// Tells that a goroutine's closure has panicked.
pub fn panicked(who: u32, message: &str) {
    let seen = with(|log| {
        let seen = log.panics.iter().rposition(|(seen, _)| seen == message)?;
        Some(log.panics.remove(seen))
    });
    let text = match seen.flatten() {
        Some((message, place)) => format!("{message} at {place}"),
        None => message.to_owned(),
    };
    runtimes::note_panic(who, text, message);
}

/// Works like [`panicked`], where only the hook has seen the message: in a simulation no goroutine runs between a panic
/// and the end of its goroutine. Returns the message.
pub fn died(who: u32) -> String {
    let (message, place) = with(|log| log.panics.pop()).flatten().unwrap_or_default();
    runtimes::note_panic(who, format!("{message} at {place}"), &message);
    message
}

/// Returns whether no goroutine runs, and no time-out will make one run.
fn stuck_for_good() -> ! {
    let over =
        with(|log| log.run.goroutines.first().is_some_and(|main| main.state == State::Ended));
    if over == Some(true) {
        fail(Kind::Leak, "the program has ended, and nobody will wake those who wait".to_owned())
    }
    let itself = with(|log| log.run.waits_for_itself()).flatten();
    let nobody = || "everybody waits, and nobody will wake them".to_owned();
    fail(Kind::Deadlock, itself.unwrap_or_else(nobody))
}

/// Tells that the run has failed, and stops the kernel thread for good. [K8]
pub fn fail(kind: Kind, message: String) -> ! {
    if let Some(log) = place::take() {
        // Relaxed: see `any_open`.
        OPEN.fetch_sub(1, Ordering::Relaxed);
        let _ = log.tell.send(Record { kind, message, run: log.run });
    }
    loop {
        std::thread::park();
    }
}

impl RunLog {
    pub(super) fn goroutine(&mut self, who: u32) -> Option<&mut GoroutineRecord> {
        self.run.goroutines.get_mut((who as usize).checked_sub(1)?)
    }

    fn is_stuck(&self) -> bool {
        let waiting = self.run.goroutines.iter().any(|record| record.state == State::Waiting);
        self.running == 0 && self.timed == 0 && waiting
    }

    fn waits(&mut self, who: u32) {
        let Some(record) = self.goroutine(who) else { return };
        if record.state == State::Running {
            record.state = State::Waiting;
            self.running -= 1;
            self.note(who, What::Waits);
        }
    }

    fn ends(&mut self, who: u32) {
        let Some(record) = self.goroutine(who) else { return };
        record.state = State::Ended;
        self.running -= 1;
        self.note(who, What::Ends);
    }

    fn number(&mut self, kind: &'static str, address: usize) -> Object {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        self.objects.insert(address, (kind, *count));
        (kind, *count)
    }

    pub(super) fn note(&mut self, who: u32, what: What) {
        self.push(who, what, None);
    }

    fn push(&mut self, who: u32, what: What, place: Option<Place>) -> &Event {
        self.run.push(Event { who, what, place })
    }
}
