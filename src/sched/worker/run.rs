//! The switch to a goroutine and away from it.
//!
//! ```text
//!   worker's loop ──resume──► G ──pass──► H ──suspend──► worker's loop
//!                             │           └─ finishes the switch of G, then continues
//!                             └─ finds H
//! ```
//!
//! A goroutine that leaves its stack looks for its successor itself: `find` (`find_at_hand`). If the worker's own
//! queues have a successor, and the worker's loop has nothing else to do first, the goroutine passes control
//! directly to that successor. So one write of the thread pointer and one switch of stacks suffice, where the way
//! through the loop needs two of each. The successor finishes the switch of the first goroutine, because no thread
//! may resume a stack that is still in use. [S1] Until then `Worker::passed` says which switch must be finished.
//!
//! A worker that is alone [A2] or that simulates always goes back to its loop.
//! The worker stays inside the runtime during all this. So a runtime that stops meanwhile waits until the
//! successor is in user code, and then sees both goroutines. [T1]
//!
//! Checked by: verification/loom/sched.rs, verification/loom/shutdown.rs, verification/shuttle/,
//! proptests/runtime/lifecycle.rs.

use super::find::AtHand;
use crate::fiber::{Blocks, Fiber, PASSES};
use crate::observe::specification::{Doing, Event};
use crate::platform::atomic::Ordering;
use crate::platform::clock;
use crate::sched::core::cell::{Goroutine, Ptr};
use crate::sched::core::current::RuntimeGuard;
use crate::sched::core::current::{PARK, YIELD};
use crate::sched::core::processor::ProcessorGuard;
use crate::sched::core::wired::Choice;
use crate::sched::core::worker::Worker;
use std::ptr::{self, NonNull};

/// The argument of a resume is the goroutine. If another goroutine passed control, the argument is the
/// worker, with this bit set.
const PASSED: usize = 1;
const _: () = assert!(align_of::<Worker>() > PASSED && align_of::<Goroutine>() > PASSED);

/// What runs after a goroutine that leaves its stack.
enum Next {
    /// Control can pass directly to this goroutine.
    Other(Ptr),
    /// The same goroutine continues without a switch, because it yields and no other goroutine waits here.
    Itself,
    /// The worker's loop decides.
    Loop,
}

impl Worker {
    /// Runs this goroutine, and then those to which control is passed, until one of them goes back to the
    /// worker's loop. Inlined, because a stack frame between the loop in `work` and the switch would return
    /// once for each switch. That would cost two mispredicted returns: see `src/fiber/switch/mod.rs`.
    #[inline(always)]
    pub(crate) fn run(&self, held: ProcessorGuard<'_>, goroutine: Ptr) {
        if !goroutine.has_begun() && !self.prepare(held, goroutine) {
            return;
        }
        if self.slice_start.get().is_none() {
            self.slice_start.set(Some(clock::now()));
        }
        self.show(goroutine);
        goroutine.note(Event::Resumed(self.id));
        // mutant: drop departure to user code
        self.slot().gate.exit_to_user();
        // SAFETY: `goroutine` is in no queue and not parked, so it belongs to this worker. `goroutine` has
        // begun, so it has a fiber, and that fiber is suspended. [S1]
        let (why, at) = unsafe {
            let argument = goroutine.raw().as_ptr().cast();
            Fiber::go(fiber_of(goroutine), argument, self.own_thread_locals())
        };
        let back = NonNull::new(self.current().cast_mut()).expect("a goroutine has come back");
        let back = Ptr::from_raw(back);
        // SAFETY: `back` is the value of `current`, so it is the goroutine that suspended on this worker
        // just now. It has begun, and still belongs to this worker.
        unsafe { (*fiber_of(back)).is_back(at, self.blocks()) };
        // Relaxed: as in `show`. The goroutine entered the runtime before it switched.
        self.current.store(ptr::null_mut(), Ordering::Relaxed);
        if self.in_section() {
            self.show_section(false);
        }
        back.note(Event::Left { worker: self.id, parks: why == PARK });
        self.finish_switch(back, why);
    }

