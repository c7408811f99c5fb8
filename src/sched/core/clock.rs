//! This file provides the time and seeds for random choices. A simulation replaces both by values of its
//! own.
//! Checked by: proptests/runtime/timers.rs, verification/shuttle/.

use super::simulation;
use crate::platform;

/// Returns the time by which deadlines are kept, in nanoseconds.
#[inline]
pub(crate) fn now() -> u64 {
    match simulation::now() {
        Some(now) => now,
        None => platform::clock::now(),
    }
}

/// Returns a seed for random choices. Each call returns another seed. In a simulation, the simulation's
/// seed determines the returned seed.
pub(crate) fn seed() -> u64 {
    simulation::draw().unwrap_or_else(platform::seed)
}
