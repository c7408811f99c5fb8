//! Spec: what the scheduler tells the specification.

use super::event::{Doing, Event};
use super::history::{Breach, History};
use crate::platform::SPEC;
use crate::platform::unmodelled::Mutex;

/// Identifies a goroutine for the specification by the address of its cell.
pub type Key = usize;

/// One runtime's specification.
pub struct Spec(Option<Box<Mutex<History>>>);

/// A plain thread, or a worker in user code, is at work on the queues until this value is dropped.
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
    /// Returns the specification of a runtime that has done nothing yet.
    pub fn new() -> Self {
        Spec(SPEC.then(Box::default))
    }

    /// Returns a specification that is told nothing.
    pub fn silent() -> Self {
        Spec(None)
    }

    /// Tells what happens to a goroutine.
    #[inline(always)]
    pub fn note(&self, goroutine: Key, event: Event) {
        if SPEC {
            self.hold(|book| book.goroutine(goroutine, event));
        }
    }

    /// Tells what happens to a worker or a processor.
    #[inline(always)]
    pub fn see(&self, doing: Doing) {
        if SPEC {
            self.hold(|book| book.doing(doing));
        }
    }

    /// Returns an [`Acting`] value for the caller.
    #[inline(always)]
    pub fn acting(&self) -> Acting<'_> {
        if SPEC {
            self.hold(History::begin_acting);
        }
        Acting { spec: self, unparks: None }
    }

    /// Works like [`acting`](Self::acting), for a caller that gives the goroutine a permit.
    #[inline(always)]
    pub fn unparking(&self, goroutine: Key) -> Acting<'_> {
        let mut acting = self.acting();
        acting.unparks = Some(goroutine);
        self.note(goroutine, Event::Unparks);
        acting
    }

    /// Tells that every goroutine has ended, as the code that waited for them says. [E1]
    #[inline(always)]
    pub fn drained(&self) {
        if SPEC {
            self.hold(|book| book.drained());
        }
    }

    /// Tells that the runtime has ended, and which goroutines had not. [E1]
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
