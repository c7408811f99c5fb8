//! A processor: the right to run goroutines, with the queues and caches that belong to this right. Its
//! owner is the worker that holds it, or the monitor while it is taking the processor from a worker. Other
//! workers can reach only the stealing end of the run queue, and `run_next`.
//!
//! [P1] Only the owner touches `local`. The processor passes to the next owner under the lock of the
//! idle-worker registry.
//! [P2] A goroutine that is displaced or flushed from `run_next` goes to the run queue, so no goroutine is
//! lost.
//! Checked by: verification/loom/sched.rs, verification/loom/retake.rs, verification/shuttle/.

use super::cell::{Goroutine, Ptr};
use super::ready::SpawnRefusal;
use super::runtime::Shared;
use crate::fiber::Fiber;
use crate::observe::specification::{Event, Place};
use crate::platform::cell::UnsafeCell;
use crate::platform::{Counter, MODELLED};
use crate::sched::idle::ProcId;
use crate::structures::{Local, Rng, Slot, SpawnCounters, Steal, run_queue};

/// A processor gives half of its cached stacks back if it caches more than this number.
pub(crate) const FIBER_CACHE: usize = if MODELLED { 4 } else { 64 };
const ID_BATCH: u64 = 1024;

pub(crate) struct Processor {
    pub(crate) id: ProcId,
    pub(crate) stealer: Steal<Ptr>,
    /// The goroutine that was unparked last and runs next. Putting a goroutine here wakes no worker. The
    /// monitor makes sure that the goroutine does not stay here for long.
    run_next: Slot<Goroutine>,
    /// Goroutines that were spawned and that ended on this processor.
    pub(crate) spawn_counters: SpawnCounters,
    /// How often the owner has stolen goroutines from another processor.
    pub(crate) steals: Counter,
    local: UnsafeCell<ProcessorLocal>,
}

/// The part of a processor that only its owner touches.
pub(crate) struct ProcessorLocal {
    pub(crate) run_queue: Local<Ptr>,
    pub(crate) cells: Vec<Ptr>,
    pub(crate) fibers: Vec<Fiber>,
    pub(crate) rng: Rng,
    /// The number of decisions on this processor.
    pub(crate) decisions: u32,
    /// How often in a row `run_next` was preferred.
    pub(crate) streak: u32,
    /// How often the owner has chosen between the bound queue and the run queue.
    pub(crate) turns: u32,
    /// `finish_switch` pushed a goroutine into the empty run queue without a wake-up, and the goroutine may
    /// still be there. [I1]
    pub(crate) unannounced: bool,
    next_id: u64,
    last_id: u64,
}

// SAFETY: only the owner touches `local` [P1]. All other fields are atomic or made for sharing.
unsafe impl Sync for Processor {}
// SAFETY: everything in a `Processor` is Send, and only the owner touches `local`. [P1]
unsafe impl Send for Processor {}

/// A processor that the holder of this guard owns. [P1]
#[derive(Clone, Copy)]
pub(crate) struct ProcessorGuard<'a>(&'a Processor);

impl Processor {
    pub(crate) fn new(id: ProcId, capacity: usize, seed: u64) -> Self {
        let (run_queue, stealer) = run_queue::run_queue(capacity);
        let local = ProcessorLocal {
            run_queue,
            cells: Vec::new(),
            fibers: Vec::new(),
            rng: Rng::new(seed),
            decisions: 0,
            streak: 0,
            turns: 0,
            unannounced: false,
            next_id: 0,
            last_id: 0,
        };
        Processor {
            id,
            stealer,
            run_next: Slot::new(),
            spawn_counters: SpawnCounters::new(),
            steals: Counter::new(),
            local: UnsafeCell::new(local),
        }
    }

    /// Returns the guard that gives access to the owner's part.
    ///
    /// # Safety
    /// The caller must own the processor: its worker holds the processor and is inside the runtime, or the
    /// caller has retaken the processor and has not released it, or no worker runs any more.
    pub(crate) unsafe fn held(&self) -> ProcessorGuard<'_> {
        ProcessorGuard(self)
    }

    /// Takes the goroutine out of `run_next`. May be called by the owner, by another worker, and by the
    /// monitor.
    pub(crate) fn take_next(&self) -> Option<Ptr> {
        let taken = self.run_next.take().map(Ptr::from_raw)?;
        taken.note(Event::Taken(Place::Next(self.id)));
        Some(taken)
    }

    pub(crate) fn has_next(&self) -> bool {
        !self.run_next.is_empty()
    }
}

