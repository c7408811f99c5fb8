//! The objects of the scheduler, which point at each other: the goroutine's cell, the processor, the worker
//! and the runtime. This folder also decides where a goroutine goes when it becomes runnable.
//!
//! The files of this folder import each other in a circle, and that is intended, because a cell points at
//! its runtime, and the runtime owns the workers, the processors and the cells. The circle stays inside
//! this
//! folder: `verification/house/layers.rs` forbids circles between folders.
//!
//! Order of reading:
//!
//! 1. `cell` (with `owner_state`): what a goroutine consists of.
//! 2. `processor`, `worker`, `runtime` (with `config`, `counters`): the other three objects.
//! 3. `current`: how code enters the runtime and finds its worker and goroutine.
//! 4. `ready`, `bound`, `batch`: where a runnable goroutine is queued, and which worker is woken.
//! 5. `handle`, `wake_handle`, `scope_state`: how others refer to a goroutine, wake it, and wait for it.
//! 6. `cell_pool`, `stacks`, `trim`: where cells and stacks come from, and when memory is returned to the
//!    kernel.
//! 7. When needed: `wired` (a goroutine has changed its kernel thread), `helper_queue` and `leavers`
//!    (helper threads, and threads that have left), `forked` (the child of a `fork`), `simulation` and
//!    `clock` (a seed and virtual time).

pub(crate) mod batch;
pub(crate) mod bound;
pub(crate) mod cell;
pub(crate) mod cell_pool;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod current;
pub(crate) mod forked;
pub(crate) mod handle;
pub(crate) mod helper_queue;
pub(crate) mod leavers;
pub(crate) mod owner_state;
pub(crate) mod processor;
pub(crate) mod ready;
pub(crate) mod runtime;
pub(crate) mod scope_state;
pub(crate) mod simulation;
pub(crate) mod stacks;
pub(crate) mod trim;
pub(crate) mod wake_handle;
pub mod wired;
pub(crate) mod worker;
