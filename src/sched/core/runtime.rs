//! Shared: one runtime as its threads see it. It lives in an `Arc` that every thread of its holds,
//! and, once the runtime has ended, the cells that are still referred to.
//! Checked by: verification/loom/shutdown.rs, verification/shuttle/, proptests/runtime/lifecycle.rs.

use super::cell::{Goroutine, Ptr};
use super::cell_pool::Pool;
use super::config::{Config, Watchdog};
use super::counters::Counters;
use super::helper_queue::Helpers;
use super::leavers::Leavers;
use super::processor::Processor;
use super::simulation::Simulation;
use super::stacks::Stacks;
use super::wake_handle::WakeHandle;
use super::wired::may_start_threads;
use super::worker::Worker;
use crate::fiber::StackPool;
use crate::observe::AbortIfUnwinding;
use crate::observe::specification::{Event, Place, Spec};
use crate::platform::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::platform::fork;
use crate::platform::fork::Born;
use crate::platform::{Arc, Condvar, MODELLED, Mutex, OnceLock, Parker, fence, thread};
use crate::sched::idle::{IdleWorkers, WakeAction, WakeReason, WorkerId};
use crate::sched::poller::epoll;
use crate::sched::timers::Timers;
use crate::structures::{GlobalQueue, SpawnCounters};
use crossbeam_utils::CachePadded;
use std::io;

/// The sockets that goroutines of a runtime wait for.
pub(crate) type Sockets = epoll::Sockets<WakeHandle>;
/// A socket's place among them.
pub(crate) type Registration = epoll::Registration<WakeHandle>;

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// The process whose threads it has.
    pub(crate) born: Born,
    pub(crate) simulation: Option<Box<Simulation>>,
    pub(crate) idle: IdleWorkers,
    pub(crate) processors: Box<[CachePadded<Processor>]>,
    pub(crate) workers: Box<[CachePadded<Worker>]>,
    pub(crate) global_queue: GlobalQueue<Goroutine>,
    pub(crate) pool: Pool,
    pub(crate) stack_pool: Arc<StackPool>,
    pub(crate) stacks: Stacks,
    pub(crate) helpers: Helpers,
    pub(crate) counters: Counters,
    pub(crate) timers: Timers<Ptr>,
    /// Once a goroutine has waited for one.
    pub(crate) sockets: OnceLock<Arc<Sockets>>,
    next_id: AtomicU64,
    /// Somebody waits for the last goroutine to end.
    draining: AtomicBool,
    pub(crate) drain: Mutex<()>,
    pub(crate) drained: Condvar,
    stopping: AtomicBool,
    /// Those of the workers by their numbers, then those beside them: see `Attendant`.
    pub(crate) threads: Mutex<Vec<Option<thread::JoinHandle>>>,
    /// Until the monitor's thread has taken it.
    pub(crate) watchdog: Mutex<Option<Watchdog>>,
    pub(crate) leavers: Leavers,
}

/// A thread that stands beside the workers.
#[derive(Clone, Copy)]
pub(crate) enum Attendant {
    Watch,
    Clock,
}

impl Shared {
    /// A runtime without threads. The arena is made by the caller, who knows what a fiber runs.
    pub(crate) fn new(mut config: Config, stack_pool: Arc<StackPool>) -> Arc<Shared> {
        fence::prepare();
        fork::prepare();
        fork::note_runtime();
        let mut place = Arc::<Shared>::new_uninit();
        let shared: *const Shared = Arc::as_ptr(&place).cast();
        let mut idle =
            IdleWorkers::new(config.processors, config.max_processors, config.max_threads);
        if config.simulated.is_some() {
            // A simulation holds those that it may choose from, and is fair by chance alone.
            idle.spec = Spec::silent();
        }
        let blocks = stack_pool.blocks();
        let worker = |id| {
            let slot = std::ptr::from_ref(idle.slot(id));
            CachePadded::new(Worker::new(id, shared, slot, blocks))
        };
        let workers = (0..config.max_threads as u32).map(worker).collect();
        let processor = |id: u32| {
            let seed = config.seed.wrapping_add(u64::from(id));
            CachePadded::new(Processor::new(id, config.run_queue_capacity, seed))
        };
        let value = Shared {
            born: Born::here(),
            processors: (0..config.max_processors).map(processor).collect(),
            workers,
            idle,
            global_queue: GlobalQueue::new(),
            pool: Pool::new(config.max_goroutines),
            stack_pool,
            stacks: Stacks::new(),
            helpers: Helpers::new(),
            counters: Counters::default(),
            timers: Timers::new(config.max_threads),
            sockets: OnceLock::new(),
            next_id: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            drain: Mutex::new(()),
            drained: Condvar::new(),
            stopping: AtomicBool::new(false),
            threads: Mutex::new((0..config.max_threads + 2).map(|_| None).collect()),
            watchdog: Mutex::new(config.watchdog.take()),
            leavers: Leavers::new(),
            simulation: config.simulated.map(|(seed, most)| Box::new(Simulation::new(seed, most))),
            config,
        };
        Arc::get_mut(&mut place).expect("nobody else has it yet").write(value);
        // SAFETY: just written.
        unsafe { place.assume_init() }
    }

