//! Monitor: a thread that finds workers which make no progress, and gives their processors to other workers.
//!
//! If a worker's tick does not change while the worker is in user code, the monitor acts by the first of these
//! cases that applies:
//! - The worker is in an announced section. Its processor is retaken as soon as work waits.
//! - The worker is blocked in the kernel (its CPU clock does not advance, and the kernel says that the thread
//!   sleeps). Its processor is retaken as soon as work waits, but only after `BLOCKED_AFTER`.
//! - The goroutine is CPU-bound. The processor is retaken after `HOG_AFTER` while work waits. The number of such
//!   goroutines at a time is limited to twice the number of processors, or to four if that is more.
//!
//! Goroutines bound to such a worker wait for it, and the watchdog reports the goroutine that holds them up.
//! While nothing runs, the monitor sleeps until a processor is acquired. The invariants of the retake are [H1] and [I5].
//! Checked by: verification/loom/retake.rs, verification/shuttle/blocking.rs, verification/shuttle/fair.rs,
//! proptests/runtime/blocking.rs.

use crate::platform::atomic::Ordering;
use crate::platform::fork::Born;
use crate::platform::{clock, foreign, thread_sleeps};
use crate::sched::core::config::{Stall, Watchdog};
use crate::sched::core::forked;
use crate::sched::core::runtime::{Attendant, Shared};
use crate::sched::core::trim::Trimmer;
use crate::sched::core::worker::Worker;
use crate::sched::idle::{ProcId, WorkerId};
use std::time::Duration;

const SHORTEST: Duration = Duration::from_micros(20);
const LONGEST: Duration = Duration::from_millis(5);
/// The longest pause between two scans while only blocked goroutines are left.
const DROWSY: Duration = Duration::from_millis(50);
const BLOCKED_AFTER: u64 = 500_000;
const HOG_AFTER: u64 = 10_000_000;
/// After a section of this length the processor is retaken even if no work waits.
const LONG_SECTION: u64 = 1_000_000;

/// What the monitor has seen of one worker.
#[derive(Clone, Copy, Default)]
struct Watch {
    ticks: u32,
    /// The time at which the monitor first saw the current tick.
    since: u64,
    /// The thread's CPU clock at that time.
    cpu_since: u64,
    /// The time and the CPU clock at the last scan.
    looked: Option<(u64, u64)>,
    in_kernel: bool,
    next_report: u64,
}

impl Watch {
    /// Returns true if the thread really had a CPU. A thread that only waits for its turn on a busy machine is not
    /// helped by more threads, unless it waits for long.
    fn has_computed(&self, elapsed: u64) -> bool {
        let ran = self.looked.map_or(0, |(_, cpu)| cpu.saturating_sub(self.cpu_since));
        ran >= HOG_AFTER / 2 || elapsed >= 5 * HOG_AFTER
    }
}

