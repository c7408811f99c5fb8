//! Counter: how often something happened. It is no part of any model, since nothing follows from it.
//! Checked by: proptests/runtime/metrics.rs.

use super::unmodelled::{AtomicU64, Ordering};

/// See the module.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Returns a counter at zero.
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Counts one more, by the only thread that counts here.
    #[inline]
    pub fn once_by_owner(&self) {
        // Relaxed, here and below: the value is only a report.
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Counts so many more, by any thread.
    pub fn more(&self, n: u64) {
        // Relaxed: see above.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Returns how often it happened so far.
    pub fn get(&self) -> u64 {
        // Relaxed: see above.
        self.0.load(Ordering::Relaxed)
    }
}
