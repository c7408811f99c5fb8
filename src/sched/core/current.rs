//! Entering the runtime, and finding the current worker and goroutine. While a `RuntimeGuard` is held, the
//! worker's processor cannot be retaken. The protocol and the invariant [H1] are those of the retake gate
//! (`idle/retake_gate.rs`). Only an outlined function, which is opaque to the compiler, reads the
//! thread-local word. Its value must not be kept across a switch.
//! Checked by: verification/loom/retake.rs, verification/loom/shutdown.rs.

use super::cell::Ptr;
use super::processor::ProcessorGuard;
use super::runtime::Shared;
use super::worker::Worker;
use crate::platform::tls;
use crate::sched::idle::retake_gate::Entry;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Why a goroutine leaves its stack: it has ended (`EXIT`), it can resume at once (`YIELD`), or it waits
/// (`PARK`).
pub(crate) const EXIT: usize = 0;
pub(crate) const YIELD: usize = 1;
pub(crate) const PARK: usize = 2;

/// Returns the calling thread's worker. The reference is valid on this thread only, so the caller must not
/// keep it across a switch.
#[inline]
pub(crate) fn current_worker<'a>() -> Option<&'a Worker> {
    // SAFETY: the thread-local word is null, or points to the worker of this thread. The thread holds a
    // count of the runtime, so the worker stays allocated.
    unsafe { tls::worker().cast::<Worker>().as_ref() }
}

/// Returns the calling thread's worker and the goroutine that it runs. See [`current_worker`].
#[inline]
pub(crate) fn current<'a>() -> Option<(&'a Worker, Ptr)> {
    let worker = current_worker()?;
    let goroutine = NonNull::new(worker.current().cast_mut())?;
    Some((worker, Ptr::from_raw(goroutine)))
}

/// Returns the goroutine that the calling thread runs.
#[inline]
pub(crate) fn current_goroutine() -> Option<Ptr> {
    Some(current()?.1)
}

/// Proves that the calling worker is inside the runtime.
pub(crate) struct RuntimeGuard<'a> {
    worker: &'a Worker,
    /// Ties the guard to its kernel thread.
    _thread: PhantomData<*const ()>,
}

impl<'a> RuntimeGuard<'a> {
    /// Enters the runtime. Called by a goroutine that is in user code.
    #[inline]
    pub(crate) fn enter(worker: &'a Worker) -> Self {
        // mutant: no check_revoked: replace worker.slot().gate.enter_runtime() == Entry::Disputed with worker.slot().gate.enter_runtime() == Entry::Disputed && false
        if worker.slot().gate.enter_runtime() == Entry::Disputed {
            worker.check_revoked();
        }
        RuntimeGuard { worker, _thread: PhantomData }
    }

    /// Enters the runtime `shared`. Returns `None` unless the calling thread is a worker of that runtime.
    #[inline]
    pub(crate) fn enter_runtime(shared: *const Shared) -> Option<Self> {
        let worker = current_worker()?;
        ptr::eq(worker.shared, shared).then(|| RuntimeGuard::enter(worker))
    }

    /// Returns the processor, unless it was retaken while the goroutine was in user code.
    #[inline]
    pub(crate) fn held(&self) -> Option<ProcessorGuard<'a>> {
        self.worker.held()
    }

    /// Caches a recycled cell. Returns false if this worker's cache is full.
    pub(crate) fn recycle(&self, cell: Ptr) -> bool {
        self.held().is_some_and(|held| held.keep_cell(self.worker.shared(), cell))
    }

    pub(crate) fn worker(&self) -> &'a Worker {
        self.worker
    }
}

impl Drop for RuntimeGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.worker.slot().gate.exit_to_user();
    }
}
