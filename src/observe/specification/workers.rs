//! What may happen to workers and processors. These events are told under the lock of the idle-worker registry,
//! except for a worker's own decisions and its last step before it sleeps.
//! [E4] [I3] [I4] [A1] [F2].
//! Checked by: src/observe/specification/tests.rs.

use super::Key;
use super::bounded_wait;
use super::bounded_wait::Line;
use super::event::{Doing, Place};
use super::history::{Breach, History, Where};
use std::collections::VecDeque;

/// The state of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum At {
    /// The worker has no kernel thread.
    #[default]
    Vacant,
    /// The worker is at work in the runtime, or about to learn that it was given a processor.
    RuntimeGuard,
    /// The worker is on a goroutine's stack.
    User,
    /// The worker is a sleeper that will look for work once more.
    AboutToSleep,
    /// The worker is a sleeper that has looked for work.
    Asleep,
    /// The worker is in line for a processor.
    Queueing,
}

#[derive(Debug, Default)]
pub(super) struct Worker {
    pub(super) at: At,
    pub(super) processor: Option<u32>,
    /// The worker's processor was retaken because its goroutine is CPU-bound, and the worker has not waited for a
    /// processor since.
    cpu_bound: bool,
    /// The number of started goroutines that are bound to the worker.
    pub(super) homed: usize,
    pub(super) bound_queue: Line,
    pub(super) remote: Line,
    /// The goroutine whose park the worker last handled, and the time of that, until the worker continues.
    pub(super) settles: Option<(Key, u64)>,
    pub(super) history: VecDeque<(u64, Doing)>,
}

/// The holder of a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Holder {
    #[default]
    Nobody,
    Worker(u32),
    /// The processor belongs to the thread that retook it.
    Retaker,
}

#[derive(Debug, Default)]
pub(super) struct Processor {
    pub(super) holder: Holder,
    pub(super) idle: bool,
    /// Whether the processor was retaken when it last changed hands.
    pub(super) retaken: bool,
    pub(super) run_queue: Line,
    pub(super) next: Line,
}

impl History {
    pub(super) fn doing(&mut self, doing: Doing) -> Result<(), Breach> {
        self.write_doing(doing);
        match doing {
            Doing::Seated(id) => {
                self.worker(id).at = At::RuntimeGuard;
                Ok(())
            }
            Doing::Decides { worker, processor } => self.decides(worker, processor),
            Doing::Stays(id) => {
                self.worker(id).at = At::User;
                self.calm()
            }
            Doing::AboutToSleep(id) => {
                self.waits(id, At::AboutToSleep);
                self.settle_last(id)
            }
            Doing::Sleeps(id) => {
                let worker = self.worker(id);
                if worker.at == At::AboutToSleep {
                    worker.at = At::Asleep;
                }
                self.calm()
            }
            Doing::Queues(id) => self.queues(id),
            Doing::Returned(_) => Ok(()),
            Doing::Vacated(id) => self.vacated(id),
            Doing::Held { processor, by } => self.held(processor, by),
            Doing::Idle(processor) => self.idle(processor),
            Doing::Retaken { worker, processor, cpu_bound } => {
                self.retaken(worker, processor, cpu_bound)
            }
            Doing::Active(active) => {
                self.active = active;
                let gone = self.processors.iter_mut().skip(active as usize);
                gone.for_each(|processor| processor.idle = false);
                Ok(())
            }
            Doing::Starved(starved) => {
                self.starved = starved;
                Ok(())
            }
            Doing::Stopping => {
                self.stopping = true;
                Ok(())
            }
            Doing::Stopped => {
                self.stopped = true;
                Ok(())
            }
        }
    }

    fn waits(&mut self, id: u32, at: At) {
        let worker = self.worker(id);
        worker.at = at;
        worker.cpu_bound = false;
    }

    /// [E4] [F2]
    fn decides(&mut self, id: u32, processor: u32) -> Result<(), Breach> {
        self.settle_last(id)?;
        // If a goroutine is about to pass on to the next goroutine, it decides in place of its worker.
        self.worker(id).at = At::RuntimeGuard;
        if self.processor(processor).holder != Holder::Worker(id) && !self.stopping {
            let what = format!("worker {id} chooses for processor {processor}, which it lacks");
            return self.breach_of("[E4]", Some(id), what);
        }
        let busy = |other: &Worker| matches!(other.at, At::RuntimeGuard | At::AboutToSleep);
        if self.acting > 0 || self.workers.iter().filter(|other| busy(other)).count() > 1 {
            return Ok(());
        }
        match self.overdue(id, processor) {
            Some((goroutine, place)) => {
                let what = format!("waits in {place} for more decisions than it may");
                self.breach("[F2]", goroutine, what)
            }
            None => Ok(()),
        }
    }

