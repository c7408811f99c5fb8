//! The executable specification: the scheduler tells it each step, and the specification checks whether the scheduler
//! may take that step.
//!
//! The scheduler tells an event *before* it publishes what other threads could act on, and *after* it has
//! claimed what other threads could have taken. So the specification never hears of an effect before its cause,
//! and the order of telling never causes a false report. docs/specification.md goes through each event.
//!
//! [E1] No goroutine is lost: until it ends it is parked, in a queue, on a worker, or in the hands of a thread
//!      at work.
//! [E2] No goroutine is run twice: it is taken from a queue once for each time that it was put there.
//! [E3] A goroutine is in one queue at most.
//! [E4] A worker that runs goroutines holds a processor, unless a retake has taken the processor since. The number of
//! workers that compute without a processor is at most twice the number of processors, or four.
//! [A1] [S1] [S3] [I1] [I2] [I3] [I4] [I5] [F2] [G2] [T1], as docs/invariants.md has them.
//!
//! | file | what it knows |
//! |---|---|
//! | `event` | what can be told |
//! | `history` | the history so far; it reports a breach |
//! | `goroutines`, `permits` | what may happen to a goroutine, and to its permit |
//! | `workers` | what may happen to workers and processors |
//! | `quiescence` | what holds when no thread is at work, and at the end |
//! | `bounded_wait` | how many decisions a runnable goroutine waits |
//!
//! If `platform::SPEC` is false, nothing of this is compiled in. The specification's lock and its maps are invisible
//! to the checkers, so an event is not a step of a model, and adds no interleaving.
//! Checked by: src/observe/specification/tests.rs, verification/shuttle/faults.rs, verification/loom/faults.rs.

mod bounded_wait;
mod event;
mod goroutines;
mod history;
mod permits;
mod quiescence;
mod spec;
#[cfg(test)]
mod tests;
mod workers;

pub use event::{Doing, Event, Place};
pub use spec::{Acting, Key, Spec};