pub(crate) struct Monitor<'a> {
    shared: &'a Shared,
    hook: Option<Watchdog>,
    watches: Vec<Watch>,
    holds: Vec<Option<ProcId>>,
    period: Duration,
    trimmer: Trimmer,
    /// The time at which the monitor last looked for newly loaded libraries.
    caught_up: u64,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let (watches, holds, trimmer) = (Vec::new(), Vec::new(), Trimmer::default());
        let hook = None;
        Monitor { shared, hook, watches, holds, period: LONGEST, trimmer, caught_up: 0 }
    }

    /// Runs the monitor's thread. The thread owns the hook, so the hook is dropped here and nowhere else.
    pub(crate) fn main(&mut self) {
        self.hook = self.shared.watchdog.lock().take();
        self.watch();
        let hook = self.hook.take();
        foreign::call(|| drop(hook));
    }

    fn watch(&mut self) {
        let born = Born::here();
        loop {
            let trims = self.trimmer.step(self.shared, self.nothing_runs());
            let period = trims.map_or(self.period, |soon| soon.min(self.period));
            if !self.shared.idle.monitor_sleep(period, trims.is_none()) {
                return;
            }
            self.shared.relieve();
            self.shared.see_to_sockets();
            self.catch_up();
            let longest = if self.nothing_runs() { DROWSY } else { LONGEST };
            self.period = if self.scan() { SHORTEST } else { (2 * self.period).min(longest) };
            forked::check_thread(born, "the watchdog's hook has called `fork`, and returned");
        }
    }

    /// Catches up with libraries that were loaded in a way that `interpose` does not see.
    fn catch_up(&mut self) {
        let now = clock::now();
        if let Some(blocks) = self.shared.config.blocks
            && now.saturating_sub(self.caught_up) >= LONGEST.as_nanos() as u64
        {
            self.caught_up = now;
            blocks.catch_up();
        }
    }

    fn nothing_runs(&self) -> bool {
        self.shared.idle.idle_processors() >= self.shared.idle.active()
    }

    /// Scans every worker once. Returns true if the next scan should come soon.
    pub(crate) fn scan(&mut self) -> bool {
        let idle = &self.shared.idle;
        let seats = idle.used_slots();
        self.watches.resize(seats as usize, Watch::default());
        self.holds.clear();
        self.holds.resize(seats as usize, None);
        for proc in 0..idle.reach() as ProcId {
            // A slot that was taken meanwhile is seen at the next scan.
            let slot = idle.holder(proc).and_then(|id| self.holds.get_mut(id as usize));
            if let Some(slot) = slot {
                *slot = Some(proc);
            }
        }
        let mut soon = false;
        for id in 0..seats {
            soon |= self.look_at(id);
        }
        soon
    }

    fn look_at(&mut self, id: WorkerId) -> bool {
        let worker = &*self.shared.workers[id as usize];
        let proc = self.holds[id as usize];
        let watch = &mut self.watches[id as usize];
        let without = self.shared.idle.is_without(id);
        let stands = (proc.is_some() || without) && worker.slot().gate.is_outside();
        let now = clock::now();
        if !stands || worker.ticks() != watch.ticks {
            let cpu = if stands { cpu_time(worker) } else { None };
            *watch = Watch {
                ticks: worker.ticks(),
                since: now,
                cpu_since: cpu.unwrap_or(0),
                looked: cpu.map(|cpu| (now, cpu)),
                ..Watch::default()
            };
            return false;
        }
        let elapsed = now - watch.since.min(now);
        let soon = match proc {
            Some(proc) => retake_if_due(self.shared, worker, proc, watch, now, elapsed),
            None => false,
        };
        report_if_due(self.shared, self.hook.as_ref(), worker, watch, elapsed);
        soon
    }
}

/// Called for a worker that has a processor and makes no progress. Retakes the processor if that is due. Returns
/// true if the next scan should come soon.
fn retake_if_due(
    shared: &Shared,
    worker: &Worker,
    proc: ProcId,
    watch: &mut Watch,
    now: u64,
    elapsed: u64,
) -> bool {
    let processor = &shared.processors[proc as usize];
    if processor.has_next() && shared.idle.idle_processors() > 0 {
        free_next(shared, proc);
    }
    let waits =
        shared.has_stealable_work() || processor.has_next() || shared.idle.resched_requested();
    if worker.in_section() {
        watch.in_kernel = true;
        if waits || elapsed >= LONG_SECTION {
            return retake(shared, worker.id, proc, false);
        }
        return false;
    }
    watch.in_kernel = sleeps_in_kernel(worker, watch, now);
    if watch.in_kernel {
        let due = if waits { BLOCKED_AFTER } else { HOG_AFTER };
        return if elapsed >= due { retake(shared, worker.id, proc, false) } else { waits };
    }
    if waits && elapsed >= HOG_AFTER && watch.has_computed(elapsed) {
        return retake(shared, worker.id, proc, true);
    }
    // Until the CPU clock was read twice, the worker may be one that is blocked in the kernel.
    waits && elapsed < BLOCKED_AFTER
}

/// Decides by the CPU clock since the last scan, and then by what the kernel says, because the clock of a thread
/// that only waits for its turn on a busy machine does not advance either.
fn sleeps_in_kernel(worker: &Worker, watch: &mut Watch, now: u64) -> bool {
    let Some(cpu) = cpu_time(worker) else { return false };
    let before = watch.looked.replace((now, cpu));
    let Some((then, cpu_then)) = before else { return false };
    if cpu.saturating_sub(cpu_then) >= (now - then) / 8 {
        return false;
    }
    let kernel_id = worker.thread.lock().map(|thread| thread.kernel_id);
    kernel_id.is_some_and(|id| thread_sleeps(id).unwrap_or(true))
}

