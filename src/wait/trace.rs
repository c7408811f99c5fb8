//! Trace: one line in each public operation, so that a failed run can be told in terms of goroutines,
//! channels and locks. Where nothing is checked or simulated it costs a look at one flag.
//! op, or select, when it begins; says, or chooses, where its end is worth a word; made, when a thing comes to be.
//! Nothing here is a step of a model, and no lock is held while it runs. In a simulation, op and plain
//! are where another goroutine may go on.
//! Checked by: proptests/model/main.rs.

use crate::observe::run_log;
use crate::observe::run_log::{Object, Place, What};
use crate::platform::{MODELLED, tls};
use crate::sched::core::cell::Goroutine;
use crate::sched::core::{current, simulation};
use crate::sched::suspend::preempt;

/// Whether this process checks or simulates anything.
#[inline]
pub fn is_on() -> bool {
    run_log::any_open()
}

/// The calling goroutine's id in the ledger; 0 for anybody else.
pub(crate) fn caller() -> u32 {
    if MODELLED {
        return tls::goroutine();
    }
    current::current_goroutine().map_or(0, |goroutine| goroutine.id() as u32)
}

/// The number of the `kind` of thing at `thing`.
fn object<T: ?Sized>(kind: &'static str, thing: *const T) -> Option<Object> {
    run_log::object(kind, thing.cast::<()>().addr())
}

/// The caller begins `verb`, on the `kind` of thing at `thing`. In a simulation, others may go on
/// before that: no lock is held, and the caller may suspend.
#[inline]
pub fn op<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), Some(place));
        preempt::preempt(place);
    }
}

/// As [`op`], for what never suspends.
#[inline]
pub fn brief<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), Some(place));
    }
}

/// As [`op`], for what never suspends, and does not know who called it.
#[inline]
pub fn quick<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), None);
    }
}

/// As [`op`], on nothing that has a number.
#[inline]
pub fn plain(verb: &'static str, place: Place) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, None), Some(place));
        preempt::preempt(place);
    }
}

/// As [`op`], in a future, which does not know who polls it: it may be polled where others may go on.
#[inline]
#[track_caller]
pub fn polls<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), None);
        preempt::preempt(std::panic::Location::caller());
    }
}

/// As [`quick`], on nothing that has a number.
#[inline]
pub fn alone(verb: &'static str) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, None), None);
    }
}

/// As [`op`], on a goroutine.
#[inline]
pub fn on_goroutine(verb: &'static str, goroutine: Option<u64>, place: Option<Place>) {
    if is_on() {
        let object = goroutine.map(|id| ("goroutine", id as u32));
        run_log::op(caller(), What::Op(verb, object), place);
    }
}

/// What an arm of a select does, to what kind of thing, which is where.
pub type Told = (&'static str, &'static str, *const ());

/// As [`op`], on the things of a select's arms; as [`brief`] if it does not `wait`.
#[inline]
pub fn select(wait: bool, arms: impl Iterator<Item = Told>, place: Place) {
    if is_on() {
        let named = |(part, kind, thing): Told| Some((object(kind, thing)?, part));
        let verb = if wait { "select on" } else { "try to select on" };
        run_log::op(caller(), What::Select(verb, arms.filter_map(named).collect()), Some(place));
        if wait {
            preempt::preempt(place);
        }
    }
}

/// Which arm the caller's select has chosen.
#[inline]
pub fn chooses(arm: impl FnOnce() -> Told) {
    if is_on() {
        let (part, kind, thing) = arm();
        run_log::chooses(caller(), object(kind, thing), part);
    }
}

/// The caller has the lock at `thing` from now on.
#[inline]
pub fn has<T: ?Sized>(kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        run_log::holds(caller(), object(kind, thing), place);
    }
}

/// The caller gives up the lock at `thing`, as a part of what it does.
#[inline]
pub fn lets_go<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::lets_go(caller(), object(kind, thing));
    }
}

/// The lock at `thing` is given up.
#[inline]
pub fn unlock<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        let object = object(kind, thing);
        run_log::op(caller(), What::Op("unlock", object), None);
        run_log::lets_go(caller(), object);
    }
}

/// The caller has spawned `goroutine`, and has not suspended since.
#[inline]
pub(crate) fn spawned(goroutine: &Goroutine, place: Place) {
    // Goroutines of a model enter themselves.
    if is_on() && !MODELLED && simulation::is_of_caller(goroutine) {
        run_log::spawned(caller(), goroutine.name(), Some(place));
    }
}

/// How the caller's operation ended.
#[inline]
pub fn says(outcome: &'static str) {
    if is_on() {
        run_log::says(caller(), outcome);
    }
}

/// A thing came to be at `thing`: whatever lay there before was another.
#[inline]
pub fn made<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::made(kind, thing.cast::<()>().addr());
    }
}

/// The thing goes, with so many messages that nobody has received.
#[inline]
pub fn gone<T: ?Sized>(kind: &'static str, thing: *const T, messages: usize) {
    if is_on() {
        run_log::lost(run_log::object(kind, thing.cast::<()>().addr()), messages);
    }
}
