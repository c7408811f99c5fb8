//! Foreign code: how the runtime calls or drops what users give it (wakers, closures, results, values, hooks) where
//! nothing may unwind. docs/foreign-code.md lists every such call.
//!
//! call: `catch_unwind`; then drop what the panic carried, also under `catch_unwind`. If that panics too, the second
//! payload is forgotten, because its destructor might panic again, and so on without end. The panic hook has reported
//! each of these panics. The caller continues as if `f` had returned.
//! abort: ends the process after a panic. It prints the reason, and never panics itself.
//!
//! [Q2] No foreign code unwinds out of the runtime's own steps: between an obligation (a registered wait, a
//!      child that has yet to leave, a lock) and its fulfilment, foreign code runs by `call` alone.
//! Checked by: proptests/runtime/foreign.rs, and unit tests here.
#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Calls `f`, and returns `None` if it panicked. Never unwinds. [Q2]
#[inline]
pub fn call<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Calls `f`, and aborts the process if it panics. `what` completes the message.
#[inline]
pub fn call_or_abort<R>(what: &str, f: impl FnOnce() -> R) -> R {
    call(f).unwrap_or_else(|| abort(format_args!("{what} panicked while dropped")))
}

/// Drops what a panic carried. Never unwinds. [Q2]
#[cold]
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}

/// Prints `why`, if the message can be written, and aborts the process.
#[cold]
pub fn abort(why: fmt::Arguments<'_>) -> ! {
    use std::io::Write;
    // `eprintln!` is not used, because it panics if the error output cannot be written to.
    let _ = writeln!(std::io::stderr(), "selvedge: aborting: {why}");
    std::process::abort();
}

/// The runtime's own copy of a task's waker. Neither waking nor dropping it unwinds. [Q2]
#[derive(Debug)]
pub struct Task(
    /// The waker, or `None` after `drop` or a method has taken it.
    Option<Waker>,
);

impl Task {
    /// Copies `waker`.
    ///
    /// # Panics
    /// Panics if the waker's `clone` panics. So this must be called before anything that a panic would have to undo.
    #[inline]
    pub fn of(waker: &Waker) -> Task {
        Task::from(waker.clone())
    }

    /// Wakes the task. Suspends or blocks only if the waker does.
    pub fn wake(mut self) {
        if let Some(waker) = self.0.take() {
            call(|| waker.wake());
        }
    }

    /// Returns the waker, from which a `Task` can be made again.
    pub(crate) fn into_waker(mut self) -> Waker {
        self.0.take().expect("a task keeps its waker until its end")
    }
}

impl From<Waker> for Task {
    fn from(waker: Waker) -> Task {
        Task(Some(waker))
    }
}

impl Drop for Task {
    #[inline]
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            call(|| drop(waker));
        }
    }
}

#[cfg(all(test, not(any(feature = "loom", feature = "shuttle"))))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    /// The payload of a panic. Its destructor panics with another payload of this type, `depth` times.
    struct Payload(u32);

    impl Drop for Payload {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(Payload(self.0.wrapping_sub(1))));
        }
    }

    struct Hostile;

    impl Wake for Hostile {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new(Payload(u32::MAX)));
        }
    }

    impl Drop for Hostile {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new(Payload(u32::MAX)));
        }
    }

    #[test]
    fn payloads_whose_destructors_panic_without_end_are_survived() {
        assert_eq!(call(|| 7), Some(7));
        for depth in [0, 1, 2, u32::MAX] {
            assert!(call(|| std::panic::resume_unwind(Box::new(Payload(depth)))).is_none());
        }
        assert!(!std::thread::panicking());
    }

    #[test]
    fn a_task_is_woken_and_dropped_without_unwinding() {
        let waker = Waker::from(Arc::new(Hostile));
        Task::of(&waker).wake();
        drop(Task::of(&waker));
        drop(Task::from(waker));
        assert!(!std::thread::panicking());
    }
}
