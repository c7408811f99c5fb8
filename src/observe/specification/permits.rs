//! Permits: a permit is consumed at most once and never lost. [S3]
//!
//! An unpark and a consumption are each a single read-modify-write of the state word, but they are told separately.
//! An unpark is told as an interval around its read-modify-write. A consumption is told after its read-modify-write,
//! and after the beginning of the `park` that it ends. So the rules must be valid wherever in those intervals the
//! read-modify-write is:
//! - For each consumption there is an unpark that has not ended, or that ended after the `park` of the
//!   consumption before it began.
//! - A parked goroutine, with no unpark in progress and no deadline about to make it runnable, has had no unpark that
//!   began after its last consumption.
//!
//! Checked by: src/observe/specification/tests.rs.

/// What is known of a goroutine's permit.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// The number of unparks that have begun and not ended.
    in_progress: usize,
    /// Whether the goroutine's deadline is about to make it runnable.
    pub(super) expires: bool,
    /// The time at which the last unpark to end has ended.
    ended: u64,
    /// Whether an unpark that has ended began when its permit was not consumed, with no consumption since.
    pending: bool,
    /// The time at which the last unpark that may still be consumed began.
    begun: u64,
    /// The time at which the current `park` began, and that of the `park` that consumed last.
    parks: u64,
    consumed_by: u64,
    /// The time at which the last consumption was told.
    consumed: u64,
}

impl Permits {
    /// Returns the permits of a goroutine that is spawned at `now`.
    pub(super) fn new(now: u64) -> Self {
        Permits { parks: now, consumed_by: now, consumed: now, ..Permits::default() }
    }

    pub(super) fn park(&mut self, now: u64) {
        self.parks = now;
    }

    pub(super) fn unpark_begins(&mut self, now: u64) {
        self.in_progress += 1;
        self.begun = now;
    }

    pub(super) fn unpark_ends(&mut self, now: u64) {
        self.in_progress = self.in_progress.saturating_sub(1);
        self.ended = now;
        // While other unparks are in progress, the last that began may not be this one; their ends will be told
        // too.
        self.pending |= self.in_progress == 0 && self.begun > self.consumed;
    }

    /// Tells that the goroutine has consumed a permit; returns false if there was none. [S3]
    pub(super) fn consume(&mut self, now: u64) -> bool {
        let given = self.in_progress > 0 || self.ended > self.consumed_by;
        self.consumed_by = self.parks;
        self.consumed = now;
        self.pending = false;
        given
    }

    /// Returns whether a parked goroutine has a permit, which [S3] forbids.
    pub(super) fn is_lost(&self) -> bool {
        self.in_progress == 0 && !self.expires && self.pending
    }
}
