//! Park with a deadline: a goroutine parks until it is unparked or its deadline passes. This file also decides
//! which thread fires the timers.
//!
//! park_until: take a permit, or else arm a timer and suspend; after the resume, cancel the timer unless the timer
//! has woken the goroutine.
//! fire: expire each goroutine that is due and put it into the queue where it waits to run; then wake workers.
//! A worker serves its own heap: it sleeps until the next deadline there at most, and checks the heap at every 61st
//! decision while it is busy. The timekeeper is a backup kernel thread. It fires timers that a blocked or busy
//! worker has missed. It wakes some time after the deadline. This lag is short after the timekeeper has found a
//! missed timer, and grows while it finds none.
//!
//! Protocol and invariants of arming and firing: [W1], [W2], [W3] in `timers`; of the state word: [S5].
//! Checked by: verification/loom/timers.rs, verification/loom/sleepers.rs, verification/shuttle/timers.rs,
//! proptests/runtime/timers.rs.

use super::park::{refuse_to_suspend, suspend, waits_in_place};
use crate::observe::specification::Event;
use crate::platform::{MODELLED, Parker};
use crate::sched::core::batch::{Batch, Batched, Here};
use crate::sched::core::cell::{Goroutine, Ptr};
use crate::sched::core::clock::now;
use crate::sched::core::current::PARK;
use crate::sched::core::current::{current, current_worker};
use crate::sched::core::processor::ProcessorGuard;
use crate::sched::core::runtime::Shared;
use crate::sched::core::simulation;
use crate::sched::core::wake_handle::thread_parker;
use crate::sched::core::worker::Worker;
use crate::sched::goroutine::state::{BeginPark, UnparkAction, Woken};
use crate::sched::idle::WakeReason;
use crate::sched::timers::Timers;
use crate::structures::NEVER;
use std::panic::Location;
use std::time::Duration;

/// A worker that sleeps does so for at least this long, so that near deadlines share one wake-up.
const SLACK: Duration = Duration::from_micros(50);

/// Like [`park`](crate::sched::suspend::park::park), but waits at most until about when
/// [`now`](crate::sched::core::clock::now) reaches `deadline`. Returns true if a permit was consumed. Returns false
/// if the time ran out first; a permit that is given meanwhile is kept for the next park.
pub(crate) fn park_until(place: &'static Location<'static>, deadline: u64) -> bool {
    if deadline == NEVER {
        crate::sched::suspend::park::park(place);
        return true;
    }
    let Some((worker, goroutine)) = current() else {
        return await_permit(&thread_parker(), deadline);
    };
    goroutine.note(Event::Parks(place));
    if goroutine.word.take_permit() {
        goroutine.note(Event::Permit);
        return true;
    }
    if now() >= deadline {
        return false;
    }
    if waits_in_place(worker, goroutine) {
        return park_in_place(goroutine, deadline);
    }
    if goroutine.own.no_suspend.get() > 0 {
        refuse_to_suspend(place);
    }
    let number = worker.id as usize;
    let ticket = timers_of(&goroutine).arm(number, deadline, goroutine);
    suspend(worker, goroutine, PARK, place);
    let woken = goroutine.word.end_timed_park();
    if woken != Woken::Expired {
        goroutine.note(Event::Permit);
    }
    match woken {
        Woken::Expired => false,
        Woken::Both => true,
        Woken::Permit => {
            // The timer may expire us until `cancel` returns. [W2]
            // mutant: drop cancelling
            if !timers_of(&goroutine).cancel(number, ticket, goroutine) {
                goroutine.word.forget_expiry();
            }
            true
        }
    }
}

/// Waits until about when [`now`](crate::sched::core::clock::now) reaches `deadline`, even if permits are given
/// meanwhile. Such a permit is kept for the next park.
pub(crate) fn sleep_until(place: &'static Location<'static>, deadline: u64) {
    let mut had_permit = false;
    while park_until(place, deadline) {
        had_permit = true;
    }
    if had_permit {
        crate::sched::suspend::park::waiter().unpark();
    }
}

fn timers_of(goroutine: &Goroutine) -> &Timers<Ptr> {
    // SAFETY: `shared` points to the goroutine's runtime, which stays allocated while the goroutine runs.
    &unsafe { &*goroutine.shared }.timers
}

/// Blocks the kernel thread until its parker is given a permit or `deadline` has passed. Returns true if there was
/// a permit.
fn await_permit(parker: &Parker, deadline: u64) -> bool {
    loop {
        let left = Duration::from_nanos(deadline.saturating_sub(now()));
        if parker.park_timeout(left) {
            return true;
        }
        // In a model the parker decides whether the time has passed.
        if MODELLED || now() >= deadline {
            return false;
        }
    }
}

