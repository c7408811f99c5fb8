//! lifecycle

pub(crate) mod metrics;
pub(crate) mod shutdown;
pub(crate) mod start;