impl<'a> ProcessorGuard<'a> {
    pub(crate) fn processor(self) -> &'a Processor {
        self.0
    }

    /// Calls `f` with the owner's part. `f` must not call this function again.
    #[inline]
    pub(crate) fn local<R>(self, f: impl FnOnce(&mut ProcessorLocal) -> R) -> R {
        // SAFETY: only the owner gets a `ProcessorGuard` [P1], and `f` does not call this function. So
        // `local` has no other reference while `f` runs.
        self.0.local.with_mut(|local| f(unsafe { &mut *local }))
    }

    /// Returns the name of this run queue in the specification.
    pub(crate) fn run_queue(self) -> Place {
        Place::RunQueue(self.0.id)
    }

    /// Queues a stealable goroutine at the end of the run queue.
    #[inline]
    pub(crate) fn push(self, shared: &Shared, goroutine: Ptr) {
        goroutine.note(Event::Queued(self.run_queue()));
        self.local(|local| {
            local.run_queue.push(goroutine, |batch| {
                let taken = |goroutine: &Ptr| goroutine.note(Event::Taken(self.run_queue()));
                // SAFETY: the goroutines left the run queue just now, so they are in no queue.
                unsafe { shared.inject_all(batch.inspect(taken)) }
            });
        });
    }

    /// Puts a stealable goroutine into `run_next`. Returns true if this displaced a goroutine, which is
    /// then in the run queue, where every worker looks. [P2]
    pub(crate) fn push_next(self, shared: &Shared, goroutine: Ptr) -> bool {
        goroutine.note(Event::Queued(Place::Next(self.0.id)));
        match self.0.run_next.put(goroutine.raw()) {
            Some(raw) => {
                let displaced = Ptr::from_raw(raw);
                displaced.note(Event::Taken(Place::Next(self.0.id)));
                // mutant: drop push of the displaced
                self.push(shared, displaced);
                true
            }
            None => false,
        }
    }

    /// Moves the goroutine in `run_next` to the run queue, where every worker looks. The caller must then
    /// notify, or release the processor in a way that rechecks the queues. [P2]
    pub(crate) fn flush_next(self, shared: &Shared) {
        if let Some(next) = self.0.take_next() {
            // mutant: drop push of run_next
            self.push(shared, next);
        }
    }

    /// Moves all goroutines to the global queue, because the processor is about to be retired or released.
    /// As after `flush_next`, the caller must notify, or release the processor in a way that rechecks the
    /// queues.
    pub(crate) fn drain(self, shared: &Shared) {
        // mutant: drop flush of run_next
        self.flush_next(shared);
        self.local(|local| {
            // mutant: drop hand-over of the run_queue
            while let Some(goroutine) = local.run_queue.pop() {
                goroutine.note(Event::Taken(self.run_queue()));
                // SAFETY: the goroutine left the run queue just now, so it is in no queue.
                unsafe { shared.inject(goroutine) };
            }
        });
    }

    pub(crate) fn next_id(self, shared: &Shared) -> u64 {
        self.local(|local| {
            if local.next_id == local.last_id {
                local.next_id = shared.take_ids(ID_BATCH);
                local.last_id = local.next_id + ID_BATCH;
            }
            local.next_id += 1;
            local.next_id - 1
        })
    }

    pub(crate) fn count_spawned(self) {
        self.0.spawn_counters.begin();
    }

    pub(crate) fn count_finished(self) {
        self.0.spawn_counters.end();
    }

    pub(crate) fn take_cell(self, shared: &Shared) -> Result<Ptr, SpawnRefusal> {
        self.local(|local| match local.cells.pop() {
            Some(cell) => Ok(cell),
            None => shared.pool.take(shared, Some(&mut local.cells)),
        })
    }

    /// Caches a recycled cell. Returns false if the cell must go back to the pool.
    pub(crate) fn keep_cell(self, shared: &Shared, cell: Ptr) -> bool {
        let cache = shared.pool.cache(&shared.stack_pool);
        if cache == 0 {
            return false;
        }
        self.local(|local| {
            local.cells.push(cell);
            if local.cells.len() >= 2 * cache {
                let kept = local.cells.len() - cache;
                Shared::give_cells(shared, local.cells.drain(kept..));
            }
        });
        true
    }
}
