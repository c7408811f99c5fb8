//! Handles to goroutines, and to plain threads that wait as goroutines do.

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

/// Returns a handle to the caller, which is a goroutine or a plain thread. Both wait in the same way.
///
/// Never suspends.
pub fn current() -> Goroutine {
    Goroutine(park::waiter())
}

impl Goroutine {
    pub(crate) fn of(waiter: Unparker) -> Self {
        Goroutine(waiter)
    }

    /// Gives the goroutine a permit, so that its current or next [`park`](crate::park) returns. Permits don't
    /// add up.
    ///
    /// Writes before the `unpark` are visible to the goroutine after that `park`. Never suspends. Costs some 10 ns, or
    /// 5 µs if a kernel thread must be woken. Does nothing if the goroutine has ended.
    #[track_caller]
    pub fn unpark(&self) {
        trace::on_goroutine("unpark", self.id(), Some(Location::caller()));
        self.0.unpark();
    }

    /// Returns the goroutine's id, which is unique in its runtime and never reused. Returns `None` for a plain thread.
    pub fn id(&self) -> Option<u64> {
        match &self.0 {
            Unparker::Goroutine(goroutine) => Some(goroutine.ptr().id()),
            Unparker::Thread(parker) => Some(parker.goroutine().into()).filter(|id| *id != 0),
        }
    }

    /// Returns the name of the goroutine or thread, if it has a name.
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
