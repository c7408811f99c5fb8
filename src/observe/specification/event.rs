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
    /// The bound queue of a worker, which holds goroutines that are bound to the worker.
    BoundQueue(u32),
    /// The remote queue of a worker, which holds bound goroutines that other threads made runnable.
    RemoteQueue(u32),
}

/// What happens to a goroutine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The goroutine exists from now on, under this number.
    Spawned(u64),
    /// The goroutine resumes only on this worker from now on, or on any worker.
    Home(Option<u32>),
    /// The goroutine is about to be put into that queue.
    Queued(Place),
    /// The goroutine was taken from that queue.
    Taken(Place),
    /// The worker is about to switch to the goroutine's stack.
    Resumed(u32),
    /// The goroutine has called `park`.
    Parks(&'static Location<'static>),
    /// The goroutine is about to switch away from its stack.
    Suspends(&'static Location<'static>),
    /// The goroutine's switch is finished. The worker tells so on its own stack. If the goroutine passed on directly
    /// to the next goroutine, that next goroutine tells so on its stack.
    Left { worker: u32, parks: bool },
    /// A thread or goroutine is about to give a permit to the goroutine.
    Unparks,
    /// A thread or goroutine has given a permit, and has done all that follows from it.
    UnparkAction,
    /// The deadline of the goroutine's park is about to make it runnable.
    Expires,
    /// The deadline of the goroutine's park did not make it runnable.
    Expired,
    /// The goroutine has consumed its permit.
    Permit,
    /// A blocking section begins, or ends.
    Blocks(bool),
    /// The goroutine's stack and its result are no longer needed.
    Exited,
    /// The goroutine's result was taken.
    Joined,
}

/// What happens to workers and processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// A kernel thread has taken the worker's slot.
    Seated(u32),
    /// The worker chooses the next goroutine.
    Decides { worker: u32, processor: u32 },
    /// The worker has found nothing else, so the goroutine that yields continues.
    Stays(u32),
    /// The worker counts as a sleeper, and will look for work once more.
    AboutToSleep(u32),
    /// The worker has looked for work, and sleeps.
    Sleeps(u32),
    /// The worker waits in line for a processor.
    Queues(u32),
    /// The worker has learnt that its processor was retaken.
    Returned(u32),
    /// The worker's kernel thread ends, or never existed.
    Vacated(u32),
    /// The processor belongs to that worker, or to none.
    Held { processor: u32, by: Option<u32> },
    /// The processor is among the idle ones.
    Idle(u32),
    /// The processor was taken from a worker in user code. `hog` is true if the goroutine there is CPU-bound.
    Retaken { worker: u32, processor: u32, cpu_bound: bool },
    /// At most so many processors may be held at a time.
    Active(u32),
    /// A thread start is pending, so that work may have to wait for the monitor, or is no longer pending.
    Starved(bool),
    /// The runtime is about to stop.
    Stopping,
    /// The last worker of the runtime has stopped.
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
