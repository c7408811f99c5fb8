//! Record: what a log holds of a run: which goroutines took part, and what happened.
//! Checked by: proptests/model/main.rs.

use super::Holder;
use std::panic::Location;

/// Where something happened in the user's program.
pub type Place = &'static Location<'static>;

/// What is wrong with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Every goroutine waits.
    Deadlock,
    /// A panic that was not caught.
    Panic,
    /// A goroutine waits after the end of the program.
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
    /// As `Op`, on several things, each with what is to be done to it.
    Select(&'static str, Vec<(Object, &'static str)>),
    /// The operation is to be done on this thing.
    Chooses(Option<Object>, &'static str),
    /// The operation ended in this way.
    Says(&'static str),
    /// It waits for the operation to end.
    Waits,
    /// It waits no longer.
    GoesOn,
    /// Panicked.
    Panics(String),
    /// Its closure has returned.
    Ends,
    /// So many nanoseconds have passed, which no goroutine did.
    Time(u64),
}

/// One entry of the history.
#[derive(Clone, Debug)]
pub struct Event {
    /// The goroutine's id; 0 for the clock.
    pub who: u32,
    /// What it did.
    pub what: What,
    /// Where it did so.
    pub place: Option<Place>,
}

/// A goroutine of the run.
#[derive(Clone, Debug)]
pub struct GoroutineRecord {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Where it was spawned; the first goroutine was not spawned.
    pub spawned: Option<Place>,
    /// Whether it runs, waits or has ended.
    pub state: State,
    /// The operation that it is in.
    pub doing: Option<Event>,
    /// The number of the runtime that it was spawned in; 0 if that is the program's own.
    pub runtime: u32,
}

/// The state of a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs, or could.
    Running,
    /// It waits for another goroutine.
    Waiting,
    /// Its closure has returned.
    Ended,
}

/// A whole run, as far as it went.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The goroutine with id `n` is at `n - 1`.
    pub goroutines: Vec<GoroutineRecord>,
    /// What happened, without the `forgotten` first steps.
    pub events: Vec<Event>,
    /// How much of the history is no longer kept.
    pub forgotten: usize,
    /// Locks that are held.
    pub held: Vec<Holder>,
    /// A number that two runs share if the same happened in both.
    pub digest: u64,
}

/// At least so many steps of the history are kept.
const KEPT: usize = 1 << 14;
const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01B3;

impl Run {
    pub(super) fn begin() -> Self {
        Run { digest: FNV_BASIS, ..Run::default() }
    }

    fn mix(&mut self, word: u64) {
        self.digest = (self.digest ^ word).wrapping_mul(FNV_PRIME);
    }

    pub(super) fn push(&mut self, event: Event) -> &Event {
        let (code, text, number) = match &event.what {
            What::Op(verb, object) => (1, *verb, object.map_or(0, |(_, number)| number.into())),
            What::Says(outcome) => (2, *outcome, 0),
            What::Chooses(object, part) => (9, *part, object.map_or(0, |object| object.1.into())),
            What::Waits => (3, "", 0),
            What::GoesOn => (4, "", 0),
            What::Panics(_) => (5, "", 0),
            What::Ends => (6, "", 0),
            What::Time(nanos) => (7, "", *nanos),
            What::Select(verb, arms) => {
                (8, *verb, arms.iter().map(|(object, _)| u64::from(object.1)).sum())
            }
        };
        let line = event.place.map_or(0, |place| place.line());
        for word in [event.who.into(), code, number, line.into()] {
            self.mix(word);
        }
        text.bytes().for_each(|byte| self.mix(byte.into()));
        if self.events.len() == 2 * KEPT {
            self.events.drain(..KEPT);
            self.forgotten += KEPT;
        }
        self.events.push(event);
        self.events.last().expect("just pushed")
    }
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
    /// Whether a message that is dropped with its channel is a failure.
    pub forbid_lost_values: bool,
    /// As many model threads as the checker can run.
    pub most_threads: Option<u32>,
    /// Operations and turns of a run, where the log counts them.
    pub most_steps: Option<usize>,
}
