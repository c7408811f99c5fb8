//! In model: what a goroutine and a runtime are inside a checked or simulated program. It is below the public API, which
//! asks it whether the caller is in such a program.

pub(crate) mod goroutine;
pub(crate) mod runtime;
