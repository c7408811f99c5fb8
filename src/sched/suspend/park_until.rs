//! Deadline: a goroutine parks until it is unparked or its time has come, and who sees to the latter.
//!
//! park_until: take a permit, else arm a timer and suspend; after the resume, cancel the timer unless
//!     it was the one that woke us.
//! fire: expire each goroutine that is due and put it where it waits to run; then wake workers.
//! A worker looks after its own heap: it sleeps until the next deadline there at most, and looks every 61st
//! decision while it is busy. The timekeeper is a kernel thread that fires what workers leave over its time,
//! since they are held up: it comes late, unless it had to fire something the last time.
//!
//! Protocol and invariants of arming and firing: [W1], [W2], [W3] in `timers`; of the word: [S5].
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

/// A worker that sleeps does so for this long at least: near deadlines share a wake-up.
const SLACK: Duration = Duration::from_micros(50);

/// As [`park`](crate::sched::suspend::park::park), until about when [`now`](crate::sched::core::clock::now) reaches `deadline`. True: a permit was
/// consumed. False: the time ran out without one; a permit given meanwhile is kept for the next park.
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
            // Until this returns, the timer may expire us. [W2]
            // mutant: drop cancelling
            if !timers_of(&goroutine).cancel(number, ticket, goroutine) {
                goroutine.word.forget_expiry();
            }
            true
        }
    }
}

/// Waits until about when [`now`](crate::sched::core::clock::now) reaches `deadline`, whatever permits are given meanwhile: they are
/// there for the next park.
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
    // SAFETY: the goroutine runs, so its runtime is there.
    &unsafe { &*goroutine.shared }.timers
}

/// Blocks the kernel thread until its parker is given a permit, or until `deadline`.
fn await_permit(parker: &Parker, deadline: u64) -> bool {
    loop {
        let left = Duration::from_nanos(deadline.saturating_sub(now()));
        if parker.park_timeout(left) {
            return true;
        }
        // In a model, time is what it says.
        if MODELLED || now() >= deadline {
            return false;
        }
    }
}

/// The goroutine unwinds, so its kernel thread sleeps; the processor may be retaken meanwhile.
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
            // A permit of the parker may be an old one: the word decides.
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
    /// Between two goroutines: fires what is due in the worker's own heap. True if something came of it
    /// for this worker.
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

    /// It is about to sleep: does so for no longer than until the next timer in its own heap is due, and
    /// fires that. `None`: there is none, nor somebody to be waited for at the sockets. `Some(None)`: it
    /// was woken, or that time has come.
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

    /// How long it is until the next timer in the worker's own heap is due; `None` if there is none.
    #[inline]
    fn own_timers(&self) -> Option<Duration> {
        match self.shared().timers.nearest_of(self.id as usize) {
            NEVER => None,
            nearest => Some(Duration::from_nanos(nearest.saturating_sub(now()))),
        }
    }
}

impl Shared {
    /// The life of the timekeeper's thread: it comes late where workers keep their own time.
    pub(crate) fn keep_time(&self) {
        while !self.is_stopping() {
            let time = now();
            if self.timers.is_late(time) {
                // All that is due: who comes soon shares the wake-up.
                fire_timers(self, time);
            } else {
                self.timers.wait(now);
            }
        }
    }

    /// Fires a batch of what is due in one heap. What the caller may run itself goes to its own queues.
    /// How many these were, and where they went. The caller acts, to the specification.
    fn fire_heap(&self, number: usize, now: u64, here: Here<'_>) -> (usize, Batched) {
        let mut batch = Batch::new(self, here);
        let fired = self.timers.fire(number, now, Ptr::prefetch, |goroutine| {
            goroutine.note(Event::Expires);
            if goroutine.word.expire() != UnparkAction::Enqueue {
                return goroutine.note(Event::Expired);
            }
            if let Some((worker, _)) = here {
                // Those that were sent before this one had nearer deadlines. [W3]
                worker.drain_remote();
            }
            batch.add(goroutine);
        });
        (fired, batch.finish())
    }

    /// As [`fire_heap`](Self::fire_heap), by who goes on with something else.
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

/// Fires every timer whose deadline is at `until` or before. In models, where time stands still, the
/// model calls it when it chooses, with any `until`. How many these were.
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
