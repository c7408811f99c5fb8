//! One runtime, as its threads see it. A runtime is in an `Arc`. Each thread of the runtime holds a count
//! of it.
//! After the runtime has ended, the cells that still have references hold one count together.
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
/// The registration of one socket.
pub(crate) type Registration = epoll::Registration<WakeHandle>;

pub(crate) struct Shared {
    pub(crate) config: Config,
    /// The process to which the runtime's threads belong.
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
    /// The sockets, once a goroutine has waited for one.
    pub(crate) sockets: OnceLock<Arc<Sockets>>,
    next_id: AtomicU64,
    /// A thread or goroutine waits until the last goroutine has ended.
    draining: AtomicBool,
    pub(crate) drain: Mutex<()>,
    pub(crate) drained: Condvar,
    stopping: AtomicBool,
    /// The handles of the workers' threads, by worker number, followed by those of the other threads: see
    /// `Attendant`.
    pub(crate) threads: Mutex<Vec<Option<thread::JoinHandle>>>,
    /// The watchdog function, until the monitor's thread has taken it.
    pub(crate) watchdog: Mutex<Option<Watchdog>>,
    pub(crate) leavers: Leavers,
}

/// A thread beside the workers: the monitor (`Watch`) or the timekeeper (`Clock`).
#[derive(Clone, Copy)]
pub(crate) enum Attendant {
    Watch,
    Clock,
}