    // ---- threads -----------------------------------------------------------------------------------

    /// Where in `threads` its handle is.
    pub(crate) fn place_of(&self, which: Attendant) -> usize {
        self.workers.len() + which as usize
    }

    /// Does what the roster asked for: wakes a sleeper, or starts a thread.
    #[inline]
    pub(crate) fn perform_wake(&self, wake: WakeAction) {
        if wake != WakeAction::Nothing {
            self.perform_wake_slow(wake);
        }
    }

    #[cold]
    fn perform_wake_slow(&self, mut wake: WakeAction) {
        while let WakeAction::Start(id) = wake {
            let may_start = may_start_threads();
            if may_start && self.start_worker(id).is_ok() {
                return;
            }
            // Relaxed: a count.
            self.counters.failed_starts.fetch_add(u64::from(may_start), Ordering::Relaxed);
            // mutant: a failed start is forgotten: replace self.idle.start_failed(id) with WakeAction::Nothing
            wake = self.idle.start_failed(id);
            if !may_start {
                self.idle.prompt_monitor();
            }
        }
        self.idle.unpark(wake);
    }

    pub(crate) fn start_worker(&self, id: WorkerId) -> io::Result<()> {
        let this = self.counted();
        let name = format!("{}-{id}", self.config.thread_name);
        let handle = thread::spawn(name, move || {
            let _bomb = AbortIfUnwinding("a worker");
            let worker = &this.workers[id as usize];
            let ended = worker.main();
            let has_residents = ended == WakeReason::Stop && worker.bound_count() > 0;
            if ended == WakeReason::Stop {
                // mutant: drop leave
                this.idle.leave(id);
                drop(this.drain.lock());
                this.drained.notify_all();
            }
            if has_residents {
                // Goroutines are suspended here for ever, and may refer to thread-locals. [A1]
                std::mem::forget(this);
                if MODELLED {
                    // A model has no detached threads, and tears no thread-locals down under anybody.
                    return;
                }
                let never = Parker::new();
                loop {
                    never.park();
                }
            }
        })?;
        let before = self.threads.lock()[id as usize].replace(handle);
        // The seat's last thread was reaped.
        before.into_iter().for_each(|before| self.leavers.add(before));
        Ok(())
    }

    /// A helper thread has ended, or could not be started.
    pub(crate) fn remove_helper(&self) {
        let _acting = self.idle.spec.acting();
        self.perform_wake(self.idle.remove_helper(|| self.has_stealable_work()));
    }

    /// Tries again what a failed thread start left undone.
    pub(crate) fn relieve(&self) {
        let _acting = self.idle.spec.acting();
        self.perform_wake(self.idle.relieve(|| self.has_stealable_work()));
    }

