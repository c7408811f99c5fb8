//! Runtimes: which goroutines of a run belong to a runtime that the program itself has built. A goroutine
//! belongs to the runtime of the goroutine that spawned it.
//! Checked by: proptests/model/runtimes.rs.

use super::{Place, State, What, with};

/// A runtime that a program has built, identified by the number of the run and by its number in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeId {
    /// The number of the run among all runs of this process.
    pub run: u64,
    /// The number of the runtime among the runtimes of that run.
    pub number: u32,
}

/// A goroutine that has not ended.
#[derive(Clone, Debug)]
pub struct Left {
    /// The goroutine's id.
    pub id: u32,
    /// The goroutine's name, if it has one.
    pub name: Option<String>,
    /// Whether the goroutine waits for another goroutine.
    pub waits: bool,
    /// The location of the goroutine's current operation in the program.
    pub place: Option<Place>,
}

/// Records that the program builds a runtime, and whether a panic in this runtime aborts. Returns `None` outside of a
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

/// Records that goroutine `who` belongs to that runtime from now on. Returns the number of the runtime that it
/// belonged to before.
pub fn belongs(who: u32, runtime: u32) -> u32 {
    let change = |record: &mut crate::observe::run_log::GoroutineRecord| {
        std::mem::replace(&mut record.runtime, runtime)
    };
    with(|log| log.goroutine(who).map(change)).flatten().unwrap_or(0)
}

/// Returns how many goroutines that runtime has had, and which of these goroutines have not ended.
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

/// Returns whether a panic of goroutine `who` would abort the process.
pub(super) fn aborts(log: &mut crate::observe::run_log::RunLog, who: u32) -> bool {
    let runtime = log.goroutine(who).map_or(0, |record| record.runtime);
    runtime.checked_sub(1).is_some_and(|at| log.runtimes[at as usize])
}

/// Records a panic. Does not return if the panic would abort the process.
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
