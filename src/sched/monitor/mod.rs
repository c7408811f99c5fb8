//! monitor

pub(crate) mod monitor;
