//! Check your own program: every interleaving of its goroutines, or very many of them, on the code that
//! ships; and a failure that can be seen again.
//!
//! Put a test around the program, unchanged: its goroutines ([`go`](fn@crate::go), [`Spawn`](crate::Spawn),
//! [`scope`](fn@crate::scope)), its `park`s, channels, locks,
//! timers and cancel tokens being those of this crate.
//!
//! | call | explores | needs |
//! |---|---|---|
//! | [`check`] | every interleaving with at most two preemptions, and weak memory; [`Check`] sets the bound | `--features selvedge/loom` |
//! | [`random`], [`pct`] | as many as asked for, of programs of any size | `--features selvedge/shuttle` |
//! | [`simulate`], [`simulate_seeds`] | one run a seed, of real goroutines in virtual time | no feature |
//! | [`replay`] | the one that failed | as what found it |
//!
//! ```no_run
//! use selvedge::{go, model};
//!
//! #[test]
//! fn the_answer_arrives() {
//!     let report = model::check(|| {
//!         let answer = go(|| 42);
//!         assert_eq!(answer.join().unwrap(), 42);
//!     });
//!     assert!(report.is_complete());
//! }
//! ```
//! `cargo test --features selvedge/loom` runs it.
//!
//! # What is seen
//! What goes through this crate. Standard atomics, locks, channels and statics are there and work, but
//! they are no steps of the model: no interleaving is tried between two of them, and a goroutine that
//! blocks in one blocks everybody. Each execution calls the closure afresh: what it shares, it must
//! make; it must do the same each time, but for what others do to it, so no clocks and no random
//! numbers of its own. A [`Runtime`](crate::Runtime) that the program builds is there, too, without a
//! scheduler of its own: what it runs and spawns are goroutines of the program.
//!
//! A time-out may expire at any point, the earliest first: time is virtual, and passes only so.
//!
//! # What fails
//! See [`Failure`]: a deadlock, a panic that nobody took, a goroutine that waits for ever after the
//! program has ended, a message lost with its channel (if asked for), a program beyond a limit.

mod check;
mod failure;
mod line;
mod report;
mod simulate;
mod text;

pub use check::{Check, check, pct, random, replay, try_check};
pub use failure::{Failure, Story};
pub use report::{Coverage, Report};
pub use simulate::{Simulated, simulate, simulate_seeds, try_simulate, try_simulate_seeds};
