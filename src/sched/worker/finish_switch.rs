//! Settle: what becomes of a goroutine that has just switched out. Runs on the worker's own stack, or on that of the
//! goroutine to which it has passed on (`run`), so that nobody can resume a stack that is still in use. [S1]
//! yield: requeue.   park: `begin_park`, or requeue if a permit came first.   exit: recycle.
//! Where it is requeued: at home if it has one, else in the deque, else (no processor) the injector.
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

/// Between two attempts of a worker to get a stack that the kernel refuses.
const POSTPONE_PAUSE: Duration = Duration::from_micros(200);

impl Worker {
    #[inline]
    pub(crate) fn finish_switch(&self, goroutine: Ptr, why: usize) {
        // mutant: go on though it stops: replace self.shared().is_stopping() with false
        if why != EXIT && self.shared().is_stopping() {
            return self.abandon(goroutine);
        }
        // One that is wired has not passed on.
        if why == EXIT && goroutine.own.wired.get() != 0 {
            self.reap_wired(goroutine);
        }
        self.finish_switch_of(goroutine, why, false);
    }

    /// As `settle`, while the runtime does not stop. `another`: this worker will run another one next, whatever
    /// is in the queues.
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

    /// The runtime stops: nobody will resume it, and its joiner learns so. [T2] [T3]
    #[cold]
    fn abandon(&self, goroutine: Ptr) {
        // Its joiner is unparked as user code would do it, which may enter the runtime.
        self.slot().gate.exit_to_user();
        // mutant: the joiner gets no word: replace goroutine.abandon() with None::<crate::sched::core::wake_handle::WakeHandle>
        let joiner = goroutine.abandon();
        if let Some(joiner) = joiner {
            // SAFETY: the worker keeps the runtime in place, and a joiner known by its id is of it.
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
            // One alone is ours to run again; `find` announces it if something else goes first. [I1]
            // mutant: drop note that it was not announced
            held.local(|local| local.unannounced = alone);
            // mutant: drop wake for who goes on
            if !alone {
                shared.perform_wake(shared.idle.notify());
            }
        } else {
            // SAFETY: it has just switched out, so it is in no queue.
            unsafe { shared.inject(goroutine) };
            // mutant: drop wake for who has no processor
            shared.perform_wake(shared.idle.notify());
        }
    }

    /// It is about to run for the first time: it gets a stack and, if anchored, a home. [A1] False if there
    /// is no stack; then it is queued again.
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
        // SAFETY: this worker's own while it runs it.
        unsafe { *goroutine.own.fiber.get() = Some(fiber) };
        true
    }

    /// There is no stack for a goroutine that was accepted: it waits at the end of the queue. Either
    /// another processor has a stack at hand and takes it up, or a goroutine ends meanwhile. The pause
    /// keeps this worker from asking the kernel without end.
    #[cold]
    fn postpone(&self, goroutine: Ptr, error: &StackError) {
        let shared = self.shared();
        shared.report_postponed(goroutine, error);
        // SAFETY: it has just been taken out of a queue, and has not begun.
        unsafe { shared.inject(goroutine) };
        shared.perform_wake(shared.idle.notify());
        Parker::new().park_timeout(POSTPONE_PAUSE);
    }

    /// It has ended: its stack serves the next one, its cell too unless somebody refers to it.
    fn reap(&self, goroutine: Ptr) {
        goroutine.note(Event::Exited);
        let shared = self.shared();
        if goroutine.bound_to().is_some() {
            self.add_bound(-1);
        }
        // SAFETY: this worker's own: the goroutine has switched out for good.
        let fiber = unsafe { (*goroutine.own.fiber.get()).take() }.expect("it has run");
        let held = self.held();
        match held {
            Some(held) => keep_fiber(shared, held, goroutine, fiber),
            // SAFETY: it has switched out for good; `begin` took its stack.
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
        // SAFETY: that was the last reference, and ours. [G1]
        unsafe { goroutine.recycle() };
        if !held.is_some_and(|held| held.keep_cell(shared, goroutine)) {
            Shared::give_cells(shared, std::iter::once(goroutine));
        }
    }
}

fn keep_fiber(shared: &Shared, held: ProcessorGuard<'_>, goroutine: Ptr, fiber: Fiber) {
    if goroutine.own.stack.get() != StackKind::PLAIN {
        // SAFETY: it has switched out for good; `begin` took its stack.
        return unsafe { shared.give_stack(goroutine, fiber) };
    }
    held.local(|local| {
        local.fibers.push(fiber);
        if local.fibers.len() > FIBER_CACHE {
            let half = local.fibers.len() / 2;
            // The coldest go back.
            shared.stack_pool.give(local.fibers.drain(..half));
        }
    });
}
