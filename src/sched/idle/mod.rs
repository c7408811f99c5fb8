//! Roster: which worker has which processor, and who sleeps.
//!
//! One lock guards the lists; it is taken only to sleep, to wake, to queue or to retake. The fast
//! paths read one packed word, `counts`, that counts idle processors and searching workers.
//!
//! notify (after publishing work): fence, read lookout; if a processor is idle and nobody searches,
//!     take it from the list and hand it, with a searching token, to a named sleeper.
//! sleep: put the processor down, stop searching, register as a sleeper; fence; recheck every source.
//! wake_home (after pushing to an inbox): fence, read that worker's state; wake it if it is parked.
//! put_down: a processor goes to a queueing worker before it goes idle.
//!
//! The parts: `publish` (those who have work), `sleep` (a worker without), `retake` (who takes and
//! gives processors from outside: the monitor, resize, stop); here the lists they share.
//!
//! [I1] Shared work and an idle processor imply a searching worker or a wake-up in flight.
//! [I2] A parked worker's inbox is empty, or its wake-up is in flight.
//! [I3] No worker queues while a processor is idle.  [I4] A processor has at most one holder.
//! Checked by: verification/loom/idle.rs, verification/loom/handover.rs, verification/loom/resize.rs,
//! verification/loom/monitor.rs, verification/loom/retake.rs, verification/shuttle/.

mod idle_workers;
mod retake;
pub mod retake_gate;
mod sleep;
mod wake;

pub(crate) use idle_workers::IDLE_THREAD_LIFE;
pub use idle_workers::{
    IdleWorkers, ProcId, Sources, WakeAction, WakeReason, WorkerId, WorkerSlot,
};
