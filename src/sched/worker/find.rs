//! Decides which goroutine a worker runs next.
//!
//! The order at a decision: first, at every 61st decision, the global queue. Then `run_next`, at most 16
//! times in a row. Then the bound queue or the run queue. Then the global queue. If all are empty, the
//! worker searches: it steals half of another processor's run queue, and begins with a random victim.
//!
//! The run queue goes before the bound queue at every fourth decision, so that other workers find
//! goroutines there that have not begun and are not bound yet. With one processor it goes first at every
//! second decision.
//!
//! [F2] A runnable goroutine waits for at most 4·(1 + those ahead of it in its queue) decisions of its
//! processor. In the bound queue the factor is 2. Each of these decisions may be extended by up to 16 for
//! `run_next`, and all of them by 61/60 for the global queue. A goroutine in the global queue waits for 61
//! decisions of some processor for each goroutine ahead of it.
//! Checked by: verification/loom/sched.rs, verification/shuttle/, proptests/runtime/fairness.rs.

use crate::observe::broken;
use crate::observe::specification::{Doing, Event, Place};
use crate::platform::{MODELLED, spin_hint};
use crate::sched::core::cell::Ptr;
use crate::sched::core::clock::now;
use crate::sched::core::processor::{ProcessorGuard, ProcessorLocal};
use crate::sched::core::runtime::Shared;
use crate::sched::core::worker::Worker;
use crate::sched::idle::{Sources, WakeReason};
use crate::structures::global_queue::BATCH as INJECTOR_BATCH;

const INJECTOR_EVERY: u32 = 61;
const DEQUE_EVERY: u32 = 4;
const DEQUE_EVERY_ALONE: u32 = 2;
const RUN_NEXT_STREAK: u32 = 16;
/// The number of rounds over all victims before a searching worker sleeps.
const ROUNDS: u32 = if MODELLED { 1 } else { 4 };
/// A sleep is brief if it takes less than this number of nanoseconds, which is little longer than falling
/// asleep and being woken.
const BRIEF: u64 = 50_000;
/// The number of polling iterations before a worker parks (about 10 µs).
const LINGER: u32 = 1024;

/// The result of `find_at_hand`.
pub(crate) enum AtHand {
    Found(Ptr),
    Nothing,
    /// The worker's loop must choose the next goroutine.
    Due,
}

impl Worker {
    /// Returns the next goroutine from this processor's queues, from the bound queue, or from the global
    /// queue.
    pub(crate) fn find(&self, held: ProcessorGuard<'_>) -> Option<Ptr> {
        self.note_decision(held);
        let decision = held.local(|local| {
            local.decisions = local.decisions.wrapping_add(1);
            local.decisions
        });
        if decision.is_multiple_of(INJECTOR_EVERY)
            && let Some(found) = self.take_turn_of_injector(held)
        {
            self.announce(held, false);
            return Some(found);
        }
        let (found, from_deque) = self.find_own(held);
        let found = found.or_else(|| self.take_share(held, false));
        self.announce(held, from_deque);
        found
    }

    /// Returns the next goroutine, if there is one in the worker's own queues. Called by a goroutine that
    /// would pass control to the returned goroutine (`run`). Returns `Due` if the worker's loop has more to
    /// do at this decision.
    #[inline(always)]
    pub(crate) fn find_at_hand(&self, held: ProcessorGuard<'_>) -> AtHand {
        let is_due = held.local(|local| {
            let decision = local.decisions.wrapping_add(1);
            // mutant: the loop has no turn: replace decision.is_multiple_of(INJECTOR_EVERY) with false
            let is_due = decision.is_multiple_of(INJECTOR_EVERY);
            local.decisions = if is_due { local.decisions } else { decision };
            is_due
        });
        if is_due {
            return AtHand::Due;
        }
        self.note_decision(held);
        let (found, from_deque) = self.find_own(held);
        let Some(found) = found else { return AtHand::Nothing };
        self.announce(held, from_deque);
        AtHand::Found(found)
    }

    fn note_decision(&self, held: ProcessorGuard<'_>) {
        let processor = held.processor().id;
        self.shared().idle.spec.see(Doing::Decides { worker: self.id, processor });
    }

    /// Wakes a worker if a goroutine that was pushed without a wake-up stays in the run queue, because
    /// another one was found. [I1]
    #[inline(always)]
    fn announce(&self, held: ProcessorGuard<'_>, from_deque: bool) {
        // mutant: drop wake for what was left behind
        if held.local(|local| std::mem::take(&mut local.unannounced)) && !from_deque {
            let shared = self.shared();
            shared.perform_wake(shared.idle.notify());
        }
    }

