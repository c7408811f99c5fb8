//! What may happen to a goroutine.
//!
//! ```text
//! spawned ──► in hands ◄── taken ── queued        taken: to run, or to be queued elsewhere
//!               │  ▲  └──── queued ──► ▲
//!       resumed ▼  │ left              │ queued, by the thread that unparked it
//!             running ── left, to park ──► parked
//! ```
//! [E1] [E2] [E3] [S1] [A1] [E4] [T1] [G2], and [S3] by the permits.
//! Checked by: src/observe/specification/tests.rs.

use super::Key;
use super::bounded_wait::Line;
use super::event::{Event, Place};
use super::history::{Breach, History, Record, Where};
use super::permits::Permits;
use super::workers::At;

impl History {
    pub(super) fn goroutine(&mut self, key: Key, event: Event) -> Result<(), Breach> {
        if let Event::Spawned(number) = event {
            return self.spawned(key, number);
        }
        self.write(key, event);
        let now = self.now;
        match event {
            Event::Home(home) => self.home(key, home),
            Event::Queued(place) => self.queued(key, place),
            Event::Taken(place) => self.taken(key, place),
            Event::Resumed(worker) => self.resumed(key, worker),
            Event::Left { worker, parks } => self.left(key, worker, parks),
            Event::Parks(_) => {
                self.record(key).permits.park(now);
                Ok(())
            }
            Event::Unparks => {
                self.record(key).permits.unpark_begins(now);
                Ok(())
            }
            Event::UnparkAction => {
                self.record(key).permits.unpark_ends(now);
                self.permit_is_not_lost(key)
            }
            Event::Expires => {
                self.record(key).permits.expires = true;
                self.expiring += 1;
                Ok(())
            }
            Event::Expired => {
                self.expired(key);
                self.permit_is_not_lost(key)
            }
            Event::Permit => match self.record(key).permits.consume(now) {
                true => Ok(()),
                false => self.breach("[S3]", key, "consumes a permit that nobody gave"),
            },
            Event::Exited => self.exited(key),
            Event::Joined => match std::mem::replace(&mut self.record(key).joined, true) {
                false => Ok(()),
                true => self.breach("[G2]", key, "is joined twice"),
            },
            Event::Suspends(_) | Event::Blocks(_) | Event::Spawned(_) => Ok(()),
        }
    }

    /// Nothing is known of a goroutine that was not spawned, because the model of a part may spawn none.
    fn record(&mut self, key: Key) -> &mut Record {
        self.goroutines.entry(key).or_default()
    }

    fn spawned(&mut self, key: Key, number: u64) -> Result<(), Breach> {
        let before = self.goroutines.get(&key).map(|record| record.at);
        if before.is_some_and(|at| at != Where::Ended) && !self.stopping {
            return self.breach("[G1]", key, "has not ended, and its cell serves another");
        }
        self.goroutines.insert(key, Record { number, ..Record::default() });
        self.write(key, Event::Spawned(number));
        self.record(key).permits = Permits::new(self.now);
        self.in_hands += 1;
        self.live += 1;
        Ok(())
    }

    fn home(&mut self, key: Key, home: Option<u32>) -> Result<(), Breach> {
        let before = std::mem::replace(&mut self.record(key).home, home);
        if let Some(id) = before {
            self.worker(id).homed -= 1;
        }
        if let Some(id) = home {
            self.worker(id).homed += 1;
        }
        Ok(())
    }

    fn queued(&mut self, key: Key, place: Place) -> Result<(), Breach> {
        match self.record(key).at {
            Where::InHands => self.in_hands -= 1,
            Where::Parked => self.expired(key),
            Where::Running(worker) => {
                let what = format!("is put into {place} while worker {worker} is on its stack");
                return self.breach("[S1]", key, what);
            }
            Where::Queued(other) => {
                let what = format!("is put into {place} while it is in {other}");
                return self.breach("[E3]", key, what);
            }
            Where::Ended => {
                return self.breach("[E2]", key, format!("is put into {place} after its end"));
            }
        }
        let home = self.record(key).home;
        let fits = match place {
            Place::BoundQueue(id) | Place::RemoteQueue(id) => home == Some(id),
            Place::RunQueue(_) | Place::Next(_) | Place::GlobalQueue => home.is_none(),
        };
        if !fits && !self.stopping {
            let what = format!("is put into {place}; its home: {home:?}");
            return self.breach("[A1]", key, what);
        }
        let now = self.now;
        let record = self.record(key);
        record.at = Where::Queued(place);
        record.queued = now;
        self.line(place).push(key, now);
        Ok(())
    }

