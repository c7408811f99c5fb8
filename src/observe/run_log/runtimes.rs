//! Runtimes: which goroutines of a run belong to a runtime that the program itself has built. Whatever a
//! goroutine spawns belongs where it does.
//! Checked by: proptests/model/runtimes.rs.

use super::{Place, State, What, with};

/// A runtime that a program has built, by the numbers of the run and its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeId {
    /// Which run of all in this process.
    pub run: u64,
    /// Which of that run's runtimes.
    pub number: u32,
}

/// A goroutine that has not ended.
#[derive(Clone, Debug)]
pub struct Left {
    /// Its id.
    pub id: u32,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Whether it waits for somebody.
    pub waits: bool,
    /// Where it does what it does.
    pub place: Option<Place>,
}

/// The program builds a runtime, in which a panic aborts or does not. `None` outside of a run.
pub fn runtime(aborts: bool) -> Option<RuntimeId> {
    with(|ledger| {
        ledger.runtimes.push(aborts);
        RuntimeId { run: ledger.number, number: ledger.runtimes.len() as u32 }
    })
}

/// The number of the run that this kernel thread is at.
pub fn this_run() -> Option<u64> {
    with(|ledger| ledger.number)
}

/// `who` belongs to that runtime from now on; the number of the one before.
pub fn belongs(who: u32, runtime: u32) -> u32 {
    let change = |person: &mut crate::observe::run_log::GoroutineRecord| {
        std::mem::replace(&mut person.runtime, runtime)
    };
    with(|ledger| ledger.person(who).map(change)).flatten().unwrap_or(0)
}

/// How many goroutines that runtime has had, and those of them that have not ended.
pub fn left_of(runtime: u32) -> (u64, Vec<Left>) {
    with(|ledger| {
        let own = || ledger.run.people.iter().zip(1..).filter(|(one, _)| one.runtime == runtime);
        let left = own().filter(|(person, _)| person.state != State::Ended);
        let left = left.map(|(person, id)| Left {
            id,
            name: person.name.clone(),
            waits: person.state == State::Waiting,
            place: person.doing.as_ref().and_then(|event| event.place),
        });
        (own().count() as u64, left.collect())
    })
    .unwrap_or_default()
}

/// Whether a panic of `who` would abort the process.
pub(super) fn aborts(ledger: &mut crate::observe::run_log::Ledger, who: u32) -> bool {
    let runtime = ledger.person(who).map_or(0, |person| person.runtime);
    runtime.checked_sub(1).is_some_and(|at| ledger.runtimes[at as usize])
}

/// Notes a panic. Does not return where that would abort the process.
pub(super) fn note_panic(who: u32, text: String, message: &str) {
    crate::observe::run_log::raise_deferred_failure();
    let aborts = with(|ledger| {
        ledger.note(who, What::Panics(text));
        aborts(ledger, who)
    });
    if aborts == Some(true) {
        let policy = "its runtime's policy is to abort";
        crate::observe::run_log::fail(
            crate::observe::run_log::Kind::Panic,
            format!("goroutine {who} panicked, and {policy}: {message}"),
        );
    }
}
