//! The runtime as its users meet it: random programs, results and drops, nesting, faults, blocking,
//! thread-locals, fairness; and the state word against a sequential oracle.
//!
//! | file | what is checked |
//! |---|---|
//! | `lifecycle` | random trees of goroutines against an oracle |
//! | `results` | closures and results: each value arrives, or is dropped, exactly once |
//! | `nesting` | runtimes within runtimes, and runtimes dropped in goroutines |
//! | `faults` | numbers out of range, limits, joins that are refused, `no_suspend` |
//! | `cancel` | [Y1]: each way to wait under a token, and scopes |
//! | `futures` | [G5], [Z1]: `block_on`, handles awaited by foreign executors, joins given up |
//! | `awaited` | [Z4], [V9]: times and tokens awaited by foreign executors |
//! | `local` | [Z2], [Z3]: goroutine-local values |
//! | `panics` | whom a panic reaches, and suspension while unwinding |
//! | `shutdown` | who is left, where, and what their joiners learn |
//! | `children` | what ends the process, or needs a process of its own |
//! | `child` | none: how a test gets a process of its own |
//! | `memory` | stacks where address space, mappings or calls are refused, and memory that comes back |
//! | `limits` | limits on data, locked memory, and kernel threads that end again |
//! | `blocking` | calls that block or compute, announced or not |
//! | `bounds` | none: what the types allow |
//! | `soundness` | [A1]: thread-locals under stealing, retake and blocking |
//! | `fairness` | [F1], [F2] |
//! | `foreign` | [Q2], [Q3], [Z5], [V10], [G7]: wakers, payloads and destructors that misbehave |
//! | `exits` | the same, where it ends the process, or is its panic hook |
//! | `ends` | [T5]: a runtime that ends where its own threads call foreign code |
//! | `own_end` | [T2], [T5]: the same, where that code waits |
//! | `chan_oracle` | channels against a sequential oracle, alone and together: linearizability |
//! | `linear` | none: the search for an order that explains what several did |
//! | `channels` | channels between goroutines, plain threads, and both |
//! | `messages` | how often a large message lies on the stack |
//! | `select` | `select!` and `Select` |
//! | `bad_input` | what a program should not do, and is told |
//! | `chan_async` | channel ends that are awaited |
//! | `chan_go` | each rule of Go about channels and select |
//! | `stacks` | stacks of other sizes, what was used of stacks, and stacks of helpers |
//! | `state` | [S2], [S3] |
//! | `timers` | [W1] to [W3]: sleeping, and parking with a limit |
//! | `ticks` | [W4]: receivers whose values come with time |
//!
//! Tests that measure time run alone (`common::alone`); the others side by side.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod awaited;
mod bad_input;
mod blocking;
mod bounds;
mod cancel;
mod chan_async;
mod chan_go;
mod chan_oracle;
mod channels;
mod child;
mod children;
mod common;
mod ends;
mod exits;
mod fairness;
mod faults;
mod foreign;
mod futures;
mod lifecycle;
mod limits;
mod linear;
mod local;
mod memory;
mod messages;
mod metrics;
mod nesting;
mod own_end;
mod panics;
mod results;
mod select;
mod shutdown;
mod soundness;
mod stacks;
mod state;
mod ticks;
mod timers;
