//! Explore: how a user's program is explored, one execution after another. Each exploration runs on one kernel
//! thread of its own, which stops for good if a failure is found. A checker that unwinds a failed run would
//! meet destructors that no longer fit the run, and would abort the process.
//!
//! explore: start the thread; it runs `search`, which calls `run` for each execution. `explore` returns the first
//! failed record, or learns that the thread has ended.
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
