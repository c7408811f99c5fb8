//! Permits: a permit is consumed at most once and never lost. [S3]
//!
//! An unpark and a consumption are each a single read-modify-write of the state word. They are told beside it:
//! an unpark as an interval around its read-modify-write, and a consumption after its own, and after the `park`
//! that it ends has begun. So the rules say what holds wherever in those intervals the instant lies:
//! - For each consumption there is an unpark that has not ended, or that ended after the `park` of the
//!   consumption before it began.
//! - A parked goroutine, with no unpark in progress and no deadline about to ready it, has had no unpark that
//!   began after its last consumption.
//!
//! Checked by: src/observe/specification/tests.rs.

/// What is known of a goroutine's permit.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// How many unparks have begun and not ended.
    in_progress: usize,
    /// Its deadline is about to ready it.
    pub(super) expires: bool,
    /// When the unpark that ended last has ended.
    ended: u64,
    /// An unpark that has ended began when its permit was not consumed, and no consumption came since.
    pending: bool,
    /// When the last unpark that may still be consumed began.
    begun: u64,
    /// When the current `park` began, and the `park` that consumed last.
    parks: u64,
    consumed_by: u64,
    /// When the last consumption was told.
    consumed: u64,
}

impl Permits {
    /// The permits of a goroutine spawned at `now`.
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

    /// Returns whether a parked goroutine has a permit all the same. [S3]
    pub(super) fn is_lost(&self) -> bool {
        self.in_progress == 0 && !self.expires && self.pending
    }
}
