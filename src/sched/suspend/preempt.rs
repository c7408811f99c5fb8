//! This file has the points at which a simulation may switch to another goroutine, as the seed decides.
//! Checked by: proptests/model/simulate.rs.

use super::park::{suspend, unwinds};
use crate::sched::core::current::{YIELD, current};
use crate::sched::core::simulation;
use std::panic::Location;

/// Called when an operation that may suspend begins. In a simulation, may let another goroutine run first.
#[inline(never)]
pub(crate) fn preempt(place: &'static Location<'static>) {
    let Some(simulation) = simulation::here() else { return };
    let Some((worker, goroutine)) = current() else { return };
    if unwinds(worker) || goroutine.own.no_suspend.get() > 0 {
        return;
    }
    // The toss is a statement of its own, so that the lock is released before the switch.
    let switch = simulation.0.lock().toss(place);
    if switch {
        suspend(worker, goroutine, YIELD, place);
    }
}
