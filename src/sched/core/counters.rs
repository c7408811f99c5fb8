//! Counters: what a runtime counts off any processor.
//! Checked by: proptests/runtime/metrics.rs.
#![forbid(unsafe_code)]

use crate::platform::Counter;
use crate::platform::atomic::{AtomicU64, Ordering};
use crate::structures::SpawnCounters;

/// What happened off any processor, and what went wrong.
#[derive(Default)]
pub(crate) struct Counters {
    /// Goroutines spawned and ended there.
    pub(crate) spawn_counters: SpawnCounters,
    pub(crate) panics: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) retakes: AtomicU64,
    pub(crate) failed_starts: AtomicU64,
    pub(crate) injected: Counter,
}

impl Counters {
    /// A goroutine panicked, and nobody will ask for its result.
    pub(crate) fn count_panic(&self) {
        // Relaxed: a count.
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}
