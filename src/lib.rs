//! selvedge (skeleton)
#![allow(missing_docs, dead_code)]
pub mod context;
pub mod lockfree;
pub mod platform;
