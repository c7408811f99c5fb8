//! Trace: one line in each public operation, so that a failed run can be told in terms of goroutines,
//! channels and locks. Where nothing is checked or simulated it costs a look at one flag.
//! op, when it begins; says, where its end is worth a word; made, when a thing comes to be.
//! Nothing here is a step of a model, and no lock is held while it runs. In a simulation, op and plain
//! are where another goroutine may go on.
//! Checked by: proptests/model/main.rs.

use crate::platform::ledger::{self, Place};
use crate::platform::{MODELLED, tls};
use crate::sched::goroutine::Goroutine;
use crate::sched::{enter, simulation};

/// Whether this process checks or simulates anything.
#[inline]
fn is_on() -> bool {
    ledger::any_open()
}

/// The calling goroutine's id in the ledger; 0 for anybody else.
pub(crate) fn caller() -> u32 {
    if MODELLED {
        return tls::goroutine();
    }
    enter::current_goroutine().map_or(0, |goroutine| goroutine.id() as u32)
}

/// The caller begins `verb`, on the `kind` of thing at `thing`. In a simulation, others may go on
/// before that: no lock is held, and the caller may suspend.
#[inline]
pub fn op<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        let object = ledger::object(kind, thing.cast::<()>().addr());
        ledger::op(caller(), verb, object, Some(place));
        simulation::preempt(place);
    }
}

/// As [`op`], for what never suspends.
#[inline]
pub fn brief<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        let object = ledger::object(kind, thing.cast::<()>().addr());
        ledger::op(caller(), verb, object, Some(place));
    }
}

/// As [`op`], for what never suspends, and does not know who called it.
#[inline]
pub fn quick<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T) {
    if is_on() {
        let object = ledger::object(kind, thing.cast::<()>().addr());
        ledger::op(caller(), verb, object, None);
    }
}

/// As [`op`], on nothing that has a number.
#[inline]
pub fn plain(verb: &'static str, place: Place) {
    if is_on() {
        ledger::op(caller(), verb, None, Some(place));
        simulation::preempt(place);
    }
}

/// As [`op`], on a goroutine.
#[inline]
pub fn on_goroutine(verb: &'static str, goroutine: Option<u64>, place: Place) {
    if is_on() {
        ledger::op(caller(), verb, goroutine.map(|id| ("goroutine", id as u32)), Some(place));
    }
}

/// The caller has spawned `goroutine`, and has not suspended since.
#[inline]
pub(crate) fn spawned(goroutine: &Goroutine, place: Place) {
    // Goroutines of a model enter themselves.
    if is_on() && !MODELLED && simulation::is_of_caller(goroutine) {
        ledger::spawned(caller(), goroutine.name(), Some(place));
    }
}

/// How the caller's operation ended.
#[inline]
pub fn says(outcome: &'static str) {
    if is_on() {
        ledger::says(caller(), outcome);
    }
}

/// A thing came to be at `thing`: whatever lay there before was another.
#[inline]
pub fn made<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        ledger::made(kind, thing.cast::<()>().addr());
    }
}

/// The thing goes, with so many messages that nobody has received.
#[inline]
pub fn gone<T: ?Sized>(kind: &'static str, thing: *const T, messages: usize) {
    if is_on() {
        ledger::lost(ledger::object(kind, thing.cast::<()>().addr()), messages);
    }
}
