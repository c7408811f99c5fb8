//! Quiescence: what must hold whenever no thread is at work on the queues. Then each worker is on a goroutine's
//! stack, asleep, or in line for a processor. No wake-up is in flight, and no plain thread or goroutine is within a
//! call that could publish or wake. All work that was due has been done by then.
//! [E1] [I1] [I2] [I5]; and at the end [E1].
//! Checked by: src/observe/specification/tests.rs.

use super::Key;
use super::event::Place;
use super::history::{Breach, History, Where};
use super::workers::{At, Holder};
use std::collections::HashSet;

impl History {
    pub(super) fn begin_acting(&mut self) -> Result<(), Breach> {
        self.acting += 1;
        Ok(())
    }

    pub(super) fn end_acting(&mut self) -> Result<(), Breach> {
        self.acting -= 1;
        self.calm()
    }

    /// Checks the rules. Called whenever a thread has stopped being at work.
    pub(super) fn calm(&self) -> Result<(), Breach> {
        let at_work = |at| matches!(at, At::RuntimeGuard | At::AboutToSleep);
        if self.stopping || self.acting > 0 || self.workers.iter().any(|w| at_work(w.at)) {
            return Ok(());
        }
        if self.in_hands > 0 {
            return self.stranded("[E1]", |at| at == Where::InHands, "is runnable and in no queue");
        }
        if self.expiring > 0 {
            return self.breach_of("[E1]", None, "a deadline came, and nobody was queued".into());
        }
        self.stealable_are_seen()?;
        self.homes_are_awake()
    }

    /// [I1] [I5]
    fn stealable_are_seen(&self) -> Result<(), Breach> {
        let nobody_runs = self.workers.iter().all(|w| matches!(w.at, At::Vacant | At::Asleep));
        let idle = self.processors.iter().any(|processor| processor.idle);
        if self.starved || !(idle || nobody_runs) {
            return Ok(());
        }
        for (id, processor) in self.processors.iter().enumerate() {
            let nobodys = processor.holder == Holder::Nobody;
            let left = processor.run_queue.waiting + processor.next.waiting;
            if nobodys && processor.retaken && left > 0 {
                let what = "waits for a retaken processor that nobody was woken for";
                return self.stranded("[I5]", |at| is_at(at, id as u32), what);
            }
            if processor.run_queue.waiting > 0 || (nobodys && processor.next.waiting > 0) {
                let what = "waits while a processor is idle, and nobody was woken";
                return self.stranded("[I1]", |at| is_at(at, id as u32), what);
            }
        }
        if self.global_queue.waiting > 0 {
            let what = "waits in the global queue while a processor is idle, and nobody was woken";
            return self.stranded("[I1]", |at| at == Where::Queued(Place::GlobalQueue), what);
        }
        Ok(())
    }

    /// [I2]
    fn homes_are_awake(&self) -> Result<(), Breach> {
        for (id, worker) in self.workers.iter().enumerate() {
            let sleeps = matches!(worker.at, At::Asleep | At::Vacant);
            if sleeps && worker.bound_queue.waiting + worker.remote.waiting > 0 {
                let id = id as u32;
                let is_home = |at| {
                    at == Where::Queued(Place::BoundQueue(id))
                        || at == Where::Queued(Place::RemoteQueue(id))
                };
                return self.stranded("[I2]", is_home, "waits at home while its worker sleeps");
            }
        }
        Ok(())
    }

    /// Returns the first goroutine that is somewhere in these queues.
    fn stranded(
        &self,
        invariant: &'static str,
        is_one: impl Fn(Where) -> bool,
        what: &str,
    ) -> Result<(), Breach> {
        let found = self.goroutines.iter().filter(|(_, record)| is_one(record.at));
        let first = found.min_by_key(|(_, record)| record.number).map_or(0, |(key, _)| *key);
        let mut breach = self.breach(invariant, first, what);
        if let Err(breach) = &mut breach {
            // The report shows every worker, because any of them may be at fault.
            breach.worker = None;
        }
        breach
    }

    /// [E1]
    pub(super) fn drained(&self) -> Result<(), Breach> {
        if self.live == 0 {
            return Ok(());
        }
        let what = "has not ended, though the runtime is said to be drained";
        self.stranded("[E1]", |at| at != Where::Ended, what)
    }

    /// Reports the goroutines that are left, except those that are still on a stack. [E1]
    pub(super) fn ended(&self, left: HashSet<Key>) -> Result<(), Breach> {
        let forgotten = |(key, at): (&Key, Where)| {
            !left.contains(key) && !matches!(at, Where::Ended | Where::Running(_))
        };
        let all = self.goroutines.iter().map(|(key, record)| (key, record.at));
        match all.filter(|one| forgotten(*one)).map(|(key, _)| *key).min() {
            Some(key) => self.breach("[E1]", key, "is left, and the shutdown does not say so"),
            None => Ok(()),
        }
    }
}

fn is_at(at: Where, processor: u32) -> bool {
    matches!(at, Where::Queued(Place::RunQueue(id) | Place::Next(id)) if id == processor)
}
