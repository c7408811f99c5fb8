//! Runtimes: which goroutines of a run belong to a runtime that the program itself has built. A goroutine
//! belongs to the runtime of the goroutine that spawned it.
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
    /// Whether it waits for another goroutine.
    pub waits: bool,
    /// Where its current operation is in the program.
    pub place: Option<Place>,
}

/// Tells that the program builds a runtime, in which a panic aborts or does not. Returns `None` outside of a
/// run.
pub fn runtime(aborts: bool) -> Option<RuntimeId> {
    with(|log| {
        log.runtimes.push(aborts);
        RuntimeId { run: log.number, number: log.runtimes.len() as u32 }
    })
}

/// Returns the number of the run that belongs to this kernel thread.
pub fn this_run() -> Option<u64> {
    with(|log| log.number)
}

/// Tells that `who` belongs to that runtime from now on; returns the number of the runtime before.
pub fn belongs(who: u32, runtime: u32) -> u32 {
    let change = |record: &mut crate::observe::run_log::GoroutineRecord| {
        std::mem::replace(&mut record.runtime, runtime)
    };
    with(|log| log.goroutine(who).map(change)).flatten().unwrap_or(0)
}

/// Returns how many goroutines that runtime has had, and those of them that have not ended.
pub fn left_of(runtime: u32) -> (u64, Vec<Left>) {
    with(|log| {
        let own = || log.run.goroutines.iter().zip(1..).filter(|(one, _)| one.runtime == runtime);
        let left = own().filter(|(record, _)| record.state != State::Ended);
        let left = left.map(|(record, id)| Left {
            id,
            name: record.name.clone(),
            waits: record.state == State::Waiting,
            place: record.doing.as_ref().and_then(|event| event.place),
        });
        (own().count() as u64, left.collect())
    })
    .unwrap_or_default()
}

/// Returns whether a panic of `who` would abort the process.
pub(super) fn aborts(log: &mut crate::observe::run_log::RunLog, who: u32) -> bool {
    let runtime = log.goroutine(who).map_or(0, |record| record.runtime);
    runtime.checked_sub(1).is_some_and(|at| log.runtimes[at as usize])
}

/// Notes a panic. Does not return where that would abort the process.
pub(super) fn note_panic(who: u32, text: String, message: &str) {
    crate::observe::run_log::raise_deferred_failure();
    let aborts = with(|log| {
        log.note(who, What::Panics(text));
        aborts(log, who)
    });
    if aborts == Some(true) {
        let policy = "its runtime's policy is to abort";
        crate::observe::run_log::fail(
            crate::observe::run_log::Kind::Panic,
            format!("goroutine {who} panicked, and {policy}: {message}"),
        );
    }
}
