//! suspend

pub(crate) mod park;
pub(crate) mod park_until;
pub(crate) mod preempt;
