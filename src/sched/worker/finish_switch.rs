//! Finishes a switch: decides what happens to a goroutine that has left its stack just now. This code runs
//! on the worker's own stack, or on the stack of the goroutine to which control was passed (`run`). So no
//! thread can resume a stack that is still in use. [S1]
//!
//! - Yield: the goroutine is queued again.
//! - Park: `begin_park`. If a permit came first, the goroutine is queued again.
//! - Exit: the goroutine is recycled.
//!
//! A bound goroutine is queued again in the bound queue. Any other goroutine goes to the run queue, or to
//! the global queue if the worker has no processor.
//! Checked by: verification/loom/sched.rs, verification/loom/shutdown.rs, verification/shuttle/,
//! proptests/runtime/lifecycle.rs.

use crate::fiber::{Fiber, StackError};
use crate::observe::broken;
use crate::observe::specification::Event;
use crate::platform::Parker;
use crate::sched::core::cell::Ptr;
use crate::sched::core::config::Placement;
use crate::sched::core::current::{EXIT, PARK, RuntimeGuard, YIELD};
use crate::sched::core::processor::{FIBER_CACHE, ProcessorGuard};
use crate::sched::core::runtime::Shared;
use crate::sched::core::stacks::StackKind;
use crate::sched::core::worker::Worker;
use crate::sched::goroutine::state::BeginPark;
use std::time::Duration;

/// The pause of a worker between two attempts to get a stack that the kernel refuses.
const POSTPONE_PAUSE: Duration = Duration::from_micros(200);

impl Worker {
    #[inline]
    pub(crate) fn finish_switch(&self, goroutine: Ptr, why: usize) {
        // mutant: go on though it stops: replace self.shared().is_stopping() with false
        if why != EXIT && self.shared().is_stopping() {
            return self.abandon(goroutine);
        }
        // A wired goroutine is reaped only here, because a wired goroutine never passes control to another
        // goroutine.
        if why == EXIT && goroutine.own.wired.get() != 0 {
            self.reap_wired(goroutine);
        }
        self.finish_switch_of(goroutine, why, false);
    }

    /// Like `finish_switch`, for a runtime that does not stop. `another` says that this worker will run
    /// another goroutine next, whatever is in the queues.
    #[inline(always)]
    pub(crate) fn finish_switch_of(&self, goroutine: Ptr, why: usize, another: bool) {
        match why {
            YIELD => self.requeue(goroutine, another),
            PARK => match goroutine.word.begin_park() {
                BeginPark::Parked => {}
                // mutant: who was readied is forgotten: replace self.requeue(goroutine, another) with ()
                BeginPark::Readied => self.requeue(goroutine, another),
            },
            EXIT => self.reap(goroutine),
            other => broken("finish_switch", "EXIT, YIELD or PARK", &other.to_string()),
        }
    }

    /// Abandons the goroutine, because the runtime stops. It will not be resumed, and its joiner is told
    /// so. [T2] [T3]
    #[cold]
    fn abandon(&self, goroutine: Ptr) {
        // Unparking the joiner may enter the runtime, so the worker must leave the runtime first, as user
        // code would have.
        self.slot().gate.exit_to_user();
        // mutant: the joiner gets no word: replace goroutine.abandon() with None::<crate::sched::core::wake_handle::WakeHandle>
        let joiner = goroutine.abandon();
        if let Some(joiner) = joiner {
            // SAFETY: the worker's thread holds a count of the runtime, so the runtime stays allocated. A
            // joiner that is known by its id belongs to that runtime.
            unsafe { joiner.wake() };
        }
        std::mem::forget(RuntimeGuard::enter(self));
    }

    #[inline(always)]
    fn requeue(&self, goroutine: Ptr, another: bool) {
        let shared = self.shared();
        if goroutine.bound_to().is_some() {
            self.push_bound(goroutine);
        } else if let Some(held) = self.held() {
            let is_alone =
                || held.local(|local| local.run_queue.is_empty()) && !held.processor().has_next();
            let alone = !another && is_alone();
            held.push(shared, goroutine);
            // If the goroutine is the only one, this worker will run it again. `find` announces it if
            // another goroutine goes first. [I1]
            // mutant: drop note that it was not announced
            held.local(|local| local.unannounced = alone);
            // mutant: drop wake for who goes on
            if !alone {
                shared.perform_wake(shared.idle.notify());
            }
        } else {
            // SAFETY: `goroutine` left its stack on this worker just now, so it is in no queue.
            unsafe { shared.inject(goroutine) };
            // mutant: drop wake for who has no processor
            shared.perform_wake(shared.idle.notify());
        }
    }

