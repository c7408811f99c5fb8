//! Spawn counters: how many goroutines have begun and how many have ended, counted in several counters.
//! begin: count.   end: count, later, perhaps in another counter.   total: read all ends first, then all beginnings.
//!
//! [T4] In a total, the number of ends is at most the number of beginnings.
//! Checked by: verification/loom/tally.rs.

use crate::platform::atomic::{AtomicU64, Ordering};

/// One pair of counts. Only its owner writes it, or any thread does through the methods of `shared`.
#[derive(Debug, Default)]
pub struct SpawnCounters {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl SpawnCounters {
    /// Returns counters at zero.
    pub fn new() -> Self {
        SpawnCounters { begun: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// Counts a beginning. Only the owner calls this, before another thread can see the goroutine that begins.
    #[inline]
    pub fn begin(&self) {
        // Relaxed: only the owner writes the counter, and the Release of the later end publishes the value.
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts an end. Only the owner calls this. The beginning must happen before the call.
    #[inline]
    pub fn end(&self) {
        // Relaxed: only the owner writes the counter. Release: pairs with the Acquire in `total`. [T4]
        self.ended.store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// Works like `begin`, for any thread.
    pub fn begin_shared(&self) {
        // Relaxed: the Release of the later end publishes the value, as for `begin`.
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// Works like `end`, for any thread.
    pub fn end_shared(&self) {
        // Release: pairs with the Acquire in `total`. [T4]
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// Returns how many goroutines have begun and ended in all these counters.
    pub fn total<'a>(places: impl Iterator<Item = &'a SpawnCounters> + Clone) -> (u64, u64) {
        // Acquire: pairs with the Release in `end`, so that the beginning of each counted end is seen. [T4]
        let ended = places.clone().map(|tally| tally.ended.load(Ordering::Acquire)).sum();
        // Relaxed: the Acquire above makes visible all the beginnings that the result needs.
        let begun = places.map(|tally| tally.begun.load(Ordering::Relaxed)).sum();
        (begun, ended)
    }
}
