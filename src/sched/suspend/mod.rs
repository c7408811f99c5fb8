//! The ways in which a goroutine suspends itself: parking, parking with a deadline, yielding, and the preemption points
//! of a simulation.

pub(crate) mod park;
pub(crate) mod park_until;
pub(crate) mod preempt;
