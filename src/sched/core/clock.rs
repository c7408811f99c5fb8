//! Clock: the time, and seeds for choices; a simulation has its own of both.
//! Checked by: proptests/runtime/timers.rs, verification/shuttle/.

use super::simulation;
use crate::platform;

/// The clock by which deadlines are kept, in nanoseconds.
#[inline]
pub(crate) fn now() -> u64 {
    match simulation::now() {
        Some(now) => now,
        None => platform::clock::now(),
    }
}

/// A seed for choices: another one each time, unless a simulation runs, whose own seed decides.
pub(crate) fn seed() -> u64 {
    simulation::draw().unwrap_or_else(platform::seed)
}