fn cpu_time(worker: &Worker) -> Option<u64> {
    // Reads the clock under the lock, because the clock of a thread that has ended may belong to another thread.
    let thread = worker.thread.lock();
    thread.as_ref()?.clock?.nanos()
}

/// Takes the processor of a worker in user code, and gives it to a worker that can use it. Returns false if the
/// processor could not be taken.
pub(crate) fn retake(shared: &Shared, id: WorkerId, proc: ProcId, cpu_bound: bool) -> bool {
    let _acting = shared.idle.spec.acting();
    if !shared.idle.try_revoke(id, proc, cpu_bound) {
        return false;
    }
    // Relaxed: no code relies on this count to order other memory accesses.
    shared.counters.retakes.fetch_add(1, Ordering::Relaxed);
    let processor = &shared.processors[proc as usize];
    // SAFETY: this call has revoked `processor`, so no other thread owns it until the call releases it below. [H1]
    let held = unsafe { processor.held() };
    if proc >= shared.idle.active() {
        // mutant: drop hand-over of the queues
        held.drain(shared);
    } else {
        // mutant: drop flush of run_next
        held.flush_next(shared);
    }
    // mutant: drop release
    shared.perform_wake(shared.idle.release(proc, || shared.has_stealable_work()));
    true
}

/// Retakes every processor that can be retaken, and returns their number. A model calls this instead of running a
/// monitor.
pub(crate) fn retake_all(shared: &Shared) -> usize {
    let idle = &shared.idle;
    let held = |proc| idle.holder(proc).map(|id| (id, proc));
    let due = (0..idle.reach() as ProcId).filter_map(held);
    due.filter(|(id, proc)| retake(shared, *id, *proc, false)).count()
}

/// Moves the goroutine in `run_next` to the global queue. Called when a processor is idle while this goroutine
/// waits behind a goroutine that does not suspend.
fn free_next(shared: &Shared, proc: ProcId) {
    let _acting = shared.idle.spec.acting();
    if let Some(next) = shared.processors[proc as usize].take_next() {
        // SAFETY: the goroutine `next` was taken from `run_next` just now, so `next` is in no queue.
        unsafe { shared.inject(next) };
        shared.perform_wake(shared.idle.notify());
    }
}

/// Reports a goroutine that holds up goroutines bound to its worker. The first report comes after `HOG_AFTER`, and
/// another one whenever the time has doubled.
fn report_if_due(
    shared: &Shared,
    hook: Option<&Watchdog>,
    worker: &Worker,
    watch: &mut Watch,
    elapsed: u64,
) {
    let waiting = worker.waiting();
    if waiting == 0 || elapsed < watch.next_report.max(HOG_AFTER) {
        return;
    }
    let look = || {
        // SAFETY: `current` points to the goroutine that the worker runs. `observe` holds the lock of the registry,
        // and while it does, the worker cannot leave that goroutine.
        let goroutine = unsafe { worker.current().as_ref() }?;
        Some((goroutine.id(), goroutine.name().map(str::to_owned)))
    };
    let Some((id, name)) = shared.idle.observe(worker.id, look).flatten() else { return };
    watch.next_report = 2 * elapsed;
    // Relaxed: no code relies on this count to order other memory accesses.
    shared.counters.stalls.fetch_add(1, Ordering::Relaxed);
    if let Some(hook) = hook {
        let elapsed = Duration::from_nanos(elapsed);
        report(shared, hook, &Stall { id, name, elapsed, waiting, in_kernel: watch.in_kernel });
    }
}

/// Calls the hook, unless the runtime is already ending. A thread that ends the runtime meanwhile finds no handle
/// of this thread, and so does not wait for the hook, which may itself be what ends the runtime. [T5]
fn report(shared: &Shared, hook: &Watchdog, stall: &Stall) {
    let place = shared.place_of(Attendant::Watch);
    // The lock is released at the end of this statement.
    let own = shared.threads.lock()[place].take();
    let Some(own) = own else { return };
    foreign::call(|| hook(stall));
    shared.threads.lock()[place] = Some(own);
}