    /// One more reference to this runtime.
    pub(crate) fn counted(&self) -> Arc<Shared> {
        // SAFETY: a `Shared` is always in an `Arc`, of which somebody who called this has a count.
        unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        }
    }

    /// Takes cells back. The last one of a runtime that has ended frees it. In the child of a fork they
    /// are leaked: there the pool's lock may be held by a thread that doesn't exist.
    pub(crate) fn give_cells(this: *const Shared, cells: impl Iterator<Item = Ptr>) {
        // SAFETY: a cell that is out keeps the runtime's memory.
        if unsafe { (*this).is_here() && (*this).pool.give(cells) } {
            // SAFETY: `close` forgot one count on behalf of the cells that were out.
            drop(unsafe { Arc::from_raw(this) });
        }
    }

    // ---- sockets -------------------------------------------------------------------------------

    /// The runtime's sockets, from now on attended to.
    pub(crate) fn sockets(&self) -> io::Result<&Arc<Sockets>> {
        if let Some(sockets) = self.sockets.get() {
            return Ok(sockets);
        }
        let sockets = Arc::new(Sockets::new()?);
        Ok(self.sockets.get_or_init(|| sockets))
    }

    // ---- work ------------------------------------------------------------------------------------

    /// Whether anything waits where every worker looks. After a fence, see [I1].
    pub(crate) fn has_stealable_work(&self) -> bool {
        let reach = self.idle.reach();
        // mutant: no look into the global_queue: replace self.global_queue.is_empty() with true
        // mutant: no look into the deques: replace p.stealer.is_empty() with true
        !self.global_queue.is_empty()
            || self.processors[..reach].iter().any(|p| !p.stealer.is_empty())
    }

    /// Puts a goroutine where every worker looks. The caller then wakes somebody. [I1]
    ///
    /// # Safety
    /// It is runnable and in no queue.
    pub(crate) unsafe fn inject(&self, goroutine: Ptr) {
        goroutine.note(Event::Queued(Place::GlobalQueue));
        self.counters.injected.more(1);
        // SAFETY: the caller's duty; a cell that is out stays alive.
        unsafe { self.global_queue.push(goroutine.raw()) };
    }

    /// As [`inject`](Self::inject), for several at once.
    ///
    /// # Safety
    /// Each is runnable and in no queue.
    pub(crate) unsafe fn inject_all(&self, goroutines: impl Iterator<Item = Ptr>) {
        let mut count = 0;
        let mut batch = goroutines.map(|goroutine| {
            goroutine.note(Event::Queued(Place::GlobalQueue));
            count += 1;
            goroutine.raw()
        });
        // SAFETY: the caller's duty; cells that are out stay alive.
        unsafe { self.global_queue.push_batch(&mut batch) };
        self.counters.injected.more(count);
    }

    pub(crate) fn take_ids(&self, count: u64) -> u64 {
        // Relaxed: only uniqueness matters.
        self.next_id.fetch_add(count, Ordering::Relaxed)
    }

    pub(crate) fn count_spawned(&self) {
        self.counters.spawn_counters.begin_shared();
    }

    pub(crate) fn count_finished(&self) {
        self.counters.spawn_counters.end_shared();
    }

    /// Goroutines spawned and not ended; exact when nothing moves, never too few.
    pub(crate) fn live(&self) -> usize {
        let (spawned, finished) = self.totals();
        spawned.saturating_sub(finished) as usize
    }

    /// As `live`, without those that may have ended but are not yet settled.
    pub(crate) fn surely_live(&self) -> usize {
        self.live().saturating_sub(self.idle.reach())
    }

    /// Goroutines spawned and ended so far.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let places = self.processors.iter().map(|processor| &processor.spawn_counters);
        SpawnCounters::total(places.chain(std::iter::once(&self.counters.spawn_counters)))
    }

    /// A goroutine has ended and is counted.
    #[inline]
    pub(crate) fn note_finished(&self) {
        // Pairs with the heavy fence in `start_draining`: either that side sees our count, or we
        // see that it waits.
        fence::light();
        // Relaxed: ordered by the fence.
        // mutant: drop word to who drains
        if self.draining.load(Ordering::Relaxed) {
            drop(self.drain.lock());
            self.drained.notify_all();
        }
    }

    pub(crate) fn start_draining(&self) {
        // Relaxed: ordered by the fence.
        // mutant: drop announcement
        self.draining.store(true, Ordering::Relaxed);
        fence::heavy();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        // Relaxed: workers read it at their next decision.
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stopping(&self) {
        // Relaxed: see `is_stopping`; the roster's lock orders it for sleepers.
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Announces a blocking section to a monitor that sleeps for long, if work waits.
    #[inline]
    pub(crate) fn prompt_monitor(&self) {
        if self.idle.monitor_is_lazy() && self.has_stealable_work() {
            self.idle.prompt_monitor();
        }
    }

    /// Changes the number of processors.
    pub(crate) fn resize(&self, processors: u32) {
        let _acting = self.idle.spec.acting();
        self.idle.set_active(processors);
        // mutant: drop wake for what waits
        self.perform_wake(self.idle.notify());
    }
}
