//! The models: every interleaving and every value that loom's C11 subset allows, on the code that
//! ships. One file a protocol, one test a scenario, one printed row a test.
//!
//! `cargo test --features loom`                        two preemptions, or complete where it is small
//! `SELVEDGE_CHECK=long cargo test --features loom`    three preemptions, more of it complete

mod alarm;
mod blocking;
mod cancel;
mod chan;
mod chan_async;
mod deque;
mod faults;
mod future;
mod handover;
mod harness;
mod idle;
mod inbox;
mod injector;
mod join;
#[path = "../kernel.rs"]
mod kernel;
mod latch;
mod local;
mod monitor;
mod parker;
#[path = "../placement.rs"]
mod placement;
mod poller;
mod programs;
#[path = "../programs.rs"]
mod random;
mod relieve;
mod resize;
mod retake;
mod sched;
mod select;
mod shutdown;
mod sleepers;
mod slot;
mod state;
mod sync_barrier;
mod sync_condvar;
mod sync_mutex;
mod sync_once;
mod sync_permits;
mod sync_wait_group;
#[path = "../table.rs"]
mod table;
mod tally;
mod ticks;
mod timers;
mod verdicts;
mod wait;
mod wired;
