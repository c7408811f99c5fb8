//! Monitor: sees workers that don't get on, and gives their processors to others.
//!
//! A worker whose tick stands still while it is in user code is, in this order:
//! - in an announced section: its processor is retaken as soon as work waits;
//! - blocked in the kernel (CPU clock stands still, the kernel says it sleeps): the same, after
//!   `BLOCKED_AFTER`;
//! - a hog: retaken after `HOG_AFTER` while work waits, for at most twice as many as processors.
//!
//! Goroutines at home on such a worker wait for it; the watchdog says who holds them up.
//! Nothing runs: the monitor sleeps until a processor is taken up. The retake itself: [H1], [I5].
//! Checked by: verification/loom/retake.rs, verification/shuttle/blocking.rs,
//! verification/shuttle/fair.rs, proptests/runtime/blocking.rs.

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
/// Longest period while nothing runs but blocked goroutines.
const DROWSY: Duration = Duration::from_millis(50);
const BLOCKED_AFTER: u64 = 500_000;
const HOG_AFTER: u64 = 10_000_000;
/// A section longer than this loses its processor even if no work waits yet.
const LONG_SECTION: u64 = 1_000_000;

/// What was seen of one worker.
#[derive(Clone, Copy, Default)]
struct Watch {
    ticks: u32,
    /// When this tick was first seen.
    since: u64,
    /// The thread's CPU clock then.
    cpu_since: u64,
    /// At the last look: time and CPU clock.
    looked: Option<(u64, u64)>,
    in_kernel: bool,
    next_report: u64,
}

impl Watch {
    /// Whether the thread really had a CPU; one that merely waits for its turn on a busy machine is
    /// not helped by more threads, unless it waits for long.
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
    /// When it last looked for libraries.
    caught_up: u64,
}

impl<'a> Monitor<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let (watches, holds, trimmer) = (Vec::new(), Vec::new(), Trimmer::default());
        let hook = None;
        Monitor { shared, hook, watches, holds, period: LONGEST, trimmer, caught_up: 0 }
    }

    /// The life of the monitor's thread, which owns the hook: so that is dropped here, and nowhere else.
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

    /// With libraries that were loaded by a way that is not seen.
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

    /// Looks at every worker once; true if there is reason to look again soon.
    pub(crate) fn scan(&mut self) -> bool {
        let idle = &self.shared.idle;
        let seats = idle.used_slots();
        self.watches.resize(seats as usize, Watch::default());
        self.holds.clear();
        self.holds.resize(seats as usize, None);
        for proc in 0..idle.reach() as ProcId {
            // A seat taken up since is seen the next time.
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

/// A worker with a processor stands still. True if it should be looked at again soon.
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
    // Until its CPU clock was seen twice it may be one that sleeps in the kernel.
    waits && elapsed < BLOCKED_AFTER
}

/// By its CPU clock since the last look, and then by the kernel's word: a thread that merely waits
/// for its turn on a busy machine has a still clock, too.
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
    // Under the lock: the clock of a thread that has ended may be another's.
    let thread = worker.thread.lock();
    thread.as_ref()?.clock?.nanos()
}

/// Takes the processor of a worker in user code, and gives it to who can use it.
pub(crate) fn retake(shared: &Shared, id: WorkerId, proc: ProcId, cpu_bound: bool) -> bool {
    let _acting = shared.idle.spec.acting();
    if !shared.idle.try_revoke(id, proc, cpu_bound) {
        return false;
    }
    // Relaxed: a count.
    shared.counters.retakes.fetch_add(1, Ordering::Relaxed);
    let processor = &shared.processors[proc as usize];
    // SAFETY: just seized, and released below. [H1]
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

/// What a model does instead of a monitor: retakes whatever can be retaken.
pub(crate) fn retake_all(shared: &Shared) -> usize {
    let idle = &shared.idle;
    let held = |proc| idle.holder(proc).map(|id| (id, proc));
    let due = (0..idle.reach() as ProcId).filter_map(held);
    due.filter(|(id, proc)| retake(shared, *id, *proc, false)).count()
}

/// A processor is idle while `run_next` waits for a goroutine that doesn't suspend.
fn free_next(shared: &Shared, proc: ProcId) {
    let _acting = shared.idle.spec.acting();
    if let Some(next) = shared.processors[proc as usize].take_next() {
        // SAFETY: it was just taken from `run_next`, so it is in no queue.
        unsafe { shared.inject(next) };
        shared.perform_wake(shared.idle.notify());
    }
}

/// Tells who holds up goroutines at home: after `HOG_AFTER`, and each time that has doubled.
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
        // SAFETY: the worker stays in this goroutine while the roster's lock is held.
        let goroutine = unsafe { worker.current().as_ref() }?;
        Some((goroutine.id(), goroutine.name().map(str::to_owned)))
    };
    let Some((id, name)) = shared.idle.observe(worker.id, look).flatten() else { return };
    watch.next_report = 2 * elapsed;
    // Relaxed: a count.
    shared.counters.stalls.fetch_add(1, Ordering::Relaxed);
    if let Some(hook) = hook {
        let elapsed = Duration::from_nanos(elapsed);
        report(shared, hook, &Stall { id, name, elapsed, waiting, in_kernel: watch.in_kernel });
    }
}

/// Calls the hook, unless the runtime ends already. Whoever ends it meanwhile finds no handle of this thread,
/// and so does not wait for the hook, which may be what ends it. [T5]
fn report(shared: &Shared, hook: &Watchdog, stall: &Stall) {
    let place = shared.place_of(Attendant::Watch);
    // In its own statement: the lock is not kept.
    let own = shared.threads.lock()[place].take();
    let Some(own) = own else { return };
    foreign::call(|| hook(stall));
    shared.threads.lock()[place] = Some(own);
}
