//! Never: a receiver that is always empty.
#![forbid(unsafe_code)]

use super::Receiver;
use super::source::Source;
use crate::platform::Arc;

/// A receiver that never gets a value, and is never closed: the arm of a `select` that is switched off.
pub fn never<T>() -> Receiver<T> {
    Receiver::of_source(Arc::new(Never))
}

/// What never has a value.
struct Never;

impl<T> Source<T> for Never {
    fn take(&self, _now: u64) -> Option<T> {
        None
    }

    fn due(&self) -> Option<u64> {
        None
    }
}
