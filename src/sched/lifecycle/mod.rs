//! How a runtime starts and ends, and what it counts while it runs.

pub(crate) mod metrics;
pub(crate) mod shutdown;
pub(crate) mod start;
