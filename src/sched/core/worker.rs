//! The data of a worker: a kernel thread that runs goroutines while it holds a processor. What a worker
//! does is in `sched/worker/`.
//!
//! The worker's loop: handle a resched request; find a goroutine; run it (`run`) until it, or a goroutine
//! to which it passed control, comes back; finish that switch. If the processor was retaken, wait for a
//! processor.
//!
//! [A1] A bound goroutine resumes only on the worker that it is bound to. The thread of a worker with
//! started bound goroutines never ends.
//! [F1] A queueing worker gets a processor after at most one slice of each worker ahead of it.
//! Checked by: verification/loom/sched.rs, verification/shuttle/, proptests/runtime/lifecycle.rs.

use super::cell::{Goroutine, Ptr};
use super::owner_state::BlockingHint;
use super::processor::ProcessorGuard;
use super::runtime::Shared;
use super::wired::{Choice, Wiring};
use crate::fiber::Blocks;
use crate::observe::fault;
use crate::platform::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use crate::platform::{CpuClock, Mutex, Parker, clock, thread_id};
use crate::sched::idle::{ProcId, Sources, WakeReason, WorkerId, WorkerSlot};
use crate::structures::{List, RemoteQueue};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

pub(crate) struct Worker {
    pub(crate) id: WorkerId,
    pub(crate) shared: *const Shared,
    slot: *const WorkerSlot,
    /// Makes thread-locals for goroutines. `None` if goroutines share the thread-locals of the worker.
    blocks: Option<&'static Blocks>,
    /// The remote queue: goroutines that are bound to this worker and that another thread unparked.
    pub(crate) remote: RemoteQueue<Goroutine>,
    pub(crate) inbox_len: AtomicUsize,
    /// The number of resumes so far. The monitor sees from it whether the worker makes progress.
    pub(crate) ticks: AtomicU32,
    pub(crate) current: AtomicPtr<Goroutine>,
    /// Whether the running goroutine is in a section that `blocking` announced.
    section: AtomicBool,
    /// The number of started goroutines that are bound to this worker. Only this worker's thread writes it,
    /// and `waiting`.
    pub(crate) bound_count: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
    /// Blocks the thread beneath a goroutine that parks while it unwinds.
    pub(crate) in_place: Parker,
    /// The clock and the kernel id of the worker's thread, while there is a thread.
    pub(crate) thread: Mutex<Option<Thread>>,
    /// This field and the following fields are touched only by the worker's own thread.
    pub(crate) proc: Cell<Option<ProcId>>,
    pub(crate) bound_queue: UnsafeCell<List<Goroutine>>,
    /// The time at which the worker first ran a goroutine after it was assigned its processor. So each
    /// assignment suffices for at least one goroutine. [F1]
    pub(crate) slice_start: Cell<Option<u64>>,
    /// The goroutine that passed control to another one just now, and the reason why it left: see `run`.
    pub(crate) passed: Cell<Option<(Ptr, usize)>>,
    pub(crate) choice: Cell<Choice>,
    pub(crate) wiring: Wiring,
    /// The hint from the last blocking call on this worker.
    pub(crate) hint: Cell<BlockingHint>,
    /// Whether the last sleep was brief: see `park_worker`.
    pub(crate) slept_briefly: Cell<bool>,
}

/// Identifies a kernel thread for the monitor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    pub(crate) clock: Option<CpuClock>,
    pub(crate) kernel_id: u32,
}

// SAFETY: only the worker's own thread touches `proc`, `bound_queue`, `slice_start`, `passed`, `choice`,
// `wiring`, `hint` and `slept_briefly`. The other fields are atomic or locked. The pointers lead to the
// runtime, which outlives its workers.
unsafe impl Sync for Worker {}
// SAFETY: only the worker's own thread touches the fields that are not synchronized, and the pointers lead
// to the runtime, which outlives its workers.
unsafe impl Send for Worker {}

