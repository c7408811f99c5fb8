//! Count: how often something happened. No part of any model, since nothing follows from it.
//! Checked by: proptests/runtime/metrics.rs.

use super::unmodelled::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Once more, by the only thread that counts here.
    #[inline]
    pub fn once_by_owner(&self) {
        // Relaxed, here and below: a report.
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// So many more, by anybody.
    pub fn more(&self, n: u64) {
        // Relaxed: see above.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn get(&self) -> u64 {
        // Relaxed: see above.
        self.0.load(Ordering::Relaxed)
    }
}
