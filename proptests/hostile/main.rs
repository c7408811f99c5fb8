//! Hostile callbacks: random programs whose wakers, panic payloads, destructors, local values, closures and
//! hooks misbehave. They panic, also while what they threw is dropped; they suspend, block, call back into
//! the object that called them, and end the runtime or the process: docs/foreign-code.md.
//!
//! A program is made by a seed, and runs in a child process. What must hold: it ends; nothing aborts but
//! as documented; each value is dropped once; each message is received once; a scope returns after its
//! children; each joiner gets a result or an error; a local value is its goroutine's alone. Freed memory
//! is trapped (`heap`), and threads are held up between any two instructions (`slow`).
//!
//! | set this | to |
//! |---|---|
//! | `SELVEDGE_HOSTILE_PROGRAMS` | how many programs |
//! | `SELVEDGE_HOSTILE_FIRST` | the first seed |
//! | `SELVEDGE_HOSTILE_THEME` | only seeds of this theme: `generate::THEMES` |
//! | `SELVEDGE_HOSTILE_SEED`, `SELVEDGE_HOSTILE_TIMES` | run one seed, so many times |
//! | `SELVEDGE_HOSTILE_TRACE` | print a backtrace with each fault |
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod acts;
mod calm;
mod generate;
mod heap;
mod ledger;
mod locals;
mod program;
mod run;
mod slow;
mod stage;
mod steps;
mod values;
mod wakers;
mod world;

#[global_allocator]
static HEAP: heap::Trapping = heap::Trapping::new();

#[test]
fn programs_with_hostile_callbacks_end_in_order() {
    run::child();
    run::all("programs_with_hostile_callbacks_end_in_order");
}
