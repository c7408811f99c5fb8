//! Handles to goroutines, and to the plain threads that stand in for them.

use crate::platform::Arc;
use crate::platform::Parker;
use crate::sched::core::wake_handle::Unparker;
use crate::sched::suspend::park;
use crate::wait::trace;
use std::fmt;
use std::panic::Location;

/// A handle to a goroutine, or to a plain thread that called [`current`].
#[derive(Clone)]
pub struct Goroutine(Unparker);

/// A handle to the caller: a goroutine, or a plain thread, which can wait for goroutines just so.
///
/// Never suspends.
pub fn current() -> Goroutine {
    Goroutine(park::waiter())
}

impl Goroutine {
    pub(crate) fn of(waiter: Unparker) -> Self {
        Goroutine(waiter)
    }

    /// Gives it a permit: its [`park`](crate::park), or its next one, returns. Permits don't add up.
    ///
    /// What happened before is seen after that `park`. Never suspends; some 10 ns, or 5 µs where it
    /// must wake a kernel thread. After the goroutine has ended it does nothing.
    #[track_caller]
    pub fn unpark(&self) {
        trace::on_goroutine("unpark", self.id(), Some(Location::caller()));
        self.0.unpark();
    }

    /// Its id: unique in its runtime, never reused. `None` for a plain thread.
    pub fn id(&self) -> Option<u64> {
        match &self.0 {
            Unparker::Goroutine(goroutine) => Some(goroutine.ptr().id()),
            Unparker::Thread(parker) => Some(parker.goroutine().into()).filter(|id| *id != 0),
        }
    }

    /// Its name, if it was given one.
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            Unparker::Goroutine(goroutine) => goroutine.name(),
            Unparker::Thread(parker) => parker.name(),
        }
    }
}

impl PartialEq for Goroutine {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Unparker::Goroutine(one), Unparker::Goroutine(two)) => one.ptr() == two.ptr(),
            (Unparker::Thread(one), Unparker::Thread(two)) => Arc::<Parker>::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Eq for Goroutine {}

impl fmt::Debug for Goroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Goroutine").field("id", &self.id()).field("name", &self.name()).finish()
    }
}
