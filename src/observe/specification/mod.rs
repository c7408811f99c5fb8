//! The specification, executable: it is told what the scheduler does, and knows what it may do.
//!
//! The scheduler tells an event *before* it publishes what others could act on, and *after* it has
//! claimed what others could have had; so the specification never hears of an effect before its
//! cause, and a complaint is no artefact of the telling. docs/specification.md goes through each.
//!
//! [E1] No goroutine is lost: until it ends it is parked, in a queue, on a worker, or in the hands of
//!      somebody at work.
//! [E2] None is run twice: it is taken from a queue once for each time that it was put there.
//! [E3] It is in one queue at most.
//! [E4] Whoever runs goroutines holds a processor, or has lost it to a retake since; and of those
//!      that compute without one there are at most twice as many as processors, or four.
//! [A1] [S1] [S3] [I1] [I2] [I3] [I4] [I5] [F2] [G2] [T1], as docs/invariants.md has them.
//!
//! | file | what it knows |
//! |---|---|
//! | `event` | what can be told |
//! | `book` | the history so far; who is told of a breach |
//! | `goroutines`, `permits` | what may happen to a goroutine, and to its permit |
//! | `workers` | what may happen to workers and processors |
//! | `calm` | what holds when nobody is at work, and at the end |
//! | `turns` | how many decisions a runnable goroutine waits |
//!
//! With `platform::SPEC` false nothing of it is left. Its lock and its maps are invisible to the
//! checkers: an event is no step of a model, and adds no interleaving.
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
