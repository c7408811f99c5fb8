//! Processor: the right to run goroutines, and the queues and caches that go with it.
//! Its owner is the worker that holds it (or the monitor that has just seized it); thieves see the
//! deque's other end and `run_next`.
//! [P1] Only the owner touches `Local`: it passes from hand to hand under the roster's lock.
//! [P2] `run_next` displaced or flushed goes to the deque: no goroutine is dropped.
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

/// How many stacks a processor keeps at hand before it gives half of them back.
pub(crate) const FIBER_CACHE: usize = if MODELLED { 4 } else { 64 };
const ID_BATCH: u64 = 1024;

pub(crate) struct Processor {
    pub(crate) id: ProcId,
    pub(crate) stealer: Steal<Ptr>,
    /// The wake-up partner, to run next. It causes no wake-up; the monitor looks after it.
    run_next: Slot<Goroutine>,
    /// Goroutines spawned here, and ended here.
    pub(crate) spawn_counters: SpawnCounters,
    /// How often its owner took work from another.
    pub(crate) steals: Counter,
    local: UnsafeCell<ProcessorLocal>,
}

/// The owner's part.
pub(crate) struct ProcessorLocal {
    pub(crate) run_queue: Local<Ptr>,
    pub(crate) cells: Vec<Ptr>,
    pub(crate) fibers: Vec<Fiber>,
    pub(crate) rng: Rng,
    /// Decisions taken on this processor.
    pub(crate) decisions: u32,
    /// How often in a row `run_next` was preferred.
    pub(crate) streak: u32,
    /// How often it was asked whether the ring or the deque goes first.
    pub(crate) turns: u32,
    /// What `settle` put into the deque, alone and without a wake-up, is still there. [I1]
    pub(crate) unannounced: bool,
    next_id: u64,
    last_id: u64,
}

// SAFETY: `local` is the owner's alone [P1]; the rest is atomic or made for sharing.
unsafe impl Sync for Processor {}
// SAFETY: as above; everything in it is Send.
unsafe impl Send for Processor {}

/// A processor in its owner's hands. [P1]
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

    /// The owner's view.
    ///
    /// # Safety
    /// The caller owns the processor: its worker holds it and is inside the runtime, or it has
    /// seized it and not yet released it, or no worker runs any more.
    pub(crate) unsafe fn held(&self) -> ProcessorGuard<'_> {
        ProcessorGuard(self)
    }

    /// Takes the goroutine that was to run next: the owner, a thief, or the monitor.
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

    /// The owner's part; no call within may come back here.
    #[inline]
    pub(crate) fn local<R>(self, f: impl FnOnce(&mut ProcessorLocal) -> R) -> R {
        // SAFETY: a `ProcessorGuard` is made for the owner alone [P1], and callers don't nest.
        self.0.local.with_mut(|local| f(unsafe { &mut *local }))
    }

    /// Its deque, as the specification knows it.
    pub(crate) fn run_queue(self) -> Place {
        Place::RunQueue(self.0.id)
    }

    /// Queues a stealable goroutine behind the others.
    #[inline]
    pub(crate) fn push(self, shared: &Shared, goroutine: Ptr) {
        goroutine.note(Event::Queued(self.run_queue()));
        self.local(|local| {
            local.run_queue.push(goroutine, |batch| {
                let taken = |goroutine: &Ptr| goroutine.note(Event::Taken(self.run_queue()));
                // SAFETY: they just left the deque, so they are in no queue.
                unsafe { shared.inject_all(batch.inspect(taken)) }
            });
        });
    }

    /// Puts a stealable goroutine next in line; true if that displaced one, which is now in the
    /// deque for all to see. [P2]
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

    /// Moves `run_next` to where every worker looks; the caller then notifies, or lets go of the
    /// processor by a way that rechecks. [P2]
    pub(crate) fn flush_next(self, shared: &Shared) {
        if let Some(next) = self.0.take_next() {
            // mutant: drop push of run_next
            self.push(shared, next);
        }
    }

    /// Moves everything to the injector: the processor is about to be retired. As `flush_next`.
    pub(crate) fn drain(self, shared: &Shared) {
        // mutant: drop flush of run_next
        self.flush_next(shared);
        self.local(|local| {
            // mutant: drop hand-over of the run_queue
            while let Some(goroutine) = local.run_queue.pop() {
                goroutine.note(Event::Taken(self.run_queue()));
                // SAFETY: it just left the deque.
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

    /// Keeps a recycled cell at hand; false where the pool wants it back.
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