    /// Returns a goroutine that has waited too long, at a decision of a worker for a processor.
    fn overdue(&mut self, id: u32, processor: u32) -> Option<(Key, Place)> {
        let goroutines = &self.goroutines;
        let is_there = |place: Place| {
            move |goroutine: Key, queued: u64| {
                let record = goroutines.get(&goroutine);
                record.is_some_and(|r| r.at == Where::Queued(place) && r.queued == queued)
            }
        };
        let mut late = None;
        let mut look = |line: &mut Line, place, who, most: &dyn Fn(usize) -> u64| {
            let overdue = line.overdue(who, most, is_there(place));
            late = late.or(overdue.map(|goroutine| (goroutine, place)));
        };
        let own = &mut self.processors[processor as usize];
        look(&mut own.run_queue, Place::RunQueue(processor), 0, &|_| bounded_wait::RUN_QUEUE);
        look(&mut own.next, Place::Next(processor), 0, &|_| bounded_wait::NEXT);
        let own = &mut self.workers[id as usize];
        look(&mut own.bound_queue, Place::BoundQueue(id), 0, &|_| bounded_wait::RING);
        look(&mut own.remote, Place::RemoteQueue(id), 0, &|_| bounded_wait::REMOTE);
        look(&mut self.global_queue, Place::GlobalQueue, processor, &bounded_wait::global_queue);
        late
    }

    /// [I3]
    fn queues(&mut self, id: u32) -> Result<(), Breach> {
        self.waits(id, At::Queueing);
        self.settle_last(id)?;
        if let Some(idle) = self.processors.iter().position(|p| p.idle)
            && !self.stopping
        {
            let what = format!("worker {id} queues while processor {idle} is idle");
            return self.breach_of("[I3]", Some(id), what);
        }
        self.calm()
    }

    /// Checks that a kernel thread does not end while a goroutine is bound to it. [A1]
    fn vacated(&mut self, id: u32) -> Result<(), Breach> {
        self.waits(id, At::Vacant);
        let homed = self.worker(id).homed;
        if homed > 0 && !self.stopping {
            let what = format!("worker {id} ends, and is home to {homed} goroutines");
            return self.breach_of("[A1]", Some(id), what);
        }
        self.calm()
    }

    /// [I4]
    fn held(&mut self, processor: u32, by: Option<u32>) -> Result<(), Breach> {
        let holder = by.map_or(Holder::Nobody, Holder::Worker);
        let own = self.processor(processor);
        own.idle = false;
        let before = std::mem::replace(&mut own.holder, holder);
        own.retaken = by.is_none() && before == Holder::Retaker;
        if let Holder::Worker(id) = before {
            self.worker(id).processor = None;
        }
        let Some(id) = by else { return Ok(()) };
        if before != Holder::Nobody && !self.stopping {
            let what = format!("worker {id} gets processor {processor}, held by {before:?}");
            return self.breach_of("[I4]", Some(id), what);
        }
        let worker = self.worker(id);
        worker.cpu_bound = false;
        worker.at = At::RuntimeGuard;
        worker.bound_queue.restart();
        worker.remote.restart();
        match worker.processor.replace(processor) {
            None => Ok(()),
            Some(_) if self.stopping => Ok(()),
            Some(other) => {
                let what = format!("worker {id} gets processor {processor} and holds {other}");
                self.breach_of("[I4]", Some(id), what)
            }
        }
    }

    /// [I3]
    fn idle(&mut self, processor: u32) -> Result<(), Breach> {
        self.processor(processor).idle = true;
        match self.workers.iter().position(|worker| worker.at == At::Queueing) {
            None => Ok(()),
            // The workers in line have been told to stop.
            Some(_) if self.stopping => Ok(()),
            Some(id) => {
                let what = format!("processor {processor} is idle while worker {id} queues");
                self.breach_of("[I3]", Some(id as u32), what)
            }
        }
    }

    /// [E4] [H1]
    fn retaken(&mut self, id: u32, processor: u32, cpu_bound: bool) -> Result<(), Breach> {
        let own = self.processor(processor);
        let before = std::mem::replace(&mut own.holder, Holder::Retaker);
        if before != Holder::Worker(id) && !self.stopping {
            let what =
                format!("processor {processor} is retaken from worker {id}; it is {before:?}");
            return self.breach_of("[H1]", Some(id), what);
        }
        let worker = self.worker(id);
        worker.processor = None;
        worker.cpu_bound = cpu_bound;
        let hogs = self.workers.iter().filter(|worker| worker.cpu_bound).count();
        let most = (2 * self.active as usize).max(4);
        if hogs > most {
            let what = format!("{hogs} goroutines compute without a processor, of at most {most}");
            return self.breach_of("[E4]", Some(id), what);
        }
        Ok(())
    }

    pub(super) fn worker(&mut self, id: u32) -> &mut Worker {
        place(&mut self.workers, id)
    }

    pub(super) fn processor(&mut self, id: u32) -> &mut Processor {
        place(&mut self.processors, id)
    }
}

fn place<T: Default>(places: &mut Vec<T>, id: u32) -> &mut T {
    let at = id as usize;
    if places.len() <= at {
        places.resize_with(at + 1, T::default);
    }
    &mut places[at]
}
