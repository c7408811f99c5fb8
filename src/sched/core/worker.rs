//! Worker: a kernel thread that runs goroutines while it holds a processor.
//!
//! loop: attend to what the roster wants; find a goroutine; run it (`run`) until it, or one to which it has
//! passed on, comes back; settle that; if the processor was retaken, wait for one.
//!
//! [A1] A goroutine with a home resumes on that worker alone, and the thread of a worker with
//! started goroutines at home never ends.
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
    /// How goroutines get thread-locals of their own; `None` if they share the worker's.
    blocks: Option<&'static Blocks>,
    /// Goroutines at home here that somebody else unparked.
    pub(crate) remote: RemoteQueue<Goroutine>,
    pub(crate) inbox_len: AtomicUsize,
    /// Goroutines resumed so far: the monitor sees by it whether the worker gets on.
    pub(crate) ticks: AtomicU32,
    pub(crate) current: AtomicPtr<Goroutine>,
    /// In a section announced by `blocking`.
    section: AtomicBool,
    /// Started goroutines whose home this is. Written by this thread alone, as `waiting` is.
    pub(crate) bound_count: AtomicUsize,
    pub(crate) waiting: AtomicUsize,
    /// Puts the thread to sleep beneath a goroutine that unwinds.
    pub(crate) in_place: Parker,
    /// The thread's clock and kernel id, while there is one.
    pub(crate) thread: Mutex<Option<Thread>>,
    /// This thread's own.
    pub(crate) proc: Cell<Option<ProcId>>,
    pub(crate) bound_queue: UnsafeCell<List<Goroutine>>,
    /// When it first ran something since it was granted its processor: each grant is good for one
    /// goroutine at least. [F1]
    pub(crate) slice_start: Cell<Option<u64>>,
    /// What has just passed on to another goroutine, and why it left: see `run`.
    pub(crate) passed: Cell<Option<(Ptr, usize)>>,
    pub(crate) choice: Cell<Choice>,
    pub(crate) wiring: Wiring,
    /// Of the last blocking call here.
    pub(crate) hint: Cell<BlockingHint>,
    /// Of the last sleep: see `idle`.
    pub(crate) slept_briefly: Cell<bool>,
}

/// What the monitor knows a kernel thread by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    pub(crate) clock: Option<CpuClock>,
    pub(crate) kernel_id: u32,
}

// SAFETY: `proc`, `ring`, `slice_start`, `passed`, `choice`, `wiring`, `habit` and `slept_briefly` are touched by the worker's
// own thread alone; the rest is atomic or locked; the pointers lead to the runtime, which outlives its workers.
unsafe impl Sync for Worker {}
// SAFETY: as above.
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

    /// Its processor, while it is inside the runtime.
    #[inline]
    pub(crate) fn held(&self) -> Option<ProcessorGuard<'_>> {
        let proc = self.proc.get()?;
        // SAFETY: `proc` is what the roster granted and no dispute took away, and callers are on
        // this thread, inside the runtime. [H1]
        Some(unsafe { self.shared().processors[proc as usize].held() })
    }

    /// Asks the roster whether the processor is gone.
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

    /// On this thread: whether what runs has announced that it may block.
    pub(crate) fn show_section(&self, in_section: bool) {
        // Relaxed: the monitor's hint.
        self.section.store(in_section, Ordering::Relaxed);
    }

    pub(crate) fn in_section(&self) -> bool {
        // Relaxed: this thread's own, or a hint.
        self.section.load(Ordering::Relaxed)
    }

    pub(crate) fn ticks(&self) -> u32 {
        // Relaxed: a hint.
        self.ticks.load(Ordering::Relaxed)
    }

    pub(crate) fn current(&self) -> *const Goroutine {
        // Relaxed: this thread's own, or read under a claim.
        self.current.load(Ordering::Relaxed)
    }

    /// Runnable goroutines at home that wait for this worker.
    pub(crate) fn waiting(&self) -> usize {
        // Relaxed: a report.
        self.waiting.load(Ordering::Relaxed) + self.inbox_len.load(Ordering::Relaxed)
    }

    pub(crate) fn blocks(&self) -> Option<&'static Blocks> {
        self.blocks
    }

    pub(crate) fn slot(&self) -> &WorkerSlot {
        // SAFETY: the runtime's roster outlives its workers.
        unsafe { &*self.slot }
    }

    pub(crate) fn shared(&self) -> &Shared {
        // SAFETY: the runtime outlives its workers.
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
