//! Record: the contents of a log, which are the goroutines that took part in a run and the events of the run.
//! Checked by: proptests/model/main.rs.

use super::Holder;
use std::panic::Location;

/// The location in the user's program at which something happened.
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
    /// A message was dropped with its channel, before any goroutine received it.
    LostValue,
    /// The run is beyond what the checker can do.
    Limit,
}

/// Identifies a thing that goroutines share by its kind and its number.
pub type Object = (&'static str, u32);

/// What a goroutine did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The goroutine began an operation.
    Op(&'static str, Option<Object>),
    /// The goroutine began an operation on several things. Each thing is listed with what would be done to it.
    Select(&'static str, Vec<(Object, &'static str)>),
    /// The operation will be done on this thing.
    Chooses(Option<Object>, &'static str),
    /// The operation ended with this result.
    Says(&'static str),
    /// The goroutine waits for the operation to end.
    Waits,
    /// The goroutine no longer waits.
    GoesOn,
    /// The goroutine panicked.
    Panics(String),
    /// The goroutine's closure has returned.
    Ends,
    /// So many nanoseconds have passed. This is an event of the clock, not of a goroutine.
    Time(u64),
}

/// One entry of the history.
#[derive(Clone, Debug)]
pub struct Event {
    /// The goroutine's id, or 0 for the clock.
    pub who: u32,
    /// What the goroutine did.
    pub what: What,
    /// The location in the user's program.
    pub place: Option<Place>,
}

/// A goroutine of the run.
#[derive(Clone, Debug)]
pub struct GoroutineRecord {
    /// The goroutine's name, if it has one.
    pub name: Option<String>,
    /// The location where the goroutine was spawned. The first goroutine has none, because it was not spawned.
    pub spawned: Option<Place>,
    /// Whether the goroutine runs, waits or has ended.
    pub state: State,
    /// The operation that the goroutine has begun and not ended.
    pub doing: Option<Event>,
    /// The number of the runtime in which the goroutine was spawned, or 0 for the program's own runtime.
    pub runtime: u32,
}

/// The state of a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The goroutine runs or can run.
    Running,
    /// The goroutine waits for another goroutine.
    Waiting,
    /// The goroutine's closure has returned.
    Ended,
}

/// A run, up to its end or its failure.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The goroutine with id `n` is at `n - 1`.
    pub goroutines: Vec<GoroutineRecord>,
    /// The history, without its first `forgotten` steps.
    pub events: Vec<Event>,
    /// The number of steps at the start of the history that are no longer kept.
    pub forgotten: usize,
    /// Locks that are held.
    pub held: Vec<Holder>,
    /// A digest of the history. Two runs in which the same happened have the same digest.
    pub digest: u64,
}

/// The number of steps of the history that are kept, at least.
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
    /// The kind of the failure.
    pub kind: Kind,
    /// A sentence that describes the failure.
    pub message: String,
    /// The run up to the failure.
    pub run: Run,
}

/// The user's choice of what counts as a failure, and the limits of the checker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Whether a message that is dropped with its channel is a failure.
    pub forbid_lost_values: bool,
    /// The greatest number of model threads that the checker can run.
    pub most_threads: Option<u32>,
    /// The greatest number of operations and turns in a run, if the log counts them.
    pub most_steps: Option<usize>,
}
