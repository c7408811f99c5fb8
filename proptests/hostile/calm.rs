//! Calm: calls foreign code and survives what it throws, payloads with panicking destructors included.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `f` returns; `None` if it panicked.
pub fn calm<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            drop_payload(payload);
            None
        }
    }
}

/// As `calm`, or, if panics are to `pass`, just calls `f`.
pub fn calm_unless<R>(pass: bool, f: impl FnOnce() -> R) -> Option<R> {
    if pass { Some(f()) } else { calm(f) }
}

/// Drops a value whose destructor may panic.
pub fn drop_calmly<T>(value: T) {
    let _ = calm(|| drop(value));
}

/// Each payload's destructor may throw another one; their number is limited by the program.
pub fn drop_payload(mut payload: Box<dyn Any + Send>) {
    while let Err(next) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        payload = next;
    }
}

/// Asked in a function of its own: the address of a thread-local must not be kept across a suspension.
#[inline(never)]
pub fn unwinding() -> bool {
    std::thread::panicking()
}
