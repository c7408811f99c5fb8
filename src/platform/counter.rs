//! Counter: counts how often something happened. A counter is not a part of any model, because no code decides by its
//! value.
//! Checked by: proptests/runtime/metrics.rs.

use super::unmodelled::{AtomicU64, Ordering};

/// A counter; see the module's documentation.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Returns a counter at zero.
    pub const fn new() -> Self {
        Counter(AtomicU64::new(0))
    }

    /// Adds one. Only the one thread that counts here may call this.
    #[inline]
    pub fn once_by_owner(&self) {
        // Relaxed, here and below: the value is only a report.
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Adds `n`. Any thread may call this.
    pub fn more(&self, n: u64) {
        // Relaxed: see above.
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Returns the value so far.
    pub fn get(&self) -> u64 {
        // Relaxed: see above.
        self.0.load(Ordering::Relaxed)
    }
}