    /// Prepares a goroutine for its first run: gives it a stack and, if the runtime is anchored, binds it
    /// to this worker.
    /// [A1] Returns false if there is no stack. The goroutine is then queued again.
    pub(crate) fn prepare(&self, held: ProcessorGuard<'_>, goroutine: Ptr) -> bool {
        let shared = self.shared();
        let fiber = held.local(|local| {
            if goroutine.own.stack.get() != StackKind::PLAIN {
                return shared.take_special(goroutine);
            }
            if local.fibers.is_empty() {
                shared.take_plain(goroutine, &mut local.fibers)?;
            }
            Ok(local.fibers.pop().expect("the arena gave at least one"))
        });
        let fiber = match fiber {
            Ok(fiber) => fiber,
            Err(error) => {
                self.postpone(goroutine, &error);
                return false;
            }
        };
        if shared.config.placement == Placement::Anchored {
            // mutant: drop home
            goroutine.bind_to(Some(self.id));
            self.add_bound(1);
        }
        // SAFETY: this worker is about to run `goroutine`, so no other thread touches its `fiber`. [S1]
        unsafe { *goroutine.own.fiber.get() = Some(fiber) };
        true
    }

    /// Queues a spawned goroutine again, at the end of the global queue, because there is no stack for it.
    /// Either another processor has a stack in its cache and runs the goroutine, or another goroutine ends
    /// meanwhile. The pause limits how often this worker asks the kernel.
    #[cold]
    fn postpone(&self, goroutine: Ptr, error: &StackError) {
        let shared = self.shared();
        shared.report_postponed(goroutine, error);
        // SAFETY: the goroutine was taken out of a queue just now, and has not begun.
        unsafe { shared.inject(goroutine) };
        shared.perform_wake(shared.idle.notify());
        Parker::new().park_timeout(POSTPONE_PAUSE);
    }

    /// Reclaims a goroutine that has ended. Its stack serves the next goroutine. Its cell does, too, unless
    /// there is still a reference to it.
    fn reap(&self, goroutine: Ptr) {
        goroutine.note(Event::Exited);
        let shared = self.shared();
        if goroutine.bound_to().is_some() {
            self.add_bound(-1);
        }
        // SAFETY: `goroutine` has left its stack for good on this worker, so no other thread touches its
        // `fiber`.
        let fiber = unsafe { (*goroutine.own.fiber.get()).take() }.expect("it has run");
        let held = self.held();
        match held {
            Some(held) => keep_fiber(shared, held, goroutine, fiber),
            // SAFETY: `fiber` is suspended, because the goroutine has left its stack for good. It was this
            // goroutine's fiber since `prepare`.
            None => unsafe { shared.give_stack(goroutine, fiber) },
        }
        match held {
            Some(held) => {
                // mutant: drop count
                held.count_finished();
            }
            None => {
                // mutant: drop count
                shared.count_finished();
            }
        }
        // mutant: drop word to who drains
        shared.note_finished();
        if !goroutine.drop_reference() {
            return;
        }
        // SAFETY: the last reference is gone, and this thread dropped it. [G1]
        unsafe { goroutine.recycle() };
        if !held.is_some_and(|held| held.keep_cell(shared, goroutine)) {
            Shared::give_cells(shared, std::iter::once(goroutine));
        }
    }
}

fn keep_fiber(shared: &Shared, held: ProcessorGuard<'_>, goroutine: Ptr, fiber: Fiber) {
    if goroutine.own.stack.get() != StackKind::PLAIN {
        // SAFETY: `fiber` is suspended, because the goroutine has left its stack for good. It was this
        // goroutine's fiber since `prepare`.
        return unsafe { shared.give_stack(goroutine, fiber) };
    }
    held.local(|local| {
        local.fibers.push(fiber);
        if local.fibers.len() > FIBER_CACHE {
            let half = local.fibers.len() / 2;
            // The stacks that were cached longest ago are given back.
            shared.stack_pool.give(local.fibers.drain(..half));
        }
    });
}
