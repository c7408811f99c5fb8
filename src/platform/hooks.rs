//! Hooks: the functions by which this layer tells a checked run what happens, and asks it for the time. `explore`
//! installs the hooks at the first run of a process. Until then each hook does nothing, and time stands still. The
//! backend that ships calls no hook.

use super::{Arc, Parker};
use std::sync::OnceLock;

/// The functions of a checked run that this layer calls.
#[derive(Debug)]
pub struct Hooks {
    /// Counts one more step. Only loom's backend needs it.
    #[allow(dead_code)]
    pub step: fn(),
    /// Tells that a goroutine goes to sleep. After that, perhaps no goroutine can run.
    pub sleeps: fn(u32),
    /// Tells that a goroutine can run again.
    pub wakes: fn(u32),
    /// Tells that the wait of the calling goroutine has timed out.
    pub timed_out: fn(),
    /// Returns the time, in nanoseconds.
    pub now: fn() -> u64,
    /// Makes the wait of a parker expire at a time. Returns the alarm's number, or `None` outside of a run.
    pub set_alarm: fn(Arc<Parker>, u64) -> Option<u64>,
    /// Tells that an alarm is no longer needed.
    pub unset_alarm: fn(u64),
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Installs the hooks, once per process; later calls change nothing.
pub fn install(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// Returns the hooks, or `None` if no run has begun yet in this process.
pub(super) fn hooks() -> Option<&'static Hooks> {
    HOOKS.get()
}
