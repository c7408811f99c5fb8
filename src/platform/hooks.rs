//! Hooks: what this layer tells a checked run, and asks it. `explore` installs them with the first run of a
//! process. Until then each hook does nothing, and time stands still. The backend that ships calls none of
//! them.

use super::{Arc, Parker};
use std::sync::OnceLock;

/// What a checked run does about a step of this layer.
#[derive(Debug)]
pub struct Hooks {
    /// Counts one more step. Only loom's backend needs it.
    #[allow(dead_code)]
    pub step: fn(),
    /// Tells that a goroutine goes to sleep, after which perhaps none can run.
    pub sleeps: fn(u32),
    /// A goroutine can run again.
    pub wakes: fn(u32),
    /// The wait of a goroutine has timed out, and is told so.
    pub timed_out: fn(),
    /// Returns the time, in nanoseconds.
    pub now: fn() -> u64,
    /// Makes the wait of a parker expire at a time; returns the alarm's number, or `None` outside of a run.
    pub set_alarm: fn(Arc<Parker>, u64) -> Option<u64>,
    /// Tells that an alarm is no longer needed.
    pub unset_alarm: fn(u64),
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Installs the hooks, once per process; later calls change nothing.
pub fn install(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// Returns the hooks, if a run was ever begun.
pub(super) fn hooks() -> Option<&'static Hooks> {
    HOOKS.get()
}
