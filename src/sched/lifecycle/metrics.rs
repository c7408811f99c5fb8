//! Metrics: what a runtime counts.
//! Checked by: proptests/runtime/metrics.rs.

use crate::platform::atomic::{AtomicU64, Ordering};
use crate::sched::core::runtime::Shared;

/// What a runtime counts; see [`Runtime::metrics`](crate::Runtime::metrics).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Processors that may run goroutines.
    pub processors: usize,
    /// Those of them that have nothing to do.
    pub idle_processors: usize,
    /// Kernel threads of workers and helpers; the monitor and the timekeeper come on top.
    pub threads: usize,
    /// Workers that have runnable goroutines and wait for a processor.
    pub queueing_workers: usize,
    /// Goroutines spawned so far.
    pub spawned: u64,
    /// Goroutines ended so far.
    pub finished: u64,
    /// Panics of goroutines whose handle was gone.
    pub unclaimed_panics: u64,
    /// Processors taken from goroutines that blocked or computed for long.
    pub retakes: u64,
    /// Reports of goroutines that held up their neighbours.
    pub stalls: u64,
    /// Kernel threads that could not be started.
    pub failed_thread_starts: u64,
    /// How often a processor took a share of another's goroutines.
    pub steals: u64,
    /// How often a worker found nothing to do, and slept.
    pub sleeps: u64,
    /// How often a worker that slept, or waited for a processor, was woken: a system call, if its kernel
    /// thread slept already.
    pub wakes: u64,
    /// Goroutines that passed through the queue that all processors share.
    pub injected: u64,
    /// How often somebody had to wait for that queue's lock.
    pub injector_contention: u64,
}

impl Shared {
    pub(crate) fn metrics(&self) -> Metrics {
        // Relaxed: counts.
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
