//! Story: what a ledger holds of a run: who took part, and what happened.
//! Checked by: proptests/model/main.rs.

use std::panic::Location;

/// Where something happened in the user's program.
pub type Place = &'static Location<'static>;

/// What is wrong with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Everybody waits.
    Deadlock,
    /// A panic that nobody took.
    Panic,
    /// Somebody waits after the end of the program.
    Leak,
    /// A message was dropped with its channel.
    LostValue,
    /// The run is beyond what the checker can do.
    Limit,
}

/// A thing that goroutines share, by kind and by number.
pub type Object = (&'static str, u32);

/// What a goroutine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Began an operation.
    Op(&'static str, Option<Object>),
    /// The operation ended so.
    Says(&'static str),
    /// Waits for the operation to end.
    Waits,
    /// Waits no longer.
    GoesOn,
    /// Panicked.
    Panics(String),
    /// Its closure has returned.
    Ends,
    /// Nobody's doing: so many nanoseconds have passed.
    Time(u64),
}

/// One entry of the history.
#[derive(Clone, Debug)]
pub struct Event {
    /// The goroutine's id; 0 for the clock.
    pub who: u32,
    /// What it did.
    pub what: What,
    /// Where.
    pub place: Option<Place>,
}

/// A goroutine of the run.
#[derive(Clone, Debug)]
pub struct Person {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Where it was spawned; the first one was not.
    pub spawned: Option<Place>,
    /// Whether it runs, waits or has ended.
    pub state: State,
    /// The operation that it is in.
    pub doing: Option<Event>,
}

/// What a goroutine is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or could.
    Running,
    /// It waits for somebody.
    Waiting,
    /// Its closure has returned.
    Ended,
}

/// A whole run, as far as it went.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The goroutine with id `n` is at `n - 1`.
    pub people: Vec<Person>,
    /// What happened, without the `forgotten` first steps.
    pub events: Vec<Event>,
    /// How much of the history is no longer kept.
    pub forgotten: usize,
    /// A number that two runs share if the same happened in both.
    pub digest: u64,
}

/// A run that failed.
#[derive(Debug)]
pub struct Record {
    /// How.
    pub kind: Kind,
    /// In a sentence.
    pub message: String,
    /// What had happened.
    pub run: Run,
}

/// What the user asked to be a failure, or not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// A message dropped with its channel is one.
    pub forbid_lost_values: bool,
    /// As many model threads as the checker can run.
    pub most_threads: Option<u32>,
    /// Operations and turns of a run, where the ledger counts them.
    pub most_steps: Option<usize>,
}