impl Worker {
    pub(crate) fn new(
        id: WorkerId,
        shared: *const Shared,
        slot: *const WorkerSlot,
        blocks: Option<&'static Blocks>,
    ) -> Self {
        Worker {
            id,
            shared,
            slot,
            blocks,
            remote: RemoteQueue::new(),
            inbox_len: AtomicUsize::new(0),
            ticks: AtomicU32::new(0),
            current: AtomicPtr::new(ptr::null_mut()),
            section: AtomicBool::new(false),
            bound_count: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            in_place: Parker::new(),
            thread: Mutex::new(None),
            proc: Cell::new(None),
            bound_queue: UnsafeCell::new(List::new()),
            slice_start: Cell::new(None),
            passed: Cell::new(None),
            choice: Cell::new(Choice::Usual),
            wiring: Wiring::default(),
            hint: Cell::new(BlockingHint::Unknown),
            slept_briefly: Cell::new(false),
        }
    }

    // ---- processors --------------------------------------------------------------------------------

    /// Returns the worker's processor, if it has one. Must be called inside the runtime.
    #[inline]
    pub(crate) fn held(&self) -> Option<ProcessorGuard<'_>> {
        let proc = self.proc.get()?;
        // SAFETY: the idle-worker registry has assigned processor `proc` to this worker, and no thread has
        // retaken it since. The caller is on this thread, inside the runtime. [H1]
        Some(unsafe { self.shared().processors[proc as usize].held() })
    }

    /// Asks the idle-worker registry whether the processor was retaken.
    #[cold]
    pub(crate) fn check_revoked(&self) {
        if self.shared().idle.check_revoked(self.id) && !fault("no processor") {
            // mutant: drop loss of the processor
            self.proc.set(None);
        }
    }

    pub(crate) fn slice_is_over(&self) -> bool {
        let slice = self.shared().config.slice_nanos;
        self.slice_start.get().is_some_and(|start| clock::now().saturating_sub(start) >= slice)
    }

    // ---- for the monitor ----------------------------------------------------------------------------

    /// Says whether the running goroutine has announced that it may block. Must be called on this worker's
    /// thread.
    pub(crate) fn show_section(&self, in_section: bool) {
        // Relaxed: the value is a hint for the monitor.
        self.section.store(in_section, Ordering::Relaxed);
    }

    pub(crate) fn in_section(&self) -> bool {
        // Relaxed: the caller is this thread, or uses the value as a hint.
        self.section.load(Ordering::Relaxed)
    }

    pub(crate) fn ticks(&self) -> u32 {
        // Relaxed: the value is a hint.
        self.ticks.load(Ordering::Relaxed)
    }

    pub(crate) fn current(&self) -> *const Goroutine {
        // Relaxed: the caller is this thread, or has retaken the processor through the retake gate.
        self.current.load(Ordering::Relaxed)
    }

    /// Returns the number of runnable goroutines that are bound to this worker and wait for it.
    pub(crate) fn waiting(&self) -> usize {
        // Relaxed: the value is only reported.
        self.waiting.load(Ordering::Relaxed) + self.inbox_len.load(Ordering::Relaxed)
    }

    pub(crate) fn blocks(&self) -> Option<&'static Blocks> {
        self.blocks
    }

    pub(crate) fn slot(&self) -> &WorkerSlot {
        // SAFETY: `slot` points into the runtime's idle-worker registry, which outlives the workers.
        unsafe { &*self.slot }
    }

    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: `shared` points to the runtime, which outlives its workers.
        unsafe { &*self.shared }
    }
}

impl Sources for Worker {
    fn has_stealable(&self) -> bool {
        self.shared().has_stealable_work()
    }

    fn has_bound(&self) -> bool {
        self.has_work_at_home()
    }

    fn has_residents(&self) -> bool {
        self.bound_count() > 0
    }

    fn runs_stealable(&self) -> bool {
        !self.is_alone()
    }

    fn block(&self, parker: &Parker) -> Option<Option<WakeReason>> {
        self.block_until_due(parker)
    }
}

impl Thread {
    pub(crate) fn this() -> Self {
        Thread { clock: CpuClock::of_this_thread(), kernel_id: thread_id() }
    }
}