    fn take_turn_of_injector(&self, held: ProcessorGuard<'_>) -> Option<Ptr> {
        self.keep_own_time(held);
        self.look_at_sockets(held);
        // mutant: the global_queue has no turn: replace self.take_share(held, true) with None
        self.take_share(held, true)
    }

    /// Returns the next goroutine of the processor or of the worker, which is the goroutine in `run_next`
    /// or a queued goroutine.
    /// Also returns whether it came from the run queue.
    #[inline(always)]
    fn find_own(&self, held: ProcessorGuard<'_>) -> (Option<Ptr>, bool) {
        match self.find_next(held) {
            Some(next) => (Some(next), false),
            None => self.find_queued(held),
        }
    }

    /// Returns the goroutine in `run_next`, unless it was preferred too often in a row.
    #[inline(always)]
    fn find_next(&self, held: ProcessorGuard<'_>) -> Option<Ptr> {
        let shared = self.shared();
        let next = held.processor().take_next()?;
        // mutant: a streak without end: replace held.local(ProcessorLocal::prefer_next) with true
        if held.local(ProcessorLocal::prefer_next) {
            return Some(next);
        }
        held.push(shared, next);
        // mutant: drop wake after a streak
        shared.perform_wake(shared.idle.notify());
        None
    }

    /// Returns a goroutine from the bound queue or the run queue. Also returns whether it came from the run
    /// queue.
    #[inline(always)]
    fn find_queued(&self, held: ProcessorGuard<'_>) -> (Option<Ptr>, bool) {
        // mutant: drop look into the inbox
        self.drain_remote();
        let alone = || self.shared().idle.active() == 1;
        // mutant: home always first: replace held.local(|local| local.home_is_first(alone)) with true
        let home_first = held.local(|local| local.home_is_first(alone));
        if home_first && let Some(found) = self.pop_bound() {
            return (Some(found), false);
        }
        if let Some(found) = held.local(|local| local.run_queue.pop()) {
            found.note(Event::Taken(held.run_queue()));
            return (Some(found), true);
        }
        (self.pop_bound(), false)
    }

    /// Takes a share of the global queue: one goroutine to run, and others that go to the run queue. This
    /// is a function of its own, so that a decision does not save the registers that it uses.
    #[inline(never)]
    fn take_share(&self, held: ProcessorGuard<'_>, has_own: bool) -> Option<Ptr> {
        let shared = self.shared();
        let (first, moved) = from_global_queue(shared, held, has_own);
        // mutant: drop wake for what came along
        if moved > 1 {
            // No worker could see these goroutines while they moved from one queue to the other. [I1]
            shared.perform_wake(shared.idle.notify());
        }
        first
    }

    /// Searches for work on other processors. Only a limited number of workers search at a time. Spins
    /// before it gives up, if that is worthwhile.
    pub(crate) fn search(&self, held: ProcessorGuard<'_>, searching: &mut bool) -> Option<Ptr> {
        let shared = self.shared();
        // In a simulation, the seed chooses each goroutine, including the first one.
        if shared.simulation.is_some() {
            return None;
        }
        if !*searching && !shared.idle.start_searching() {
            return self.spin_before_park(held, searching);
        }
        *searching = true;
        for round in 0..ROUNDS {
            if let Some(found) = self.look_elsewhere(held, round + 1 == ROUNDS) {
                return Some(found);
            }
            self.drain_remote();
            if let Some(found) = self.pop_bound() {
                return Some(found);
            }
            if shared.idle.resched_requested() {
                return None;
            }
            spin_hint();
        }
        self.spin_before_park(held, searching)
    }

    /// Spins for about as long as a wake-up costs. Meanwhile the worker polls its remote queue and, at
    /// every 16th iteration, the queues from which it can steal. The worker keeps its processor, so other
    /// workers still count it as busy. [I1]
    fn spin_before_park(&self, held: ProcessorGuard<'_>, searching: &mut bool) -> Option<Ptr> {
        let shared = self.shared();
        if !self.may_spin() {
            return None;
        }
        for turn in 1..=LINGER {
            spin_hint();
            if shared.idle.resched_requested() {
                return None;
            }
            self.drain_remote();
            if let Some(found) = self.pop_bound() {
                return Some(found);
            }
            if turn.is_multiple_of(LINGER / 64)
                && shared.has_stealable_work()
                && (*searching || shared.idle.start_searching())
            {
                *searching = true;
                if let Some(found) = self.look_elsewhere(held, false) {
                    return Some(found);
                }
            }
        }
        None
    }

