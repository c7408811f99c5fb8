//! Hooks: what this layer tells a checked run, and asks it. `explore` installs them with the first run of a process;
//! until then each does nothing, and time stands still. No backend that ships calls any of them.

use super::{Arc, Parker};
use std::sync::OnceLock;

/// What a checked run does about a step of this layer.
#[derive(Debug)]
pub struct Hooks {
    /// One more step. Only loom's backend needs it.
    #[allow(dead_code)]
    pub step: fn(),
    /// A goroutine goes to sleep, which may leave nobody that can run.
    pub sleeps: fn(u32),
    /// A goroutine can run again.
    pub wakes: fn(u32),
    /// The wait of a goroutine has timed out, and is told so.
    pub timed_out: fn(),
    /// The time, in nanoseconds.
    pub now: fn() -> u64,
    /// The wait of a parker shall expire at a time; returns the alarm's number, or `None` outside of a run.
    pub set_alarm: fn(Arc<Parker>, u64) -> Option<u64>,
    /// An alarm is needed no more.
    pub unset_alarm: fn(u64),
}

static HOOKS: OnceLock<Hooks> = OnceLock::new();

/// Installs the hooks, once a process; later calls change nothing.
pub fn install(hooks: Hooks) {
    let _ = HOOKS.set(hooks);
}

/// The hooks, if a run was ever begun.
pub(super) fn hooks() -> Option<&'static Hooks> {
    HOOKS.get()
}