impl Shared {
    /// Makes a runtime without threads. The caller makes the stack pool, because it knows the entry of a
    /// fiber.
    pub(crate) fn new(mut config: Config, stack_pool: Arc<StackPool>) -> Arc<Shared> {
        fence::prepare();
        fork::prepare();
        fork::note_runtime();
        let mut place = Arc::<Shared>::new_uninit();
        let shared: *const Shared = Arc::as_ptr(&place).cast();
        let mut idle =
            IdleWorkers::new(config.processors, config.max_processors, config.max_threads);
        if config.simulated.is_some() {
            // A simulation keeps the runnable goroutines in a list of its own and is fair only by chance.
            // So nothing is reported to the specification.
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
        // SAFETY: the code above has written the whole value.
        unsafe { place.assume_init() }
    }

    // ---- threads -----------------------------------------------------------------------------------

    /// Returns the index of this thread's handle in `threads`.
    pub(crate) fn place_of(&self, which: Attendant) -> usize {
        self.workers.len() + which as usize
    }

    /// Performs the wake-up that the idle-worker registry returned: wakes a sleeping worker, or starts a
    /// thread.
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
            // Relaxed: no code relies on this count to order other memory accesses.
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
                // Suspended goroutines are bound to this worker for ever, and they may refer to its
                // thread-locals. [A1]
                std::mem::forget(this);
                if MODELLED {
                    // A model has no detached threads, and it destroys no thread-locals that goroutines
                    // still use.
                    return;
                }
                let never = Parker::new();
                loop {
                    never.park();
                }
            }
        })?;
        let before = self.threads.lock()[id as usize].replace(handle);
        // The last thread of this worker slot was reaped.
        before.into_iter().for_each(|before| self.leavers.add(before));
        Ok(())
    }

    /// Called when a helper thread has ended or could not be started.
    pub(crate) fn remove_helper(&self) {
        let _acting = self.idle.spec.acting();
        self.perform_wake(self.idle.remove_helper(|| self.has_stealable_work()));
    }

    /// Tries again to start a thread, if an earlier start has failed.
    pub(crate) fn relieve(&self) {
        let _acting = self.idle.spec.acting();
        self.perform_wake(self.idle.relieve(|| self.has_stealable_work()));
    }

    /// Returns one more counted reference to this runtime.
    pub(crate) fn counted(&self) -> Arc<Shared> {
        // SAFETY: `self` is always in an `Arc`. The caller reached it through a count of that `Arc`, so the
        // count is not zero.
        unsafe {
            Arc::increment_strong_count(self);
            Arc::from_raw(self)
        }
    }

    /// Takes cells back. After the runtime has ended, the call that returns the last cell frees the
    /// runtime. In the child of a fork it leaks the cells, because a thread that does not exist there may
    /// have held the pool's lock.
    pub(crate) fn give_cells(this: *const Shared, cells: impl Iterator<Item = Ptr>) {
        // SAFETY: `this` points to the runtime of these cells. A cell that is in use keeps its runtime's
        // memory allocated.
        if unsafe { (*this).is_here() && (*this).pool.give(cells) } {
            // SAFETY: when the runtime ended, `close` left one count of it to the cells in use. The last of
            // these cells came back just now, so this call drops that count.
            drop(unsafe { Arc::from_raw(this) });
        }
    }

    // ---- sockets -------------------------------------------------------------------------------

    /// Returns the runtime's sockets. The first call makes them. Workers then poll them.
    pub(crate) fn sockets(&self) -> io::Result<&Arc<Sockets>> {
        if let Some(sockets) = self.sockets.get() {
            return Ok(sockets);
        }
        let sockets = Arc::new(Sockets::new()?);
        Ok(self.sockets.get_or_init(|| sockets))
    }

    // ---- work ------------------------------------------------------------------------------------

    /// Returns whether a goroutine waits in a queue at which every worker looks. Must be called after a
    /// fence: see [I1].
    pub(crate) fn has_stealable_work(&self) -> bool {
        let reach = self.idle.reach();
        // mutant: no look into the global_queue: replace self.global_queue.is_empty() with true
        // mutant: no look into the deques: replace p.stealer.is_empty() with true
        !self.global_queue.is_empty()
            || self.processors[..reach].iter().any(|p| !p.stealer.is_empty())
    }

    /// Puts a goroutine into the global queue. The caller must then wake a worker. [I1]
    ///
    /// # Safety
    /// The goroutine must be runnable and in no queue.
    pub(crate) unsafe fn inject(&self, goroutine: Ptr) {
        goroutine.note(Event::Queued(Place::GlobalQueue));
        self.counters.injected.more(1);
        // SAFETY: the caller guarantees that the goroutine is in no queue. Its cell stays allocated while
        // it is in use.
        unsafe { self.global_queue.push(goroutine.raw()) };
    }

    /// Like [`inject`](Self::inject), for several goroutines at once.
    ///
    /// # Safety
    /// Each goroutine must be runnable and in no queue.
    pub(crate) unsafe fn inject_all(&self, goroutines: impl Iterator<Item = Ptr>) {
        let mut count = 0;
        let mut batch = goroutines.map(|goroutine| {
            goroutine.note(Event::Queued(Place::GlobalQueue));
            count += 1;
            goroutine.raw()
        });
        // SAFETY: the caller guarantees that the goroutines are in no queue. Their cells stay allocated
        // while they are in use.
        unsafe { self.global_queue.push_batch(&mut batch) };
        self.counters.injected.more(count);
    }

    pub(crate) fn take_ids(&self, count: u64) -> u64 {
        // Relaxed: ids only have to be unique.
        self.next_id.fetch_add(count, Ordering::Relaxed)
    }

    pub(crate) fn count_spawned(&self) {
        self.counters.spawn_counters.begin_shared();
    }

    pub(crate) fn count_finished(&self) {
        self.counters.spawn_counters.end_shared();
    }

    /// Returns the number of goroutines that were spawned and have not ended. The result is exact if no
    /// goroutine is spawned or ends during the call, and it is never too small.
    pub(crate) fn live(&self) -> usize {
        let (spawned, finished) = self.totals();
        spawned.saturating_sub(finished) as usize
    }

    /// Returns the number of goroutines that have certainly not ended. This is `live`, minus the largest number
    /// of goroutines that may have ended before their last switch is finished.
    pub(crate) fn surely_live(&self) -> usize {
        self.live().saturating_sub(self.idle.reach())
    }

    /// Returns how many goroutines have been spawned and how many have ended.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let places = self.processors.iter().map(|processor| &processor.spawn_counters);
        SpawnCounters::total(places.chain(std::iter::once(&self.counters.spawn_counters)))
    }

    /// Called when a goroutine has ended and is counted. Wakes a thread that drains the runtime.
    #[inline]
    pub(crate) fn note_finished(&self) {
        // Pairs with the heavy fence in `start_draining`: either that side sees this count, or this side
        // sees that a thread waits.
        fence::light();
        // Relaxed: the fence orders this access.
        // mutant: drop word to who drains
        if self.draining.load(Ordering::Relaxed) {
            drop(self.drain.lock());
            self.drained.notify_all();
        }
    }

    pub(crate) fn start_draining(&self) {
        // Relaxed: the fence orders this access.
        // mutant: drop announcement
        self.draining.store(true, Ordering::Relaxed);
        fence::heavy();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        // Relaxed: workers read it at their next decision.
        self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn set_stopping(&self) {
        // Relaxed: see `is_stopping`. For sleeping workers, the lock of the idle-worker registry orders it.
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Wakes the monitor for a blocking section, if the monitor sleeps for a long time and work waits.
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