    /// Records that the deadline's work is done.
    fn expired(&mut self, key: Key) {
        let expires = std::mem::take(&mut self.record(key).permits.expires);
        self.expiring -= usize::from(expires);
    }

    fn taken(&mut self, key: Key, place: Place) -> Result<(), Breach> {
        match self.record(key).at {
            Where::Queued(at) if at == place => {}
            at => {
                let what = format!("is taken from {place}, where nobody has put it since: {at:?}");
                return self.breach("[E2]", key, what);
            }
        }
        self.line(place).pop();
        self.record(key).at = Where::InHands;
        self.in_hands += 1;
        Ok(())
    }

    fn resumed(&mut self, key: Key, worker: u32) -> Result<(), Breach> {
        let Record { at, home, .. } = *self.record(key);
        match at {
            Where::InHands => {}
            Where::Running(other) => {
                let what = format!("is resumed by worker {worker} while {other} is on its stack");
                return self.breach("[S1]", key, what);
            }
            at => {
                let what = format!("is resumed by worker {worker}, which never took it: {at:?}");
                return self.breach("[E2]", key, what);
            }
        }
        if home.is_some_and(|home| home != worker) {
            let what = format!("is resumed by worker {worker}; its home: {home:?}");
            return self.breach("[A1]", key, what);
        }
        if self.stopped {
            return self.breach("[T1]", key, "is resumed after the end of its runtime");
        }
        if self.worker(worker).processor.is_none() {
            let what = format!("is resumed by worker {worker}, which holds no processor");
            return self.breach("[E4]", key, what);
        }
        self.in_hands -= 1;
        let record = self.record(key);
        record.at = Where::Running(worker);
        record.worker = Some(worker);
        self.worker(worker).at = At::User;
        self.settle_last(worker)?;
        self.calm()
    }

    fn left(&mut self, key: Key, worker: u32, parks: bool) -> Result<(), Breach> {
        let now = self.now;
        if self.record(key).at != Where::Running(worker) {
            let what = format!("leaves a stack that worker {worker} was not on");
            return self.breach("[S1]", key, what);
        }
        let record = self.record(key);
        record.left = now;
        record.at = if parks { Where::Parked } else { Where::InHands };
        self.in_hands += usize::from(!parks);
        let worker = self.worker(worker);
        worker.at = At::RuntimeGuard;
        worker.settles = parks.then_some((key, now));
        Ok(())
    }

    fn exited(&mut self, key: Key) -> Result<(), Breach> {
        if self.record(key).at != Where::InHands {
            return self.breach("[S1]", key, "ends while its stack is in use");
        }
        self.in_hands -= 1;
        self.live -= 1;
        self.record(key).at = Where::Ended;
        self.home(key, None)
    }

    /// Called when the worker has continued. The goroutine whose park the worker last handled is parked then, unless
    /// another thread has unparked it. A parked goroutine has no permit. [S3]
    pub(super) fn settle_last(&mut self, worker: u32) -> Result<(), Breach> {
        let Some((key, left)) = self.worker(worker).settles.take() else { return Ok(()) };
        if self.record(key).left == left { self.permit_is_not_lost(key) } else { Ok(()) }
    }

    fn permit_is_not_lost(&mut self, key: Key) -> Result<(), Breach> {
        let record = self.record(key);
        let (left, worker) = (record.left, record.worker);
        if record.at != Where::Parked || !record.permits.is_lost() || self.stopping {
            return Ok(());
        }
        // Until its worker has continued, the worker may still find the permit.
        if worker.is_some_and(|id| self.worker(id).settles == Some((key, left))) {
            return Ok(());
        }
        self.breach("[S3]", key, "is parked for good: the permit that it was given is lost")
    }

    pub(super) fn line(&mut self, place: Place) -> &mut Line {
        match place {
            Place::GlobalQueue => &mut self.global_queue,
            Place::RunQueue(id) => &mut self.processor(id).run_queue,
            Place::Next(id) => &mut self.processor(id).next,
            Place::BoundQueue(id) => &mut self.worker(id).bound_queue,
            Place::RemoteQueue(id) => &mut self.worker(id).remote,
        }
    }
}
