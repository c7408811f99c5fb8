//! Bounded wait: a runnable goroutine runs after a bounded number of decisions. [F2]
//!
//! docs/fairness.md derives the bounds, and this file states them as numbers, for the first goroutine of each queue.
//! Once a goroutine is the first, it leaves within so many decisions, so the k-th goroutine leaves within k + 1 times
//! as many. A decision counts only if no other thread is at work at that moment. For example, a thief is at work if
//! it has claimed the first goroutine and not yet told so, and a pusher is at work if it has told of its push and not
//! yet pushed.
//! Checked by: src/observe/specification/tests.rs, proptests/runtime/fairness.rs.

use super::Key;
use std::collections::VecDeque;

/// The global queue has its turn once in this many decisions.
const INJECTOR_EVERY: u64 = 61;
/// How many decisions in a row `run_next` may go before the other queues.
const STREAK: u64 = 16;
/// The goroutine in `run_next` leaves at the next decision, or at the decision after the global queue's turn.
pub(super) const NEXT: u64 = 2;
/// The remote queue is emptied by the first decision that is the turn of neither the global queue nor `run_next`.
pub(super) const REMOTE: u64 = STREAK + 2;
/// The bound queue has one of two turns.
pub(super) const RING: u64 = queue(2);
/// The run queue has one of four turns.
pub(super) const RUN_QUEUE: u64 = queue(4);

/// Returns the bound for a queue that has one of `turns` turns. One decision in 61 is the global queue's.
const fn queue(turns: u64) -> u64 {
    (turns * (1 + STREAK) * INJECTOR_EVERY).div_ceil(INJECTOR_EVERY - 1) + 1
}

/// Returns the bound, in decisions of one processor, for the first of `waiting` goroutines in the global queue.
/// Goroutines that are told of at about the same time may be in another order there, so any of them may be ahead.
pub(super) fn global_queue(waiting: usize) -> u64 {
    INJECTOR_EVERY * waiting as u64 + 1
}

/// A queue, with what the bounds depend on. A goroutine that has left stays in `entries` until it is the first.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// Each goroutine with the time at which it was queued.
    entries: VecDeque<(Key, u64)>,
    /// How many goroutines are still queued.
    pub(super) waiting: usize,
    /// The time at which the first goroutine was queued, and how many were waiting when it was first seen to be the
    /// first.
    foremost: u64,
    then_waiting: usize,
    /// How many decisions have passed over the first goroutine, for each worker that decides.
    passed: Vec<u64>,
}

impl Line {
    pub(super) fn push(&mut self, goroutine: Key, queued: u64) {
        self.entries.push_back((goroutine, queued));
        self.waiting += 1;
    }

    /// Records that a goroutine has left, perhaps not the first.
    pub(super) fn pop(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.waiting == 0 {
            self.entries.clear();
        }
    }

    /// Starts the counts at zero, because the worker has just acquired a processor.
    pub(super) fn restart(&mut self) {
        self.passed.clear();
    }

    /// Counts a decision by `who`. Returns the first goroutine if it was passed over by more decisions than `most`
    /// allows for the number that were waiting.
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
