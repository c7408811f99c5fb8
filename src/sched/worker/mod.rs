//! What a worker's kernel thread does: it finds the next goroutine, switches to it, and finishes the switch
//! when the goroutine leaves its stack. The data of a worker is in `core/worker`.
//!
//! Order of reading:
//!
//! 1. `main_loop`: the life of the thread, and the loop that calls the other files.
//! 2. `find`: which goroutine runs next, and the search for work on other processors.
//! 3. `run`: the switch to a goroutine and away from it.
//! 4. `entry`: what runs on a goroutine's stack, from the first resume to the end.
//! 5. `finish_switch`: what happens to a goroutine after it has left its stack.
//! 6. When needed: `poll` (sockets), `simulated` (the choice by a seed), `overflow_report` (messages about
//!    stack overflows and panics).

pub(crate) mod entry;
pub(crate) mod find;
pub(crate) mod finish_switch;
pub(crate) mod main_loop;
pub(crate) mod overflow_report;
pub(crate) mod poll;
pub(crate) mod run;
pub(crate) mod simulated;