    /// Publishes which goroutine runs next, for the monitor and for `current`.
    #[inline(always)]
    fn show(&self, goroutine: Ptr) {
        // Relaxed: the monitor reads these as hints, or after it has retaken the processor through the
        // retake gate.
        self.current.store(goroutine.raw().as_ptr(), Ordering::Relaxed);
        self.ticks.store(self.ticks.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        let in_section = goroutine.own.sections.get() > 0;
        if in_section != self.in_section() {
            self.show_section(in_section);
        }
    }

    #[inline(always)]
    fn own_thread_locals(&self) -> Option<(&Blocks, *const ())> {
        self.blocks().map(|blocks| (blocks, ptr::from_ref(self).cast()))
    }

    /// Decides what runs after the calling goroutine, which leaves its stack for the reason `why`.
    #[inline(never)]
    fn successor(&self, why: usize) -> Next {
        let shared = self.shared();
        if !PASSES || self.choice.get() != Choice::Usual || shared.idle.resched_requested() {
            return Next::Loop;
        }
        let Some(held) = self.held() else { return Next::Loop };
        match self.find_at_hand(held) {
            AtHand::Found(next) if next.has_begun() || self.prepare(held, next) => {
                Next::Other(next)
            }
            // mutant: it stays though others wait: replace shared.global_queue.is_empty() with true
            AtHand::Nothing if why == YIELD && shared.global_queue.is_empty() => Next::Itself,
            _ => Next::Loop,
        }
    }

    /// Switches from the stack of `goroutine`, which is the caller, to the stack of `next`. Returns the
    /// argument of the caller's next resume, like [`Suspender::suspend`](crate::fiber::Suspender::suspend).
    ///
    /// # Safety
    /// `next` must belong to this worker: it is in no queue and not parked, it has begun, and its fiber is
    /// suspended. [S1]
    #[inline(always)]
    unsafe fn pass(&self, goroutine: Ptr, why: usize, next: Ptr) -> *mut () {
        self.passed.set(Some((goroutine, why)));
        self.show(next);
        let argument = ptr::from_ref(self).map_addr(|address| address | PASSED).cast_mut().cast();
        // SAFETY: both fibers belong to this worker. They stay in their cells until `next` is on its own
        // stack and finishes the switch of `goroutine`. All stack pools of the runtime use the same blocks.
        unsafe {
            Fiber::pass(fiber_of(goroutine), fiber_of(next), argument, self.own_thread_locals())
        }
    }

    /// Finishes the switch of the goroutine that passed control to `goroutine` just now, and goes to user
    /// code. Runs on the stack of `goroutine`. The worker is inside the runtime and has a processor, so a
    /// runtime that stops sees later what is queued or parked here. So no goroutine needs to be abandoned
    /// here. Abandoning a goroutine would call foreign code on the wrong stack. [T1]
    #[inline(never)]
    fn finish_predecessor(&self, goroutine: Ptr) {
        let (before, why) = self.passed.take().expect("a goroutine has passed on");
        before.note(Event::Left { worker: self.id, parks: why == PARK });
        self.finish_switch_of(before, why, true);
        goroutine.note(Event::Resumed(self.id));
        // mutant: drop departure to user code
        self.slot().gate.exit_to_user();
    }
}

impl RuntimeGuard<'_> {
    /// Suspends the calling goroutine. Another goroutine continues, or the worker's loop. Returns when the
    /// goroutine is resumed, in user code, and perhaps on another kernel thread.
    #[inline]
    pub(crate) fn switch(self, goroutine: Ptr, why: usize) {
        let argument = self.leave(goroutine, why);
        goes_on(goroutine, argument);
    }

    /// Leaves the stack of the calling goroutine. If the goroutine has ended, the call returns the argument
    /// for the next goroutine that this stack serves. Otherwise it returns the argument of the goroutine's
    /// next resume.
    #[inline]
    pub(crate) fn leave(self, goroutine: Ptr, why: usize) -> *mut () {
        let worker = self.worker();
        std::mem::forget(self);
        match worker.successor(why) {
            // SAFETY: `next` was taken out of a queue just now, so it belongs to this worker. `successor`
            // returns only goroutines that have begun or were prepared.
            Next::Other(next) => unsafe { worker.pass(goroutine, why, next) },
            Next::Itself => {
                worker.shared().idle.spec.see(Doing::Stays(worker.id));
                worker.slot().gate.exit_to_user();
                ptr::null_mut()
            }
            Next::Loop => suspend(goroutine, why),
        }
    }
}

/// Returns the fiber of a goroutine.
///
/// # Safety
/// The goroutine must have begun, and must belong to the calling worker.
#[inline(always)]
unsafe fn fiber_of(goroutine: Ptr) -> *mut Fiber {
    // SAFETY: the caller guarantees that the goroutine belongs to the calling worker, so no other thread
    // touches its `fiber`.
    let fiber = unsafe { &mut *goroutine.own.fiber.get() };
    fiber.as_mut().expect("it has begun")
}

#[inline(always)]
fn suspend(goroutine: Ptr, why: usize) -> *mut () {
    // SAFETY: the fiber on which this goroutine runs has set the pointer, which is valid while the
    // goroutine runs. The caller runs on this fiber.
    unsafe { (*goroutine.own.suspender.get()).suspend(why) }
}

/// Returns the calling thread's worker, if this argument of a resume says that another goroutine passed
/// control. The caller must not keep the reference across a switch.
#[inline(always)]
fn passed_by<'a>(argument: *mut ()) -> Option<&'a Worker> {
    let is_passed = argument.addr() & PASSED != 0;
    let worker = argument.map_addr(|address| address & !PASSED).cast::<Worker>();
    // SAFETY: with the bit set, `worker` points to the worker of this thread, which passed control just
    // now. The thread holds a count of the runtime, so the worker stays allocated.
    is_passed.then(|| unsafe { &*worker })
}

/// Returns the goroutine that begins on the calling stack, from the argument of its resume.
pub(crate) fn named(argument: *mut ()) -> Ptr {
    let raw = match passed_by(argument) {
        Some(worker) => worker.current().cast_mut(),
        None => argument.cast(),
    };
    Ptr::from_raw(NonNull::new(raw).expect("a goroutine to run"))
}

/// Finishes the switch of the goroutine that passed control to this one, if there is one. Called when a
/// goroutine begins or continues, on its own stack and thread-locals.
#[inline(always)]
pub(crate) fn goes_on(goroutine: Ptr, argument: *mut ()) {
    if let Some(worker) = passed_by(argument) {
        worker.finish_predecessor(goroutine);
    }
}
