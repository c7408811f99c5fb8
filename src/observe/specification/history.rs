//! History: the events that were told, in the order of telling, and the report that ends the process when a rule was
//! broken.
//! Checked by: src/observe/specification/tests.rs.

use super::bounded_wait::Line;
use super::event::{Doing, Event, Place};
use super::permits::Permits;
use super::{Key, workers};
use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Display, Write};

/// How many events of each goroutine, and of each worker, a report shows.
const KEPT: usize = 24;

/// A rule of the specification does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) invariant: &'static str,
    pub(super) what: String,
    pub(super) goroutine: Option<Key>,
    pub(super) worker: Option<u32>,
}

/// The state of a goroutine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Where {
    /// The goroutine is runnable and in the hands of a thread at work: it is new, or between two queues.
    #[default]
    InHands,
    Queued(Place),
    /// The goroutine's stack is in use.
    Running(u32),
    /// The goroutine is off its stack after `park`. It is not runnable until a thread queues it.
    Parked,
    Ended,
}

/// A goroutine.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) at: Where,
    pub(super) home: Option<u32>,
    pub(super) joined: bool,
    pub(super) permits: Permits,
    /// The time at which the goroutine was last queued.
    pub(super) queued: u64,
    /// The time at which the goroutine last left its stack.
    pub(super) left: u64,
    /// The worker that resumed the goroutine last.
    pub(super) worker: Option<u32>,
    pub(super) history: VecDeque<(u64, Event)>,
}

/// The state of the specification; see the module's documentation.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The number of events that were told so far.
    pub(super) now: u64,
    pub(super) goroutines: HashMap<Key, Record>,
    pub(super) workers: Vec<workers::Worker>,
    pub(super) processors: Vec<workers::Processor>,
    pub(super) global_queue: Line,
    /// How many plain threads and goroutines are at work on the queues.
    pub(super) acting: usize,
    /// Runnable goroutines that are in no queue.
    pub(super) in_hands: usize,
    /// Goroutines that are about to become runnable by their deadline.
    pub(super) expiring: usize,
    /// How many goroutines have not ended.
    pub(super) live: usize,
    pub(super) active: u32,
    pub(super) starved: bool,
    pub(super) stopping: bool,
    pub(super) stopped: bool,
}

impl History {
    /// Reports that the invariant does not hold for this goroutine.
    pub(super) fn breach(
        &self,
        invariant: &'static str,
        goroutine: Key,
        what: impl Display,
    ) -> Result<(), Breach> {
        let record = self.goroutines.get(&goroutine);
        let number = record.map_or(0, |record| record.number);
        let what = format!("goroutine {number} {what}");
        let worker = record.and_then(|record| record.worker);
        Err(Breach { invariant, what, goroutine: Some(goroutine), worker })
    }

    /// Reports that the invariant does not hold for this worker.
    pub(super) fn breach_of(
        &self,
        invariant: &'static str,
        worker: Option<u32>,
        what: String,
    ) -> Result<(), Breach> {
        Err(Breach { invariant, what, goroutine: None, worker })
    }

    pub(super) fn write(&mut self, goroutine: Key, event: Event) {
        self.now += 1;
        let record = self.goroutines.entry(goroutine).or_default();
        keep(&mut record.history, (self.now, event));
    }

    pub(super) fn write_doing(&mut self, doing: Doing) {
        self.now += 1;
        let now = self.now;
        if let Some(id) = doing.worker() {
            keep(&mut self.worker(id).history, (now, doing));
        }
    }

    /// Prints the breach and the events before it, and ends the process.
    #[cold]
    pub(super) fn report(&self, breach: &Breach) -> ! {
        let mut text = String::new();
        let _ = self.tell(breach, &mut text);
        use std::io::Write;
        let _ = std::io::stderr().write_all(text.as_bytes());
        std::process::abort();
    }

    pub(super) fn tell(&self, breach: &Breach, text: &mut String) -> fmt::Result {
        let Breach { invariant, what, goroutine, worker } = breach;
        writeln!(text, "selvedge: specification: {invariant} is broken: {what}")?;
        if let Some(record) = goroutine.and_then(|key| self.goroutines.get(&key)) {
            writeln!(text, "  goroutine {}, its last events:", record.number)?;
            for (at, event) in &record.history {
                writeln!(text, "    #{at} {event}")?;
            }
        }
        for (id, other) in self.workers.iter().enumerate() {
            if worker.is_none_or(|worker| worker as usize == id) && !other.history.is_empty() {
                writeln!(text, "  worker {id}, {:?}, its last events:", other.at)?;
                for (at, event) in &other.history {
                    writeln!(text, "    #{at} {event:?}")?;
                }
            }
        }
        let runnable = self.goroutines.values().filter(|record| record.at.is_runnable()).count();
        let (live, acting) = (self.live, self.acting);
        writeln!(
            text,
            "  at event #{}: {live} goroutines, {runnable} of them runnable; {acting} others at \
             work; processors {:?}",
            self.now,
            self.processors.iter().map(|processor| processor.holder).collect::<Vec<_>>()
        )
    }
}

impl Where {
    pub(super) fn is_runnable(self) -> bool {
        matches!(self, Where::InHands | Where::Queued(_))
    }
}

fn keep<T>(history: &mut VecDeque<T>, event: T) {
    if history.len() == KEPT {
        history.pop_front();
    }
    history.push_back(event);
}
