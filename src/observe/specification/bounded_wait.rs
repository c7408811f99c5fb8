//! Turns: a runnable goroutine runs after a bounded number of decisions. [F2]
//!
//! docs/fairness.md derives the bounds; here they stand as numbers, for the foremost of each queue:
//! once it is the foremost it goes within so many decisions, and so the k-th within k + 1 times as
//! many. A decision counts only if nobody else is at work at that moment: a thief that has claimed
//! the foremost and not yet told, or a pusher that has told and not yet pushed, is at work.
//! Checked by: src/observe/specification/tests.rs, proptests/runtime/fairness.rs.

use super::Key;
use std::collections::VecDeque;

/// The injector's turn comes once in so many decisions.
const INJECTOR_EVERY: u64 = 61;
/// How often in a row `run_next` goes first.
const STREAK: u64 = 16;
/// `run_next` itself goes at the next decision, or at the one after the injector's turn.
pub(super) const NEXT: u64 = 2;
/// The inbox is emptied by the first decision that neither the injector nor `run_next` has.
pub(super) const REMOTE: u64 = STREAK + 2;
/// Of two turns one is the ring's.
pub(super) const RING: u64 = queue(2);
/// Of four turns one is the deque's.
pub(super) const RUN_QUEUE: u64 = queue(4);

/// One decision in 61 is the injector's.
const fn queue(turns: u64) -> u64 {
    (turns * (1 + STREAK) * INJECTOR_EVERY).div_ceil(INJECTOR_EVERY - 1) + 1
}

/// Decisions of one processor for the foremost of `waiting` in the injector. Those told of at about
/// the same time may be in another order there, so any of them may be ahead.
pub(super) fn global_queue(waiting: usize) -> u64 {
    INJECTOR_EVERY * waiting as u64 + 1
}

/// A queue, as far as turns go. What has gone stays here until it is the foremost.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Each with the time at which it was queued.
    entries: VecDeque<(Key, u64)>,
    /// How many of them are there.
    pub(super) waiting: usize,
    /// When the foremost was queued, and how many were waiting when it was first seen to be it.
    foremost: u64,
    then_waiting: usize,
    /// Decisions that have passed it over, for each of those who decide.
    passed: Vec<u64>,
}

impl Line {
    pub(super) fn push(&mut self, goroutine: Key, queued: u64) {
        self.entries.push_back((goroutine, queued));
        self.waiting += 1;
    }

    /// One has gone, perhaps not the foremost.
    pub(super) fn pop(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            self.entries.clear();
        }
    }

    /// The worker has only just got a processor.
    pub(super) fn restart(&mut self) {
        self.passed.clear();
    }

    /// At a decision by `who`: the foremost, if more decisions have passed it over than `most` says
    /// of so many as were waiting.
    pub(super) fn overdue(
        &mut self,
        who: u32,
        most: impl Fn(usize) -> u64,
        is_there: impl Fn(Key, u64) -> bool,
    ) -> Option<Key> {
        let (goroutine, queued) = loop {
            let (goroutine, queued) = *self.entries.front()?;
            if is_there(goroutine, queued) {
                break (goroutine, queued);
            }
            self.entries.pop_front();
        };
        if queued != self.foremost {
            (self.foremost, self.then_waiting) = (queued, self.waiting);
            self.passed.clear();
        }
        let who = who as usize;
        self.passed.resize(self.passed.len().max(who + 1), 0);
        self.passed[who] += 1;
        (self.passed[who] > most(self.then_waiting)).then_some(goroutine)
    }
}
