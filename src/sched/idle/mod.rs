//! Idle-worker registry: records which worker has which processor, and which workers sleep.
//!
//! One lock guards the lists. A thread takes the lock only to sleep, to wake a worker, to queue for a processor or
//! to retake one. The fast paths read one packed word, `counts`, which holds the number of idle processors and of
//! searching workers (the idle counts).
//!
//! notify (after publishing work): fence, read `counts`; if a processor is idle and no worker searches,
//!     take the processor from the list and assign it, with a searching token, to a sleeping worker.
//! sleep: release the processor, stop searching, register as a sleeper; fence; recheck every source.
//! wake_bound (after pushing to a remote queue): fence, read that worker's state; wake it if it is parked.
//! release_processor: give the processor to a queueing worker; if there is none, the processor becomes idle.
//!
//! The parts: `wake` is for threads that have published work, `sleep` for a worker without work, and `retake` for
//! threads that take and give processors from outside: the monitor, a resize, and stop. `idle_workers` has the
//! lists that they share.
//!
//! [I1] Shared work and an idle processor imply a searching worker or a wake-up in flight.
//! [I2] A parked worker's remote queue is empty, or its wake-up is in flight.
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