    /// Returns whether the worker spins before it sleeps. It does so if another thread may unpark a
    /// goroutine that is bound to it, and if its last sleep was brief. If sockets are in use, it waits at
    /// the sockets instead.
    fn may_spin(&self) -> bool {
        self.slept_briefly.get() && self.has_residents() && self.shared().sockets.get().is_none()
    }

    /// Sleeps, because there is nothing to run.
    pub(crate) fn park_worker(&self, searching: bool) -> WakeReason {
        let sleep = || self.shared().idle.sleep(self.id, self.proc.take(), searching, self);
        if MODELLED {
            return sleep();
        }
        let due = self.shared().timers.nearest_of(self.id as usize);
        let before = now();
        let awake = sleep();
        let after = now();
        // If the worker's own timer ended the sleep, spinning would not have helped, so such a sleep does
        // not count as brief.
        self.slept_briefly.set(after.saturating_sub(before) < BRIEF && after < due);
        awake
    }

    fn look_elsewhere(&self, held: ProcessorGuard<'_>, even_next: bool) -> Option<Ptr> {
        self.steal(held, even_next).or_else(|| from_global_queue(self.shared(), held, false).0)
    }

    fn steal(&self, held: ProcessorGuard<'_>, even_next: bool) -> Option<Ptr> {
        let stolen = self.steal_uncounted(held, even_next);
        if stolen.is_some() {
            held.processor().steals.once_by_owner();
        }
        stolen
    }

    fn steal_uncounted(&self, held: ProcessorGuard<'_>, even_next: bool) -> Option<Ptr> {
        let shared = self.shared();
        let victims = shared.idle.reach();
        let start = held.local(|local| local.rng.below(victims as u32)) as usize;
        for offset in 0..victims {
            let victim = &shared.processors[(start + offset) % victims];
            if victim.id == held.processor().id {
                continue;
            }
            let moved = |goroutine: &Ptr, is_first: bool| {
                goroutine.note(Event::Taken(Place::RunQueue(victim.id)));
                if !is_first {
                    goroutine.note(Event::Queued(held.run_queue()));
                }
            };
            // SAFETY: `moved` does not touch the run queue, because it only reports to the specification.
            let stolen = held
                .local(|local| unsafe { victim.stealer.steal_half_seen(&local.run_queue, moved) });
            if stolen.is_some() {
                return stolen;
            }
            if even_next && let Some(next) = victim.take_next() {
                return Some(next);
            }
        }
        None
    }
}

impl ProcessorLocal {
    /// Returns whether `run_next` may go before the other queues once more.
    fn prefer_next(&mut self) -> bool {
        self.streak += 1;
        self.streak <= RUN_NEXT_STREAK
    }

    /// Returns whether the bound queue goes before the run queue. Called at each decision at which
    /// `run_next` did not go first, so that neither queue starves.
    fn home_is_first(&mut self, alone: impl FnOnce() -> bool) -> bool {
        self.streak = 0;
        self.turns = self.turns.wrapping_add(1);
        let run_queue = self.turns.is_multiple_of(DEQUE_EVERY)
            || self.turns.is_multiple_of(DEQUE_EVERY_ALONE) && alone();
        !run_queue
    }
}

/// Takes one goroutine to run from the global queue, and moves a fair share of the others to the run queue.
/// Also returns how many goroutines were taken in total. If the global queue is long, a worker that has
/// work of its
/// own takes only one: most goroutines in a long queue have not begun, and the more goroutines begin, the
/// more stacks are needed.
fn from_global_queue(
    shared: &Shared,
    held: ProcessorGuard<'_>,
    has_own: bool,
) -> (Option<Ptr>, usize) {
    if shared.global_queue.is_empty() {
        return (None, 0);
    }
    let mut first = None;
    let mut moved = 0;
    held.local(|local| {
        let fair = shared.global_queue.len() / shared.idle.active().max(1) as usize + 1;
        let fair = if has_own && fair > INJECTOR_BATCH { 1 } else { fair.min(INJECTOR_BATCH) };
        let most = fair.min(local.run_queue.free() + 1);
        moved = shared.global_queue.pop_batch(most, &mut |raw| {
            let goroutine = Ptr::from_raw(raw);
            goroutine.note(Event::Taken(Place::GlobalQueue));
            if first.is_none() {
                first = Some(goroutine);
            } else {
                goroutine.note(Event::Queued(held.run_queue()));
                local.run_queue.push(goroutine, |_| {
                    broken("from_global_queue", "room in the run queue", "none");
                });
            }
        });
    });
    (first, moved)
}
