//! Never: a receiver that is always empty.
#![forbid(unsafe_code)]

use super::Receiver;
use super::source::Source;
use crate::platform::Arc;

/// Returns a receiver that never gets a value and is never closed. It switches off an arm of a `select`.
///
/// ```
/// use selvedge::chan::{Receiver, bounded, never};
///
/// let (_tx, numbers) = bounded::<i32>(1);
/// let paused = true;
/// let source: Receiver<i32> = if paused { never() } else { numbers };
/// let got = selvedge::select! {
///     recv(source) -> number => number.ok(),
///     default => None,
/// };
/// assert_eq!(got, None);
/// ```
pub fn never<T>() -> Receiver<T> {
    Receiver::of_source(Arc::new(Never))
}

/// A source that never has a value.
struct Never;

impl<T> Source<T> for Never {
    fn take(&self, _now: u64) -> Option<T> {
        None
    }

    fn due(&self) -> Option<u64> {
        None
    }
}
