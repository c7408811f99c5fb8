//! Permits: one is consumed at most once and never lost. [S3]
//!
//! Unparks and consumption are single read-modify-writes of the state word, which are told of beside
//! them: an unpark as an interval around its own, a consumption after its own, and after the `park`
//! that it ends has begun. So the rules say what holds wherever within those the instant lies:
//! - a consumption has an unpark that ended after the `park` of the consumption before it began, or
//!   has not ended;
//! - one that is parked, with no unpark in progress and no deadline about to ready it, has had none that began after its last
//!   consumption.
//!
//! Checked by: src/observe/specification/tests.rs.

/// What is known of a goroutine's permit.
#[derive(Debug, Default)]
pub(super) struct Permits {
    /// Unparks begun and not ended.
    in_progress: usize,
    /// Its deadline is about to ready it.
    pub(super) expires: bool,
    /// When the last unpark to have ended did so.
    ended: u64,
    /// An unpark that has ended began when nobody had consumed its permit, and nobody has since.
    pending: bool,
    /// When the last unpark that may still be consumed began.
    begun: u64,
    /// When the current `park` began, and the one that consumed last.
    parks: u64,
    consumed_by: u64,
    /// When the last consumption was told.
    consumed: u64,
}

impl Permits {
    /// Of a goroutine spawned at `now`.
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
        // With others in progress the last that began may not be this one; they will say.
        self.pending |= self.in_progress == 0 && self.begun > self.consumed;
    }

    /// It has consumed a permit; false if there was none. [S3]
    pub(super) fn consume(&mut self, now: u64) -> bool {
        let given = self.in_progress > 0 || self.ended > self.consumed_by;
        self.consumed_by = self.parks;
        self.consumed = now;
        self.pending = false;
        given
    }

    /// Whether one that is parked has a permit all the same. [S3]
    pub(super) fn is_lost(&self) -> bool {
        self.in_progress == 0 && !self.expires && self.pending
    }
}
