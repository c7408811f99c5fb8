//! Layer 2: the scheduler. It runs goroutines on workers that hold processors.
//!
//! The modules above it use `spawn`, `yield_now`, `park`, `unpark` and `blocking`.
//!
//! The folders, from the bottom. A folder imports only from the rows above it in this table, and from itself:
//!
//! | folder | what it decides |
//! |---|---|
//! | `goroutine/` | the protocols of one goroutine: which thread may resume its stack (`state`), which side reads its result (`join_word`), where its closure and its result are (`body`) |
//! | `idle/` | which worker has which processor, which worker sleeps or is woken, and how a processor is retaken (`retake_gate`) |
//! | `timers` | when a parked goroutine's deadline is due, and which thread wakes it |
//! | `poller/` | which worker waits for sockets, and which goroutines are woken for them |
//! | `core/` | the objects: a goroutine's cell, the processor, the worker, the runtime; where a runnable goroutine is queued |
//! | `interpose/` | how the runtime notices that a goroutine changes its kernel thread |
//! | `suspend/` | how a goroutine parks and yields, with or without a deadline |
//! | `worker/` | what a worker does: which goroutine runs next, how it runs, and what happens when it leaves its stack |
//! | `monitor` | when a processor is taken from a goroutine that blocks its thread or computes for long |
//! | `blocking` | whether a blocking call runs in place or on a helper thread |
//! | `lifecycle/` | how a runtime starts, drains and stops, and what it counts |
//!
//! `goroutine/`, `idle/`, `timers` and `poller/` are protocols: they know no runtime, and each has a model of its own.
//! `core/` is a circle of files, see there. The folders below it in the table contain procedures.
//!
//! Order of reading:
//!
//! 1. `goroutine/state`: the states of a goroutine.
//! 2. `core/cell`, `core/processor`, `core/worker`: the objects.
//! 3. `core/ready`: a spawn and an unpark.
//! 4. `worker/main_loop`, `worker/find`, `worker/run`, `worker/finish_switch`: from the queue to the goroutine, and back.
//! 5. `suspend/park`: the goroutine's side of a wait.
//! 6. `idle/`, then `idle/retake_gate` and `monitor`: sleeping workers, and retaken processors.
//! 7. `timers`, `poller/`, `blocking` and `lifecycle/` when needed.

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
