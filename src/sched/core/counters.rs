//! Counters of a runtime for events that belong to no processor.
//! Checked by: proptests/runtime/metrics.rs.
#![forbid(unsafe_code)]

use crate::platform::Counter;
use crate::platform::atomic::{AtomicU64, Ordering};
use crate::structures::SpawnCounters;

/// Counts events that belong to no processor, and failures.
#[derive(Default)]
pub(crate) struct Counters {
    /// Goroutines that were spawned or ended by a thread without a processor.
    pub(crate) spawn_counters: SpawnCounters,
    pub(crate) panics: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) retakes: AtomicU64,
    pub(crate) failed_starts: AtomicU64,
    pub(crate) injected: Counter,
}

impl Counters {
    /// Counts a goroutine that panicked, if no thread will ask for its result.
    pub(crate) fn count_panic(&self) {
        // Relaxed: no code relies on this count to order other memory accesses.
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}