/// Blocks the kernel thread of a goroutine that must not switch. The monitor may retake the processor meanwhile.
#[cold]
fn park_in_place(goroutine: Ptr, deadline: u64) -> bool {
    let worker = current_worker().expect("a goroutine runs on a worker");
    simulation::refuse_in_place(worker, goroutine);
    let home = goroutine.bound_to();
    goroutine.bind_to(Some(worker.id));
    match goroutine.word.begin_park_in_place() {
        BeginPark::Readied => {}
        BeginPark::Parked => {
            worker.show_section(true);
            // The parker may have kept an older permit, so the state word decides.
            while !goroutine.word.has_permit() && await_permit(&worker.in_place, deadline) {}
            worker.show_section(goroutine.own.sections.get() > 0);
        }
    }
    let permit = goroutine.word.end_park_in_place();
    if permit {
        goroutine.note(Event::Permit);
    }
    goroutine.bind_to(home);
    permit
}

impl Worker {
    /// Called between two goroutines. Fires the due timers of the worker's own heap. Returns true if this made a
    /// goroutine runnable for this worker.
    #[inline]
    pub(crate) fn keep_own_time(&self, held: ProcessorGuard<'_>) -> bool {
        self.own_timers().is_some_and(|left| left.is_zero()) && self.fire_own(held)
    }

    #[cold]
    fn fire_own(&self, held: ProcessorGuard<'_>) -> bool {
        let here = Some((self, Some(held)));
        let (_, batched) = self.shared().fire_and_notify(self.id as usize, now(), here);
        batched.home || batched.stealable
    }

    /// Called by a worker that is about to sleep. Blocks until at most the next deadline in its own heap, or at the
    /// sockets, and fires the timers if they are already due. Returns `None` without blocking if the worker has no
    /// timer and another thread serves the sockets, or there are none. Returns `Some(None)` if the worker was woken
    /// or the deadline has come.
    pub(crate) fn block_until_due(&self, parker: &Parker) -> Option<Option<WakeReason>> {
        let left = self.own_timers();
        if left.is_some_and(|left| left.is_zero()) {
            let _acting = self.shared().idle.spec.acting();
            let here = Some((self, None));
            let (_, batched) = self.shared().fire_heap(self.id as usize, now(), here);
            return Some(self.self_wake_for(batched));
        }
        let left = left.map(|left| left.max(SLACK));
        let rested = self.block_at_sockets(parker, left);
        if rested.is_none()
            && let Some(left) = left
        {
            parker.park_timeout(left);
            return Some(None);
        }
        rested
    }

    /// Returns the time until the next deadline in the worker's own heap, or `None` if the heap is empty.
    #[inline]
    fn own_timers(&self) -> Option<Duration> {
        match self.shared().timers.nearest_of(self.id as usize) {
            NEVER => None,
            nearest => Some(Duration::from_nanos(nearest.saturating_sub(now()))),
        }
    }
}

impl Shared {
    /// The loop of the timekeeper's thread. The thread wakes late on purpose, because workers fire their own timers.
    pub(crate) fn keep_time(&self) {
        while !self.is_stopping() {
            let time = now();
            if self.timers.is_late(time) {
                // Fires all that is due, so that timers with near deadlines share the wake-up.
                fire_timers(self, time);
            } else {
                self.timers.wait(now);
            }
        }
    }

    /// Fires a batch of due timers of one heap. Goroutines that the caller may run go to its own queues. Returns
    /// the number of timers, and where the goroutines went. The caller must be registered with the specification as
    /// acting.
    fn fire_heap(&self, number: usize, now: u64, here: Here<'_>) -> (usize, Batched) {
        let mut batch = Batch::new(self, here);
        let fired = self.timers.fire(number, now, Ptr::prefetch, |goroutine| {
            goroutine.note(Event::Expires);
            if goroutine.word.expire() != UnparkAction::Enqueue {
                return goroutine.note(Event::Expired);
            }
            if let Some((worker, _)) = here {
                // Goroutines that were sent to this worker before had nearer deadlines, so they are queued first.
                // [W3]
                worker.drain_remote();
            }
            batch.add(goroutine);
        });
        (fired, batch.finish())
    }

    /// Like [`fire_heap`](Self::fire_heap), and wakes a worker for stealable goroutines. For callers that will not
    /// run these themselves.
    fn fire_and_notify(&self, number: usize, now: u64, here: Here<'_>) -> (usize, Batched) {
        let _acting = self.idle.spec.acting();
        let (fired, batched) = self.fire_heap(number, now, here);
        // mutant: drop wake for the stealable
        if batched.stealable {
            self.perform_wake(self.idle.notify());
        }
        (fired, batched)
    }
}

/// Fires every timer with a deadline at or before `until`, and returns their number. In models, where the clock
/// stands still, the model calls this function at moments and with an `until` that it chooses.
pub(crate) fn fire_timers(shared: &Shared, until: u64) -> usize {
    let mut all = 0;
    for number in 0..shared.timers.reach() {
        while until != NEVER && shared.timers.nearest_of(number) <= until {
            match shared.fire_and_notify(number, until, None).0 {
                0 => break,
                fired => all += fired,
            }
        }
    }
    all
}
