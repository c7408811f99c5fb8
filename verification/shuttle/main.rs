//! The whole runtime, with real coroutines, under schedules that shuttle samples. For breadth: many
//! goroutines, several workers, processors that are retaken meanwhile. shuttle is sequentially
//! consistent, so what an ordering or a fence is for shows in verification/loom alone.
//!
//! `cargo test --features shuttle --test shuttle`                        a minute's worth
//! `SELVEDGE_CHECK=long cargo test --features shuttle --test shuttle`    twenty times as many
//! `SELVEDGE_SEED=7 cargo test --features shuttle --test shuttle`        other schedules
//! `SELVEDGE_REPLAY=verification/shuttle/replays/<file> cargo test --features shuttle --test shuttle`
//!
//! A schedule that fails is saved as verification/shuttle/replays/<scenario>.<scheduler>-<seed>.txt:
//! its first line names the scenario, the second says which thread ran at each step, a third, if there
//! is one, the deliberate fault that it was found with (SELVEDGE_FAULT). Replayed, that scenario alone
//! runs, once, by that schedule; all others step aside. A schedule kept there after its bug was mended is
//! replayed by every run (`replay.rs`), and must pass; with its fault it must fail.
//!
//! In a model nothing takes time: no monitor and no timekeeper runs. A thread of the model plays them
//! instead: it takes the processor of whoever is in user code, and fires timers, whenever it pleases.

mod blocking;
mod channels;
mod fair;
mod faults;
mod harness;
#[path = "../kernel.rs"]
mod kernel;
mod leave;
mod park;
#[path = "../placement.rs"]
mod placement;
mod programs;
#[path = "../programs.rs"]
mod random;
mod replay;
mod shutdown;
mod sockets;
mod spawn;
mod steal;
mod support;
mod sync;
#[path = "../table.rs"]
mod table;
mod timers;
mod waits;
