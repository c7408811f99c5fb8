//! A blocking call runs `f` in place if that holds up no other goroutine, and otherwise on a helper thread while
//! the goroutine is parked.
//!
//! In place, `f` holds up the goroutines bound to the same worker. It also keeps the processor until the monitor
//! retakes it, which may take a millisecond on a busy machine. So if a goroutine's last call was long, it goes to a
//! helper, too. For a goroutine that has made no call yet, the last call of its worker decides (the blocking hint).
//!
//! in place: mark the section, run `f` in user code, enter the runtime; if the monitor has retaken the
//!     processor meanwhile, requeue. Otherwise the cost is two stores and an entry.
//! helper: queue the job, park; a helper runs the job and unparks the goroutine.
//! [Q1] A job is run once, before its goroutine resumes; if there is no helper, it is run in place.
//! Checked by: verification/loom/join.rs, verification/shuttle/blocking.rs, proptests/runtime/lifecycle.rs.

use crate::observe::specification::Event;
use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::clock;
use crate::sched::core::cell::Ptr;
use crate::sched::core::current::YIELD;
use crate::sched::core::current::{RuntimeGuard, current, current_worker};
use crate::sched::core::helper_queue::{AnyJob, Job, NoHelper};
use crate::sched::core::owner_state::BlockingHint;
use crate::sched::core::runtime::Shared;
use crate::sched::core::wake_handle::Unparker;
use crate::sched::core::worker::Worker;
use crate::sched::goroutine::body::Outcome;
use crate::sched::monitor::retake;
use crate::sched::suspend::park;
use crate::sched::suspend::park::unwinds;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// A call that took less than this many nanoseconds on a helper would have done no harm in place.
const SHORT: u64 = 50_000;

/// Runs `f`, which may block its kernel thread, and returns its result.
#[track_caller]
pub(crate) fn blocking<T: Send>(mut f: impl FnOnce() -> T + Send) -> T {
    let place = Location::caller();
    let Some((worker, goroutine)) = current() else { return f() };
    let neighbours = worker.bound_count() - usize::from(goroutine.bound_to().is_some());
    let may_park = !unwinds(worker) && goroutine.own.no_suspend.get() == 0;
    let hint = match goroutine.own.hint.get() {
        BlockingHint::Unknown => worker.hint.get(),
        own => own,
    };
    let is_long = hint == BlockingHint::Long && may_park;
    if worker.blocks().is_some() {
        let _section = Section::begin(worker, goroutine, may_park);
        let _released = if is_long { Released::by(worker, goroutine) } else { None };
        return f();
    }
    // A simulation has no other thread.
    let elsewhere = (neighbours > 0 && may_park || is_long) && worker.shared().simulation.is_none();
    if elsewhere && worker.shared().fits_helper(goroutine.own.stack.get()) {
        match on_helper(worker.shared(), goroutine, place, neighbours > 0, f) {
            Ok(value) => return value,
            Err(back) => f = back,
        }
    }
    let _section = Section::begin(worker, goroutine, may_park);
    f()
}

/// A section in which a goroutine announces that it blocks its kernel thread.
struct Section {
    goroutine: Ptr,
    may_park: bool,
}

impl Section {
    #[inline]
    fn begin(worker: &Worker, goroutine: Ptr, may_park: bool) -> Self {
        goroutine.note(Event::Blocks(true));
        goroutine.own.sections.set(goroutine.own.sections.get() + 1);
        worker.show_section(true);
        worker.shared().prompt_monitor();
        Section { goroutine, may_park }
    }
}

impl Drop for Section {
    #[inline]
    fn drop(&mut self) {
        // There is no worker if `f` has called `fork` and this is the child, where no goroutine continues.
        let Some(worker) = current_worker() else { return };
        self.goroutine.note(Event::Blocks(false));
        let sections = self.goroutine.own.sections.get() - 1;
        self.goroutine.own.sections.set(sections);
        worker.show_section(sections > 0);
        let inside = RuntimeGuard::enter(worker);
        let retaken = inside.held().is_none();
        let was_short = self.goroutine.own.gave_up_for_nothing.replace(false);
        let is_long = retaken && !was_short;
        update_hint(
            worker,
            self.goroutine,
            if is_long { BlockingHint::Long } else { BlockingHint::Short },
        );
        if retaken && self.may_park && !unwinds(worker) {
            inside.switch(self.goroutine, YIELD);
        }
    }
}

