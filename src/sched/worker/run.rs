//! Run: the switch to a goroutine and away from it.
//!
//! ```text
//!   worker's loop ──resume──► G ──pass──► H ──suspend──► worker's loop
//!                             │           └─ settles G, then goes on
//!                             └─ finds H
//! ```
//!
//! A goroutine that leaves its stack looks for its successor itself, and goes on at it without the worker's loop,
//! if there is one at hand and the loop has nothing else to do first: `find` (`find_at_hand`). So one write of the
//! thread pointer, and one switch of stacks, suffice instead of two. The successor settles the goroutine, because no thread
//! may resume a stack that is still in use. [S1] Until then `Worker::passed` says what is to be settled.
//! A worker that is alone [A2] or simulates always goes back to the loop.
//! The worker stays inside the runtime all the while, so a runtime that stops meanwhile waits until the successor is in
//! user code, and then sees both. [T1]
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

/// The argument of a resume is the goroutine; or, if another one has passed on, the worker and this bit.
const PASSED: usize = 1;
const _: () = assert!(align_of::<Worker>() > PASSED && align_of::<Goroutine>() > PASSED);

/// What comes after a goroutine.
enum Next {
    /// This one, to which it can pass on.
    Other(Ptr),
    /// It yields, and nobody else waits here: nothing switches.
    Itself,
    /// The worker's loop has to find out.
    Loop,
}

impl Worker {
    /// Lets goroutines run, this one first, until one goes back to the loop. Inlined, since a frame between
    /// `work`'s loop and the switch would return once a switch, and cost two mispredicted returns:
    /// context/switch/mod.rs.
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
        // SAFETY: the goroutine is in no queue and not parked, so it is this worker's; it has
        // begun, so it has a fiber, at rest. [S1]
        let (why, at) = unsafe {
            let argument = goroutine.raw().as_ptr().cast();
            (*fiber_of(goroutine)).go(argument, self.own_thread_locals())
        };
        let back = NonNull::new(self.current().cast_mut()).expect("a goroutine has come back");
        let back = Ptr::from_raw(back);
        // SAFETY: as above: `current` is what this worker runs, so it is what has just suspended.
        unsafe { (*fiber_of(back)).is_back(at, self.blocks()) };
        // Relaxed: as in `show`. The goroutine entered the runtime before it switched.
        self.current.store(ptr::null_mut(), Ordering::Relaxed);
        if self.in_section() {
            self.show_section(false);
        }
        back.note(Event::Left { worker: self.id, parks: why == PARK });
        self.finish_switch(back, why);
    }

    /// What runs next, for the monitor and for `current`.
    #[inline(always)]
    fn show(&self, goroutine: Ptr) {
        // Relaxed: the monitor reads these as hints, or under a claim.
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

    /// What runs after the calling goroutine, which leaves its stack for this reason.
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

    /// Leaves the stack of `goroutine`, which runs and calls this, for that of `next`. Returns the argument of its
    /// next resume, as [`Suspender::suspend`](crate::fiber::Suspender::suspend) does.
    ///
    /// # Safety
    /// `next` is this worker's: in no queue, not parked, begun, its fiber at rest. [S1]
    #[inline(always)]
    unsafe fn pass(&self, goroutine: Ptr, why: usize, next: Ptr) -> *mut () {
        self.passed.set(Some((goroutine, why)));
        self.show(next);
        let argument = ptr::from_ref(self).map_addr(|address| address | PASSED).cast_mut().cast();
        // SAFETY: both are this worker's, and stay in their cells until `next` is on its own stack and settles
        // `goroutine`. Whichever of the runtime's arenas their stacks are of, the blocks are the same.
        unsafe {
            Fiber::pass(fiber_of(goroutine), fiber_of(next), argument, self.own_thread_locals())
        }
    }

    /// On the stack of `goroutine`, to which another one has just passed on: settles that, and goes to user code.
    /// The worker is inside the runtime and has a processor, so a runtime that stops sees later what was queued or parked
    /// here; nothing has to be stranded, which would call foreign code on the wrong stack. [T1]
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
    /// Suspends the goroutine that calls this: another one goes on, or its worker's loop. Returns in the goroutine,
    /// in user code, perhaps on another kernel thread.
    #[inline]
    pub(crate) fn switch(self, goroutine: Ptr, why: usize) {
        let argument = self.leave(goroutine, why);
        goes_on(goroutine, argument);
    }

    /// The goroutine that calls this has ended: returns the next one that its stack serves, or that it runs after
    /// another stack has passed on to this.
    #[inline]
    pub(crate) fn leave(self, goroutine: Ptr, why: usize) -> *mut () {
        let worker = self.worker();
        std::mem::forget(self);
        match worker.successor(why) {
            // SAFETY: it was taken out of a queue, so it is this worker's; it has begun.
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

/// # Safety
/// It has begun, and is the calling worker's.
#[inline(always)]
unsafe fn fiber_of(goroutine: Ptr) -> *mut Fiber {
    // SAFETY: the caller's.
    let fiber = unsafe { &mut *goroutine.own.fiber.get() };
    fiber.as_mut().expect("it has begun")
}

#[inline(always)]
fn suspend(goroutine: Ptr, why: usize) -> *mut () {
    // SAFETY: set by the fiber that this goroutine runs on, and valid while it does; the caller is what
    // runs on it.
    unsafe { (*goroutine.own.suspender.get()).suspend(why) }
}

/// The calling thread's worker, if this argument of a resume says that another goroutine has passed on. Not to be kept
/// across a switch.
#[inline(always)]
fn passed_by<'a>(argument: *mut ()) -> Option<&'a Worker> {
    let is_passed = argument.addr() & PASSED != 0;
    let worker = argument.map_addr(|address| address & !PASSED).cast::<Worker>();
    // SAFETY: then it is the worker of the thread that has just switched, which keeps the runtime.
    is_passed.then(|| unsafe { &*worker })
}

/// The goroutine that begins on the calling stack, by the argument of its resume.
pub(crate) fn named(argument: *mut ()) -> Ptr {
    let raw = match passed_by(argument) {
        Some(worker) => worker.current().cast_mut(),
        None => argument.cast(),
    };
    Ptr::from_raw(NonNull::new(raw).expect("a goroutine to run"))
}

/// A goroutine begins or goes on, on its own stack and thread-locals: settles the one that has passed on to it, if any.
#[inline(always)]
pub(crate) fn goes_on(goroutine: Ptr, argument: *mut ()) {
    if let Some(worker) = passed_by(argument) {
        worker.finish_predecessor(goroutine);
    }
}
