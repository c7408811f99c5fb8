//! The scheduler. It runs goroutines on workers that hold processors.
//!
//! The modules above it use `spawn`, `yield_now`, `park`, `unpark` and `blocking`.
//!
//! The folders, from the bottom. Each imports only from itself and from rows above it in this table
//! (`LAYERS` in `verification/house/layers.rs` has the exact list):
//!
//! | folder | what it decides |
//! |---|---|
//! | `goroutine/` | which thread may resume a stack, which side reads a result, where the closure is |
//! | `idle/` | which worker has which processor, which worker sleeps, how a processor is retaken |
//! | `timers` | when the deadline of a parked goroutine is due |
//! | `poller/` | which worker waits for sockets, and which goroutines are woken for them |
//! | `core/` | the objects (cell, processor, worker, runtime), and where a runnable goroutine is queued |
//! | `interpose/` | how the runtime notices that a goroutine changes its kernel thread |
//! | `suspend/` | how a goroutine parks and yields, with or without a deadline |
//! | `worker/` | which goroutine runs next, how it runs, and what happens when it leaves its stack |
//! | `monitor` | when a processor is taken from a goroutine that blocks its thread or computes for long |
//! | `blocking` | whether a blocking call runs in place or on a helper thread |
//! | `lifecycle/` | how a runtime starts, drains and stops, and what it counts |
//!
//! The rows before `core/` are protocols that know no runtime. Each of them has models of its own. `core/` is an
//! intended circle of files. The rows after it are procedures that work on the objects of `core/`.
//!
//! Order of reading:
//!
//! 1. `goroutine/state`: the states of a goroutine.
//! 2. `core/cell`, `core/processor`, `core/worker`: the objects.
//! 3. `core/ready`: what a spawn and an unpark do.
//! 4. `worker/main_loop`, `worker/find`, `worker/run`, `worker/finish_switch`: from a queue to the goroutine, and back.
//! 5. `suspend/park`: a wait, seen from the goroutine.
//! 6. `idle/` with `idle/retake_gate`, then `monitor`: sleeping workers, and retaken processors.
//! 7. `timers`, `poller/`, `blocking`, `interpose/` and `lifecycle/`, when needed.

pub(crate) mod blocking;
pub(crate) mod core;
pub mod goroutine;
pub mod idle;
#[cfg(all(selvedge_isolated, not(miri)))]
pub(crate) mod interpose;
#[cfg(not(all(selvedge_isolated, not(miri))))]
pub(crate) mod interpose {
    //! If goroutines have no thread-locals of their own, no function is interposed.
    pub(crate) fn link() {}
}
pub(crate) mod lifecycle;
pub(crate) mod monitor;
pub mod poller;
pub(crate) mod suspend;
pub mod timers;
pub(crate) mod worker;
