//! Observe: the parts that are told what happens in the scheduler. No code here decides for the scheduler.
//!
//! | item | what it does |
//! |---|---|
//! | [`fault()`] | deliberate faults, for tests of the checks |
//! | `run_log` | the log of a checked run |
//! | `specification` | checks each step of the scheduler against what must hold |

mod broken;
mod fault;
pub mod run_log;
pub mod specification;

pub(crate) use broken::{AbortIfUnwinding, broken};
pub use fault::fault;
