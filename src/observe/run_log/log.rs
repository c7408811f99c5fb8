//! Log: records what happens in one checked run, while it happens, and what ends the run.

use super::place;
use super::place::with;
use super::record::{Event, GoroutineRecord, Kind, Object, Place, Record, Rules, Run, State, What};
use super::runtimes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

pub(super) struct RunLog {
    /// The number of this run among all runs of the process.
    pub(super) number: u64,
    rules: Rules,
    tell: Sender<Record>,
    pub(super) run: Run,
    running: usize,
    /// The number of waits that a time-out will end.
    timed: usize,
    threads: u32,
    /// The number of steps so far.
    steps: usize,
    objects: HashMap<usize, Object>,
    counts: HashMap<&'static str, u32>,
    /// The meaning of a checker's own panic. The failure is told as soon as the checker's hook has returned.
    verdict: Option<(Kind, String)>,
    /// Panics that the hook saw, and that have not ended a goroutine yet.
    panics: Vec<(String, String)>,
    /// For each runtime that the program has built: whether a panic in it aborts.
    pub(super) runtimes: Vec<bool>,
}

/// How many kernel threads have an open log.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Returns whether any kernel thread of the process has a log. This hint saves the other threads a lookup.
#[inline]
pub fn any_open() -> bool {
    // Relaxed: a thread that has a log sees its own store.
    OPEN.load(Ordering::Relaxed) != 0
}

/// Returns whether this kernel thread has a log.
pub fn is_open() -> bool {
    any_open() && with(|_| ()).is_some()
}

/// Makes the channel on which a run tells of its failure. If the run has no failure, nothing is sent.
pub fn ear() -> (Sender<Record>, Receiver<Record>) {
    channel()
}

/// Begins a run on this kernel thread. If the run fails, the failure is sent to `tell`.
pub fn open(rules: Rules, tell: Sender<Record>) {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    let log = RunLog {
        // Relaxed: the number only has to be unique.
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

/// Counts one more model thread. Fails the run if the checker cannot run so many threads.
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

/// Records that a goroutine was spawned. Returns its id.
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

/// Records that a goroutine begins a public operation.
pub fn op(who: u32, what: What, place: Option<Place>) {
    step();
    with(|log| {
        let doing = log.push(who, what, place).clone();
        if let Some(record) = log.goroutine(who) {
            record.doing = Some(doing);
        }
    });
}

/// Returns the message for an execution that does not end.
pub(crate) const TOO_MANY_STEPS: &str = "an execution took more steps than it may: a loop that waits for \
    nobody? Let it park, or raise the limit with `Check::steps`";

/// Counts one more step of the run, and fails the run if there are too many. The failure is told here, where nothing
/// unwinds yet and no lock is held. A checker's own limit would be met in a panic hook, and a thread that stops there
/// would keep the hook's lock.
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

/// Records how the operation ended, if that is worth a report.
pub fn says(who: u32, outcome: &'static str) {
    with(|log| log.note(who, What::Says(outcome)));
}

/// Records which of a select's things was first, and what is done to it.
pub fn chooses(who: u32, object: Option<Object>, part: &'static str) {
    with(|log| log.note(who, What::Chooses(object, part)));
}

/// Records that a thing was made at `address`, so that it is not taken for an earlier thing at this address.
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

/// Records that a goroutine is about to wait until another goroutine wakes it. Does not return if no goroutine can
/// run. [K8]
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

/// Records that a goroutine of a simulation waits until another goroutine wakes it, or its deadline has passed.
pub fn waits(who: u32) {
    with(|log| log.waits(who));
}

/// Records that no goroutine of a simulation can run, and that the passing of time will not change this, so the run
/// is over. Does not return if a goroutine waits. [K8]
pub fn at_rest() {
    let waiting = with(|log| log.run.goroutines.iter().any(|one| one.state != State::Ended));
    match waiting {
        Some(true) => stuck_for_good(),
        Some(false) => drop(close()),
        None => {}
    }
}

/// Records that a goroutine was woken, or that its deadline has passed.
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

/// Records that the goroutine's closure has returned. Does not return if the other goroutines wait for ever. Returns
/// true if this was the last goroutine. [K8]
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

/// Works like [`ended`], in a simulation, which then continues.
pub fn ends(who: u32) {
    with(|log| log.ends(who));
}

/// Records that a wait that time can end begins, or is over.
pub fn timed(begins: bool) {
    with(|log| log.timed = if begins { log.timed + 1 } else { log.timed - 1 });
}

/// Records that time has passed.
pub fn time(nanos: u64) {
    with(|log| log.note(0, What::Time(nanos)));
}

/// Records that so many messages were dropped with their channel.
pub fn lost(object: Option<Object>, count: usize) {
    if count > 0 && with(|log| log.rules.forbid_lost_values) == Some(true) {
        let (kind, number) = object.unwrap_or(("channel", 0));
        let messages = if count == 1 { "1 message" } else { &format!("{count} messages") };
        fail(Kind::LostValue, format!("{kind} {number} was dropped with {messages} unreceived"));
    }
}

/// Records that the panic hook saw a panic.
pub fn saw_panic(message: &str, place: String) -> bool {
    with(|log| log.panics.push((message.to_owned(), place))).is_some()
}

/// Fails the run because of a checker's own panic. The panic is noted in the checker's hook, but a kernel thread that
/// stops there would keep the hook's lock. So the failure is told at the next step of any goroutine, or where the
/// panic is caught. Returns false if a panic is noted already. In that case code that unwinds has called the checker
/// again, and the run cannot be stopped any more.
pub fn defer_failure(kind: Kind, message: String) -> bool {
    with(|log| log.verdict.replace((kind, message)).is_none()) == Some(true)
}

/// Tells the failure that was noted. Does not return if one was noted.
pub fn raise_deferred_failure() {
    if let Some((kind, message)) = with(|log| log.verdict.take()).flatten() {
        fail(kind, message);
    }
}

/// Records that a goroutine's closure has panicked.
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

/// Works like [`panicked`], where only the hook has seen the message. In a simulation no goroutine runs between a
/// panic and the end of its goroutine. Returns the message.
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
