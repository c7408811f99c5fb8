//! The public interface of the runtime: building a runtime, spawning goroutines, joining them, scopes, and the errors.
//! The functions here check their arguments and call the scheduler (`src/sched/`), which does the work.

pub(crate) mod builder;
pub(crate) mod error;
pub(crate) mod go;
pub(crate) mod handle;
pub(crate) mod join;
pub(crate) mod join_future;
pub(crate) mod runtime;
pub(crate) mod scope;
pub(crate) mod unwind;
