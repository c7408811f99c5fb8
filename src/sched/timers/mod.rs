//! timers

pub mod timers;
