//! Blocking: `f` in place where that holds up nobody, else on a helper thread while the goroutine is
//! parked.
//!
//! In place it holds up its neighbours at home, and its processor until the monitor comes, which on a
//! busy machine may be a millisecond. So a goroutine whose last call was a long one goes to a helper,
//! too; one that has made none does as the last of its worker did.
//!
//! in place: mark the section, run `f` in user code, enter the runtime; if the monitor retook the
//!     processor meanwhile, requeue. Two stores and an entry where it did not.
//! helper: queue the job, park; a helper runs it and unparks.
//! [Q1] A job is run once, before its goroutine goes on, and with no helper to be had, in place.
//! Checked by: verification/loom/join.rs, verification/shuttle/blocking.rs, proptests/runtime/lifecycle.rs.

use super::enter::{Inside, current, current_worker};
use super::goroutine::Ptr;
use super::settle::YIELD;
use super::shared::Shared;
use super::suspend;
use super::task::Outcome;
use super::waiter::Waiter;
use super::worker::Worker;
use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::{Condvar, Mutex, clock, panicking, tls};
use crate::spec::Event;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

/// A call on a helper that is shorter than this would have done no harm in place.
const SHORT: u64 = 50_000;

/// How long calls have lately been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Habit {
    /// There was none yet.
    #[default]
    Unknown,
    /// In place it kept its processor; on a helper it took less than `SHORT`.
    Short,
    Long,
}

/// Runs `f`, which may block its kernel thread.
#[track_caller]
pub(crate) fn blocking<T: Send>(mut f: impl FnOnce() -> T + Send) -> T {
    let place = Location::caller();
    let Some((worker, goroutine)) = current() else { return f() };
    let neighbours = worker.homed() - usize::from(goroutine.home().is_some());
    let may_park = !panicking() && goroutine.own.no_suspend.get() == 0;
    let habit = match goroutine.own.habit.get() {
        Habit::Unknown => worker.habit.get(),
        own => own,
    };
    // A simulation has no other thread.
    if (neighbours > 0 || habit == Habit::Long) && may_park && worker.shared().simulation.is_none()
    {
        match on_helper(worker.shared(), goroutine, place, neighbours > 0, f) {
            Ok(value) => return value,
            Err(back) => f = back,
        }
    }
    let _section = Section::begin(worker, goroutine, may_park);
    f()
}

/// A goroutine that blocks its kernel thread, and says so.
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
        let worker = current_worker().expect("a goroutine runs on a worker");
        self.goroutine.note(Event::Blocks(false));
        let sections = self.goroutine.own.sections.get() - 1;
        self.goroutine.own.sections.set(sections);
        worker.show_section(sections > 0);
        let inside = Inside::enter(worker);
        let retaken = inside.held().is_none();
        learn(worker, self.goroutine, if retaken { Habit::Long } else { Habit::Short });
        if retaken && self.may_park && !panicking() {
            inside.switch(&self.goroutine, YIELD);
        }
    }
}

#[inline]
fn learn(worker: &Worker, goroutine: Ptr, habit: Habit) {
    goroutine.own.habit.set(habit);
    worker.habit.set(habit);
}

type AnyJob = *mut (dyn FnMut() + Send + 'static);

/// A closure on the stack of a goroutine that waits for it.
struct Job(AnyJob);

// SAFETY: the closure is Send, and its owner waits.
unsafe impl Send for Job {}

/// There is no helper for a job, and none can be started.
struct NoHelper;

/// The helper threads of a runtime.
pub(crate) struct Helpers {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    stopping: bool,
}

/// Gives `f` back if there is no helper; or, unless it `may_wait`, none that is free.
fn on_helper<T: Send, F: FnOnce() -> T + Send>(
    shared: &Shared,
    goroutine: Ptr,
    place: &'static Location<'static>,
    may_wait: bool,
    f: F,
) -> Result<T, F> {
    let mut f = Some(f);
    let mut outcome: Option<Outcome<T>> = None;
    let mut took = 0;
    let done = AtomicBool::new(false);
    let waiter = suspend::waiter();
    let mut run = || {
        let f = f.take().expect("a job is run once");
        let start = clock::now();
        outcome = Some(catch_unwind(AssertUnwindSafe(f)));
        took = clock::now().saturating_sub(start);
        // The frame that holds this closure may be gone once `done` is seen.
        let waiter: Waiter = waiter.clone();
        // Release: pairs with the Acquire below: the outcome is seen.
        // mutant: drop done
        done.store(true, Ordering::Release);
        // mutant: drop wake of who waits
        waiter.unpark();
    };
    let job: *mut (dyn FnMut() + Send + '_) = &mut run;
    // SAFETY: only the lifetime changes; this frame waits for `done`. [Q1]
    let job = Job(unsafe { std::mem::transmute::<*mut (dyn FnMut() + Send + '_), AnyJob>(job) });
    if shared.helpers.submit(shared, job, may_wait).is_err() {
        return Err(f.take().expect("nobody has run the job"));
    }
    // Acquire: pairs with the Release above.
    while !done.load(Ordering::Acquire) {
        suspend::park_without_fail(place);
    }
    let worker = current_worker().expect("a goroutine runs on a worker");
    learn(worker, goroutine, if took < SHORT { Habit::Short } else { Habit::Long });
    match outcome.expect("the job has run") {
        Ok(value) => Ok(value),
        Err(payload) => resume_unwind(payload),
    }
}

impl Helpers {
    pub(crate) fn new() -> Self {
        Helpers { state: Mutex::new(State::default()), wake: Condvar::new() }
    }

    /// Queues a job for a helper that is free, or has just been started; if it `may_wait`, for any that
    /// there is.
    fn submit(&self, shared: &Shared, job: Job, may_wait: bool) -> Result<(), NoHelper> {
        let mut state = self.state.lock();
        let mut at_once = state.idle > state.jobs.len();
        // Under the lock: whoever finds a helper counted can rely on it.
        if !at_once && shared.roster.add_helper() {
            at_once = shared.start_helper();
            if at_once {
                state.threads += 1;
            } else {
                shared.remove_helper();
            }
        }
        // mutant: wait for a helper that never comes: replace state.threads == 0 with false
        if !at_once && (state.threads == 0 || !may_wait) {
            return Err(NoHelper);
        }
        state.jobs.push_back(job);
        // Before the wake-up: it would begin by waiting for the lock.
        drop(state);
        // mutant: drop wake of a helper
        self.wake.notify_one();
        Ok(())
    }

    /// The life of a helper thread.
    pub(crate) fn main(&self, shared: &Shared) {
        if let Some(locals) = tls::locals() {
            // Jobs are others': their goroutines' values stay at home.
            locals.shut();
        }
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                // SAFETY: its goroutine waits until the job has run, and it is run here only. [Q1]
                unsafe { (*job.0)() };
                state = self.state.lock();
                continue;
            }
            if state.stopping {
                break;
            }
            state.idle += 1;
            let (again, timed_out) = self.wake.wait_timeout(state, super::IDLE_THREAD_LIFE);
            state = again;
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        drop(state);
        // mutant: drop room for others
        shared.remove_helper();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        // mutant: drop wake of the helpers
        self.wake.notify_all();
    }
}
