//! Preempt: an operation of a simulated goroutine begins, and the seed says who goes on.
//! Checked by: proptests/model/simulate.rs.

use super::park::{suspend, unwinds};
use crate::sched::core::current::{YIELD, current};
use crate::sched::core::simulation;
use std::panic::Location;

/// An operation that may suspend begins: perhaps somebody else goes on.
#[inline(never)]
pub(crate) fn preempt(place: &'static Location<'static>) {
    let Some(simulation) = simulation::here() else { return };
    let Some((worker, goroutine)) = current() else { return };
    if unwinds(worker) || goroutine.own.no_suspend.get() > 0 {
        return;
    }
    // In its own statement: the lock is not kept across the switch.
    let switch = simulation.0.lock().toss(place);
    if switch {
        suspend(worker, goroutine, YIELD, place);
    }
}
