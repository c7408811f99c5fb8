//! Spawn counters: how many goroutines have begun and how many have ended, counted in many places.
//! begin: count.   end: count, later, perhaps elsewhere.   total: read all that ended first, then all that
//! began.
//!
//! [T4] Of a total, no more have ended than have begun.
//! Checked by: verification/loom/tally.rs.

use crate::platform::atomic::{AtomicU64, Ordering};

/// The counts of one place. Only its owner writes it, or any thread does by the methods of `shared`.
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

    /// Counts a beginning, by the owner. It must be called before another thread can see what begins.
    #[inline]
    pub fn begin(&self) {
        // Relaxed: only the owner writes it, and the Release of the end, which comes after, publishes it.
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts an end, by the owner. The beginning happened before this.
    #[inline]
    pub fn end(&self) {
        // Relaxed: only the owner writes it. Release: pairs with the Acquire in `total`. [T4]
        self.ended.store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// As `begin`, by any thread.
    pub fn begin_shared(&self) {
        // Relaxed: as in `begin`.
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// As `end`, by any thread.
    pub fn end_shared(&self) {
        // Release: pairs with the Acquire in `total`. [T4]
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// Returns how many have begun and ended in all these places.
    pub fn total<'a>(places: impl Iterator<Item = &'a SpawnCounters> + Clone) -> (u64, u64) {
        // Acquire: pairs with the Release in `end`: the beginnings of what ended are seen. [T4]
        let ended = places.clone().map(|tally| tally.ended.load(Ordering::Acquire)).sum();
        // Relaxed: the Acquire above orders it for all that matter.
        let begun = places.map(|tally| tally.begun.load(Ordering::Relaxed)).sum();
        (begun, ended)
    }
}
