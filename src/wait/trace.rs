//! Trace: one line in each public operation, so that a failed run can be described in terms of goroutines, channels
//! and locks. If nothing is checked or simulated, the cost is one read of a flag.
//! `op` or `select` is called when the operation begins, `says` or `chooses` when its result is worth a report, and
//! `made` when a thing is created.
//! Nothing here is a step of a model, and no lock is held while it runs. In a simulation, another goroutine may run
//! at `op`, `plain`, `polls` and a `select` that waits.
//! Checked by: proptests/model/main.rs.

use crate::observe::run_log;
use crate::observe::run_log::{Object, Place, What};
use crate::platform::{MODELLED, tls};
use crate::sched::core::cell::Goroutine;
use crate::sched::core::{current, simulation};
use crate::sched::suspend::preempt;

/// Returns true if this process checks or simulates anything.
#[inline]
pub fn is_on() -> bool {
    run_log::any_open()
}

/// Returns the calling goroutine's id in the run log, or 0 if the caller is not a goroutine.
pub(crate) fn caller() -> u32 {
    if MODELLED {
        return tls::goroutine();
    }
    current::current_goroutine().map_or(0, |goroutine| goroutine.id() as u32)
}

/// Returns the number of the thing of kind `kind` at address `thing`.
fn object<T: ?Sized>(kind: &'static str, thing: *const T) -> Option<Object> {
    run_log::object(kind, thing.cast::<()>().addr())
}

/// Records that the caller begins `verb` on the thing of kind `kind` at `thing`. In a simulation, other goroutines
/// may run first, so the caller must hold no lock and must be able to suspend.
#[inline]
pub fn op<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), Some(place));
        preempt::preempt(place);
    }
}

/// Works like [`op`], for an operation that never suspends.
#[inline]
pub fn brief<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), Some(place));
    }
}

/// Works like [`op`], for an operation that never suspends and does not know its caller's location.
#[inline]
pub fn quick<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), None);
    }
}

/// Works like [`op`], for an operation on nothing that has a number.
#[inline]
pub fn plain(verb: &'static str, place: Place) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, None), Some(place));
        preempt::preempt(place);
    }
}

/// Works like [`op`], in a future, which does not know the location of the code that polls it. Other goroutines may run
/// first.
#[inline]
#[track_caller]
pub fn polls<T: ?Sized>(verb: &'static str, kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, object(kind, thing)), None);
        preempt::preempt(std::panic::Location::caller());
    }
}

/// Works like [`quick`], for an operation on nothing that has a number.
#[inline]
pub fn alone(verb: &'static str) {
    if is_on() {
        run_log::op(caller(), What::Op(verb, None), None);
    }
}

/// Works like [`op`], for an operation on a goroutine.
#[inline]
pub fn on_goroutine(verb: &'static str, goroutine: Option<u64>, place: Option<Place>) {
    if is_on() {
        let object = goroutine.map(|id| ("goroutine", id as u32));
        run_log::op(caller(), What::Op(verb, object), place);
    }
}

/// What a select's arm does, and the kind and the address of the thing that it uses.
pub type Told = (&'static str, &'static str, *const ());

/// Works like [`op`], for the things of a select's arms. If `wait` is false, no other goroutine runs first, as in
/// [`brief`].
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

/// Records which arm the caller's select has chosen.
#[inline]
pub fn chooses(arm: impl FnOnce() -> Told) {
    if is_on() {
        let (part, kind, thing) = arm();
        run_log::chooses(caller(), object(kind, thing), part);
    }
}

/// Records that the caller holds the lock at `thing` from now on.
#[inline]
pub fn has<T: ?Sized>(kind: &'static str, thing: *const T, place: Place) {
    if is_on() {
        run_log::holds(caller(), object(kind, thing), place);
    }
}

/// Records that the caller releases the lock at `thing` as a part of another operation.
#[inline]
pub fn lets_go<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::lets_go(caller(), object(kind, thing));
    }
}

/// Records that the lock at `thing` is released.
#[inline]
pub fn unlock<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        let object = object(kind, thing);
        run_log::op(caller(), What::Op("unlock", object), None);
        run_log::lets_go(caller(), object);
    }
}

/// Records that the caller has spawned `goroutine`. Must be called before the caller suspends.
#[inline]
pub(crate) fn spawned(goroutine: &Goroutine, place: Place) {
    // Goroutines of a model record themselves.
    if is_on() && !MODELLED && simulation::is_of_caller(goroutine) {
        run_log::spawned(caller(), goroutine.name(), Some(place));
    }
}

/// Records how the caller's operation ended.
#[inline]
pub fn says(outcome: &'static str) {
    if is_on() {
        run_log::says(caller(), outcome);
    }
}

/// Records that a new thing is at `thing`, so that an earlier thing at this address is not taken for it.
#[inline]
pub fn made<T: ?Sized>(kind: &'static str, thing: *const T) {
    if is_on() {
        run_log::made(kind, thing.cast::<()>().addr());
    }
}

/// Records that a thing is dropped, with the number of its messages that were not received.
#[inline]
pub fn gone<T: ?Sized>(kind: &'static str, thing: *const T, messages: usize) {
    if is_on() {
        run_log::lost(run_log::object(kind, thing.cast::<()>().addr()), messages);
    }
}
