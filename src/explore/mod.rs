//! Checker: how a user's program is explored, one execution after another. Each runs on one kernel
//! thread of its own, which stops for good where a failure is found: a checker that unwinds a failed
//! run meets destructors that no longer fit it, and aborts the process.
//!
//! explore: start the thread; it runs `search`, which calls `run` for each execution; the first failed
//! record, or the end of the thread, is the answer.
//! Checked by: proptests/model/main.rs.

mod explorer;
#[cfg(feature = "loom")]
mod loom;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod none;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle;
pub mod virtual_time;

pub use explorer::{EXHAUSTS, SAMPLES, roomy};
pub use explorer::{Explored, Plan, Search, ended, explore, message, report_panics};
