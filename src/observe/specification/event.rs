//! Events: what the scheduler tells the specification. docs/specification.md says, for each, where it
//! is told, and before or after which step.
//! Checked by: src/observe/specification/tests.rs.

use std::fmt;
use std::panic::Location;

/// A queue of runnable goroutines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The run queue of a processor.
    RunQueue(u32),
    /// The `run_next` slot of a processor.
    Next(u32),
    /// The global queue.
    GlobalQueue,
    /// The bound queue of a worker: goroutines bound to it.
    BoundQueue(u32),
    /// The remote queue of a worker: goroutines bound to it that others made runnable.
    RemoteQueue(u32),
}

/// What happens to a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The goroutine exists, under this number.
    Spawned(u64),
    /// From now on it resumes on this worker alone, or on any.
    Home(Option<u32>),
    /// It is about to be put into that queue.
    Queued(Place),
    /// It was taken from that queue.
    Taken(Place),
    /// The worker is about to switch to its stack.
    Resumed(u32),
    /// It has called `park`.
    Parks(&'static Location<'static>),
    /// It is about to switch away from its stack.
    Suspends(&'static Location<'static>),
    /// Its switch is finished. The worker tells so on its own stack, or the goroutine that runs next tells so
    /// on its stack, if the goroutine passed on to it directly.
    /// stack.
    Left { worker: u32, parks: bool },
    /// A thread or goroutine is about to give it a permit.
    Unparks,
    /// The giver of a permit has done all that follows from it.
    UnparkAction,
    /// The deadline of its park is about to ready it.
    Expires,
    /// That deadline found nothing to ready.
    Expired,
    /// It has consumed its permit.
    Permit,
    /// A blocking section begins, or ends.
    Blocks(bool),
    /// Its stack and its result are no longer needed.
    Exited,
    /// Its result was taken.
    Joined,
}

/// What happens to workers and processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A kernel thread has taken the worker's slot.
    Seated(u32),
    /// It chooses the next goroutine.
    Decides { worker: u32, processor: u32 },
    /// It has found nothing else, so the goroutine that yields goes on.
    Stays(u32),
    /// It counts as a sleeper, and will look once more.
    AboutToSleep(u32),
    /// It has looked, and sleeps.
    Sleeps(u32),
    /// It waits in line for a processor.
    Queues(u32),
    /// It has learnt that its processor was retaken.
    Returned(u32),
    /// Its kernel thread ends, or never existed.
    Vacated(u32),
    /// The processor belongs to that worker, or to none.
    Held { processor: u32, by: Option<u32> },
    /// The processor is among the idle ones.
    Idle(u32),
    /// It was taken from a worker in user code. `hog` is true if the goroutine there is CPU-bound.
    Retaken { worker: u32, processor: u32, cpu_bound: bool },
    /// So many processors may be held at a time.
    Active(u32),
    /// Work may have to wait for the monitor because a thread start is pending, or no longer.
    Starved(bool),
    /// The runtime is about to stop.
    Stopping,
    /// Its last worker has stopped.
    Stopped,
}

impl Doing {
    /// Returns the worker whose history the event belongs to.
    pub(super) fn worker(self) -> Option<u32> {
        match self {
            Doing::Seated(id)
            | Doing::AboutToSleep(id)
            | Doing::Sleeps(id)
            | Doing::Queues(id)
            | Doing::Returned(id)
            | Doing::Stays(id)
            | Doing::Vacated(id) => Some(id),
            Doing::Decides { worker, .. } | Doing::Retaken { worker, .. } => Some(worker),
            Doing::Held { by, .. } => by,
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::RunQueue(id) => write!(f, "the run queue of processor {id}"),
            Place::Next(id) => write!(f, "run_next of processor {id}"),
            Place::GlobalQueue => f.write_str("the global queue"),
            Place::BoundQueue(id) => write!(f, "the bound queue of worker {id}"),
            Place::RemoteQueue(id) => write!(f, "the remote queue of worker {id}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Spawned(id) => write!(f, "spawned as goroutine {id}"),
            Event::Home(Some(id)) => write!(f, "at home on worker {id}"),
            Event::Home(None) => f.write_str("at home nowhere"),
            Event::Queued(place) => write!(f, "queued in {place}"),
            Event::Taken(place) => write!(f, "taken from {place}"),
            Event::Resumed(id) => write!(f, "resumed by worker {id}"),
            Event::Parks(place) => write!(f, "parks at {place}"),
            Event::Suspends(place) => write!(f, "suspends at {place}"),
            Event::Left { worker, parks: true } => {
                write!(f, "off its stack, to park; worker {worker}")
            }
            Event::Left { worker, .. } => write!(f, "off its stack; worker {worker}"),
            Event::Unparks => f.write_str("an unpark begins"),
            Event::UnparkAction => f.write_str("an unpark ends"),
            Event::Expires => f.write_str("its deadline comes"),
            Event::Expired => f.write_str("its deadline came too late"),
            Event::Permit => f.write_str("consumed its permit"),
            Event::Blocks(true) => f.write_str("a blocking section begins"),
            Event::Blocks(false) => f.write_str("a blocking section ends"),
            Event::Exited => f.write_str("ended"),
            Event::Joined => f.write_str("joined"),
        }
    }
}
