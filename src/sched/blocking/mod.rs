//! blocking

pub(crate) mod blocking;
