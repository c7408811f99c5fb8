//! Entering the runtime: from here until the guard goes, the worker's processor stays its own.
//! Protocol and invariant [H1]: the claim. The thread-local word is read by an outlined, opaque
//! function only, and never kept across a switch.
//! Checked by: verification/loom/retake.rs, verification/loom/shutdown.rs.

use super::cell::Ptr;
use super::processor::ProcessorGuard;
use super::runtime::Shared;
use super::worker::Worker;
use crate::platform::tls;
use crate::sched::idle::retake_gate::Entry;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Why a goroutine leaves its stack: it has ended, it can run on at once, or it waits.
pub(crate) const EXIT: usize = 0;
pub(crate) const YIELD: usize = 1;
pub(crate) const PARK: usize = 2;

/// The calling thread's worker. Its lifetime is the thread's: not to be kept across a switch.
#[inline]
pub(crate) fn current_worker<'a>() -> Option<&'a Worker> {
    // SAFETY: the word is null, or the worker whose thread this is; the thread keeps the runtime.
    unsafe { tls::worker().cast::<Worker>().as_ref() }
}

/// The calling thread's worker and the goroutine that it runs. See `current_worker`.
#[inline]
pub(crate) fn current<'a>() -> Option<(&'a Worker, Ptr)> {
    let worker = current_worker()?;
    let goroutine = NonNull::new(worker.current().cast_mut())?;
    Some((worker, Ptr::from_raw(goroutine)))
}

/// The goroutine that the calling thread runs.
#[inline]
pub(crate) fn current_goroutine() -> Option<Ptr> {
    Some(current()?.1)
}

/// A worker inside the runtime.
pub(crate) struct RuntimeGuard<'a> {
    worker: &'a Worker,
    /// Tied to the kernel thread.
    _thread: PhantomData<*const ()>,
}

impl<'a> RuntimeGuard<'a> {
    /// Called by a goroutine in user code.
    #[inline]
    pub(crate) fn enter(worker: &'a Worker) -> Self {
        // mutant: no check_revoked: replace worker.slot().gate.enter_runtime() == Entry::Disputed with worker.slot().gate.enter_runtime() == Entry::Disputed && false
        if worker.slot().gate.enter_runtime() == Entry::Disputed {
            worker.check_revoked();
        }
        RuntimeGuard { worker, _thread: PhantomData }
    }

    /// `None` unless the calling thread is one of this runtime's workers.
    #[inline]
    pub(crate) fn enter_runtime(shared: *const Shared) -> Option<Self> {
        let worker = current_worker()?;
        ptr::eq(worker.shared, shared).then(|| RuntimeGuard::enter(worker))
    }

    /// The processor, unless it was retaken while the goroutine was in user code.
    #[inline]
    pub(crate) fn held(&self) -> Option<ProcessorGuard<'a>> {
        self.worker.held()
    }

    /// Keeps a recycled cell at hand; false if there is no room for it here.
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
