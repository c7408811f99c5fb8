//! The specification, executable: it is told what the scheduler does, and knows what it may do.
//!
//! The scheduler tells an event *before* it publishes what others could act on, and *after* it has
//! claimed what others could have had; so the specification never hears of an effect before its
//! cause, and a complaint is no artefact of the telling. docs/specification.md goes through each.
//!
//! [E1] No goroutine is lost: until it ends it is parked, in a queue, on a worker, or in the hands of
//!      somebody at work.
//! [E2] None is run twice: it is taken from a queue once for each time that it was put there.
//! [E3] It is in one queue at most.
//! [E4] Whoever runs goroutines holds a processor, or has lost it to a retake since; and of those
//!      that compute without one there are at most twice as many as processors, or four.
//! [A1] [S1] [S3] [I1] [I2] [I3] [I4] [I5] [F2] [G2] [T1], as docs/invariants.md has them.
//!
//! | file | what it knows |
//! |---|---|
//! | `event` | what can be told |
//! | `book` | the history so far; who is told of a breach |
//! | `goroutines`, `permits` | what may happen to a goroutine, and to its permit |
//! | `workers` | what may happen to workers and processors |
//! | `calm` | what holds when nobody is at work, and at the end |
//! | `turns` | how many decisions a runnable goroutine waits |
//!
//! With `platform::SPEC` false nothing of it is left. Its lock and its maps are invisible to the
//! checkers: an event is no step of a model, and adds no interleaving.
//! Checked by: src/observe/specification/tests.rs, verification/shuttle/faults.rs, verification/loom/faults.rs.

mod bounded_wait;
mod event;
mod goroutines;
mod history;
mod permits;
mod quiescence;
mod workers;

#[cfg(test)]
mod tests;

pub use event::{Doing, Event, Place};

use crate::platform::SPEC;
use crate::platform::unmodelled::Mutex;
use history::{Breach, History};

/// A goroutine, as the specification knows it: by the address of its cell.
pub type Key = usize;

/// One runtime's specification.
pub struct Spec(Option<Box<Mutex<History>>>);

/// Somebody who is no worker, or a worker in user code, is at work on the queues until this goes.
#[must_use]
pub struct Acting<'a> {
    spec: &'a Spec,
    unparks: Option<Key>,
}

impl Default for Spec {
    fn default() -> Self {
        Spec::new()
    }
}

impl Spec {
    /// Of a runtime that has done nothing yet.
    pub fn new() -> Self {
        Spec(SPEC.then(Box::default))
    }

    /// One that is told nothing.
    pub fn silent() -> Self {
        Spec(None)
    }

    /// Something happens to a goroutine.
    #[inline(always)]
    pub fn note(&self, goroutine: Key, event: Event) {
        if SPEC {
            self.hold(|book| book.goroutine(goroutine, event));
        }
    }

    /// Something happens to a worker or a processor.
    #[inline(always)]
    pub fn see(&self, doing: Doing) {
        if SPEC {
            self.hold(|book| book.doing(doing));
        }
    }

    /// See [`Acting`].
    #[inline(always)]
    pub fn acting(&self) -> Acting<'_> {
        if SPEC {
            self.hold(History::begin_acting);
        }
        Acting { spec: self, unparks: None }
    }

    /// As [`acting`](Self::acting): the goroutine is given a permit.
    #[inline(always)]
    pub fn unparking(&self, goroutine: Key) -> Acting<'_> {
        let mut acting = self.acting();
        acting.unparks = Some(goroutine);
        self.note(goroutine, Event::Unparks);
        acting
    }

    /// Every goroutine has ended, says who waited for it. [E1]
    #[inline(always)]
    pub fn drained(&self) {
        if SPEC {
            self.hold(|book| book.drained());
        }
    }

    /// The runtime has ended, and these are the goroutines that had not. [E1]
    #[inline(always)]
    pub fn ended(&self, left: impl Iterator<Item = Key>) {
        if SPEC {
            self.hold(|book| book.ended(left.collect()));
        }
    }

    #[inline(never)]
    fn hold(&self, rule: impl FnOnce(&mut History) -> Result<(), Breach>) {
        let Some(book) = &self.0 else { return };
        let mut book = book.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Err(breach) = rule(&mut book) {
            book.report(&breach);
        }
    }
}

impl Drop for Acting<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if !SPEC {
            return;
        }
        if let Some(goroutine) = self.unparks {
            self.spec.note(goroutine, Event::UnparkAction);
        }
        self.spec.hold(History::end_acting);
    }
}
