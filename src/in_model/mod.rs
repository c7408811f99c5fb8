//! in_model

pub(crate) mod goroutine;
pub(crate) mod runtime;
