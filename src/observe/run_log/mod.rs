//! Run log: the record of a checked run of a user's program. It says which goroutines are alive, what each of them
//! does and at which location, and what happened in which order. The log belongs to the one kernel thread on which
//! all goroutines of a run take turns. The log is not a part of the model, so no checker sees it.
//!
//! open; then spawned, op, sleeps, wakes, ended, in the order of the run; fail, or close.
//! In a simulation: ends and waits, which raise no failure; at_rest, which does.
//! [K8] If no goroutine can continue, the run is reported by the step that made it so, before any checker
//!      unwinds anything. The kernel thread then stops for good, and its stacks stay as they are.
//! Checked by: proptests/model/main.rs.

mod locks_held;
pub(crate) mod log;
mod place;
mod record;
mod runtimes;

pub use locks_held::{Holder, holds, lets_go};
use log::RunLog;
pub use log::{
    any_open, at_rest, chooses, close, defer_failure, died, ear, ended, ends, fail, is_open, lost,
    made, object, op, open, panicked, raise_deferred_failure, saw_panic, says, sleeps, spawned,
    step, thread, time, timed, waits, wakes,
};
use place::with;
pub use record::{Event, GoroutineRecord, Kind, Object, Place, Record, Rules, Run, State, What};
pub use runtimes::{Left, RuntimeId, belongs, left_of, runtime, this_run};