/// A processor that a goroutine has released because it is about to block for long. Otherwise the monitor would
/// have to retake it later.
struct Released {
    goroutine: Ptr,
    since: u64,
}

impl Released {
    /// Releases the worker's processor. Returns `None` if the worker has none, or if it could not be taken.
    fn by(worker: &Worker, goroutine: Ptr) -> Option<Self> {
        let proc = worker.proc.get()?;
        // The goroutine is in user code, so any thread may take its processor, including the goroutine's own
        // thread.
        retake(worker.shared(), worker.id, proc, false)
            .then(|| Released { goroutine, since: clock::now() })
    }
}

/// Runs before the end of the section. Otherwise the end of the section would find no processor, and would count
/// even a short call as a long one.
impl Drop for Released {
    fn drop(&mut self) {
        if clock::now().saturating_sub(self.since) < SHORT {
            self.goroutine.own.gave_up_for_nothing.set(true);
        }
    }
}

#[inline]
fn update_hint(worker: &Worker, goroutine: Ptr, hint: BlockingHint) {
    goroutine.own.hint.set(hint);
    worker.hint.set(hint);
}

/// Runs `f` on a helper. Returns `Err(f)` if no helper thread exists, or if `!may_wait` and no helper is idle.
fn on_helper<T: Send, F: FnOnce() -> T + Send>(
    shared: &Shared,
    goroutine: Ptr,
    place: &'static Location<'static>,
    may_wait: bool,
    f: F,
) -> Result<T, F> {
    let (outcome, took) = elsewhere(place, |job| shared.helpers.submit(shared, job, may_wait), f)?;
    let worker = current_worker().expect("a goroutine runs on a worker");
    update_hint(
        worker,
        goroutine,
        if took < SHORT { BlockingHint::Short } else { BlockingHint::Long },
    );
    match outcome {
        Ok(value) => Ok(value),
        Err(payload) => resume_unwind(payload),
    }
}

/// Passes `f` to another thread by `submit`, and parks the caller until `f` has run. Returns the outcome of `f` and
/// its duration in nanoseconds. Returns `Err(f)` if `submit` refuses the job.
pub(crate) fn elsewhere<T: Send, F: FnOnce() -> T + Send>(
    place: &'static Location<'static>,
    submit: impl FnOnce(Job) -> Result<(), NoHelper>,
    f: F,
) -> Result<(Outcome<T>, u64), F> {
    let mut f = Some(f);
    let mut outcome: Option<Outcome<T>> = None;
    let mut took = 0;
    let done = AtomicBool::new(false);
    let waiter = park::waiter();
    let mut run = || {
        let f = f.take().expect("a job is run once");
        let start = clock::now();
        outcome = Some(catch_unwind(AssertUnwindSafe(f)));
        took = clock::now().saturating_sub(start);
        // The frame that holds this closure may be gone once `done` is seen.
        let waiter: Unparker = waiter.clone();
        // Release: pairs with the Acquire below, so that the outcome is seen.
        // mutant: drop done
        done.store(true, Ordering::Release);
        // mutant: drop wake of who waits
        waiter.unpark();
    };
    let job: *mut (dyn FnMut() + Send + '_) = &mut run;
    // SAFETY: the transmute changes only the lifetime of the pointer `job`. The closure lies in this frame, and the
    // frame waits for `done`, which is set after the closure has run. [Q1]
    let job = Job(unsafe { std::mem::transmute::<*mut (dyn FnMut() + Send + '_), AnyJob>(job) });
    if submit(job).is_err() {
        return Err(f.take().expect("a refused job was not run"));
    }
    // Acquire: pairs with the Release above.
    while !done.load(Ordering::Acquire) {
        park::park_without_fail(place);
    }
    Ok((outcome.expect("the job has run"), took))
}
