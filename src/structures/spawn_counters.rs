//! Tally: how many have begun and how many have ended, counted in many places.
//! begin: count.   end: count, later, perhaps elsewhere.   total: all that ended first, then all begun.
//!
//! [T4] Of a total, no more have ended than have begun.
//! Checked by: verification/loom/tally.rs.

use crate::platform::atomic::{AtomicU64, Ordering};

/// The counts of one place: written by its owner alone, or by anybody by the methods of `shared`.
#[derive(Debug, Default)]
pub struct SpawnCounters {
    begun: AtomicU64,
    ended: AtomicU64,
}

impl SpawnCounters {
    /// Nothing counted.
    pub fn new() -> Self {
        SpawnCounters { begun: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// By the owner: one has begun. To be called before anybody can see it.
    #[inline]
    pub fn begin(&self) {
        // Relaxed: the owner alone writes; the Release of its end, which comes after, publishes it.
        self.begun.store(self.begun.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// By the owner: one has ended. Its beginning happened before this.
    #[inline]
    pub fn end(&self) {
        // Relaxed: the owner alone writes. Release: pairs with the Acquire in `total`. [T4]
        self.ended.store(self.ended.load(Ordering::Relaxed) + 1, Ordering::Release);
    }

    /// As `begin`, by anybody.
    pub fn begin_shared(&self) {
        // Relaxed: as in `begin`.
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    /// As `end`, by anybody.
    pub fn end_shared(&self) {
        // Release: pairs with the Acquire in `total`. [T4]
        self.ended.fetch_add(1, Ordering::Release);
    }

    /// How many have begun and ended in all these places.
    pub fn total<'a>(places: impl Iterator<Item = &'a SpawnCounters> + Clone) -> (u64, u64) {
        // Acquire: pairs with the Release in `end`: the beginnings of those are seen. [T4]
        let ended = places.clone().map(|tally| tally.ended.load(Ordering::Acquire)).sum();
        // Relaxed: ordered by the Acquire above, for all that count.
        let begun = places.map(|tally| tally.begun.load(Ordering::Relaxed)).sum();
        (begun, ended)
    }
}
