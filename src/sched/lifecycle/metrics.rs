//! Metrics are the numbers that a runtime counts.
//! Checked by: proptests/runtime/metrics.rs.

use crate::platform::atomic::{AtomicU64, Ordering};
use crate::sched::core::runtime::Shared;

/// Counts of a runtime, as a snapshot. See [`Runtime::metrics`](crate::Runtime::metrics).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// The number of processors that may run goroutines.
    pub processors: usize,
    /// The number of processors that no worker holds.
    pub idle_processors: usize,
    /// The number of kernel threads of workers and helpers, without the monitor and the timekeeper.
    pub threads: usize,
    /// The number of workers that have runnable goroutines and wait for a processor.
    pub queueing_workers: usize,
    /// The number of goroutines spawned so far.
    pub spawned: u64,
    /// The number of goroutines that have ended so far.
    pub finished: u64,
    /// The number of panics of goroutines that had lost their join handle before.
    pub unclaimed_panics: u64,
    /// How often a processor was taken from a goroutine that blocked or computed for long.
    pub retakes: u64,
    /// How often the watchdog reported a goroutine that held up goroutines bound to the same worker.
    pub stalls: u64,
    /// The number of kernel threads that could not be started.
    pub failed_thread_starts: u64,
    /// How often a processor stole goroutines from another processor.
    pub steals: u64,
    /// How often a worker found nothing to do, and slept.
    pub sleeps: u64,
    /// How often a worker that slept, or waited for a processor, was woken. Each wake-up is a system call if the
    /// worker's kernel thread was asleep in the kernel.
    pub wakes: u64,
    /// The number of goroutines that passed through the global queue.
    pub injected: u64,
    /// How often a thread had to wait for the lock of the global queue.
    pub injector_contention: u64,
}

impl Shared {
    pub(crate) fn metrics(&self) -> Metrics {
        // Relaxed: no code relies on these counts to order other memory accesses.
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (threads, queueing_workers) = self.idle.threads();
        let (spawned, finished) = self.totals();
        Metrics {
            processors: self.idle.active() as usize,
            idle_processors: self.idle.idle_processors() as usize,
            threads,
            queueing_workers,
            spawned,
            finished,
            unclaimed_panics: count(&self.counters.panics),
            retakes: count(&self.counters.retakes),
            stalls: count(&self.counters.stalls),
            failed_thread_starts: count(&self.counters.failed_starts),
            steals: self.processors.iter().map(|processor| processor.steals.get()).sum(),
            sleeps: self.idle.sleeps.get(),
            wakes: self.idle.wakes.get(),
            injected: self.counters.injected.get(),
            injector_contention: self.global_queue.contended(),
        }
    }
}
