//! The queue of jobs for a runtime's helper threads, and the main loop of such a thread.
//!
//! - `submit` queues the job for an idle helper, or starts a helper for it.
//! - `main` runs jobs until none has arrived for a while.
//!
//! [Q1] A job is run once, and its submitter waits for it.
//! Checked by: verification/shuttle/blocking.rs, proptests/runtime/blocking.rs.

use super::forked;
use super::runtime::Shared;
use crate::platform::fork::Born;
use crate::platform::{Condvar, Mutex, thread};
use crate::sched::idle::IDLE_THREAD_LIFE;
use crate::structures::local_values;
use std::collections::VecDeque;

pub(crate) type AnyJob = *mut (dyn FnMut() + Send + 'static);

/// A closure on the stack of a goroutine or thread that waits until it has run.
pub(crate) struct Job(pub(crate) AnyJob);

// SAFETY: the pointer in a `Job` leads to a closure that is Send. The closure's owner waits until the
// closure has run, so the pointer stays valid.
unsafe impl Send for Job {}

/// No helper thread can take the job, and no further one can be started.
pub(crate) struct NoHelper;

/// The helper threads of a runtime.
pub(crate) struct Helpers {
    state: Mutex<State>,
    wake: Condvar,
    /// Notified while the runtime stops, when a helper has left or has taken a job.
    left: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// The number of helpers that run a job.
    busy: usize,
    /// The handles of the helpers that have not left, by number.
    handles: Vec<Option<thread::JoinHandle>>,
    stopping: bool,
}

impl Job {
    /// Runs the job, on behalf of the goroutine or thread that waits for it. Never unwinds.
    pub(crate) fn run(self) {
        // SAFETY: the pointer leads to a closure. Its owner waits until the job has run, and only one `Job`
        // refers to it, so no other code uses the closure now.
        // [Q1]
        unsafe { (*self.0)() };
    }
}

/// Returns whether the calling thread is a helper. A helper's thread may end.
pub(crate) fn is_helper() -> bool {
    local_values::of_thread().is_some_and(|locals| locals.is_shut())
}

impl Helpers {
    pub(crate) fn new() -> Self {
        Helpers { state: Mutex::new(State::default()), wake: Condvar::new(), left: Condvar::new() }
    }

    /// Queues a job for a helper that is idle or was started just now. If `may_wait` is set, the job may
    /// also wait until a busy helper is free. Returns an error if there is no such helper.
    pub(crate) fn submit(&self, shared: &Shared, job: Job, may_wait: bool) -> Result<(), NoHelper> {
        let mut state = self.state.lock();
        let mut at_once = state.idle > state.jobs.len();
        // The helper is counted and started under the lock, so that every other caller finds each counted
        // helper started.
        if !at_once && shared.idle.add_helper() {
            at_once = state.start(shared);
            if !at_once {
                shared.remove_helper();
            }
        }
        // mutant: wait for a helper that never comes: replace state.threads == 0 with false
        if !at_once && (state.threads == 0 || !may_wait) {
            return Err(NoHelper);
        }
        state.jobs.push_back(job);
        // The lock is released before the notification, because otherwise the helper would first wait for
        // the lock.
        drop(state);
        // mutant: drop wake of a helper
        self.wake.notify_one();
        Ok(())
    }

    /// The main loop of a helper thread.
    pub(crate) fn main(&self, shared: &Shared, number: usize) {
        if let Some(locals) = local_values::of_thread() {
            // The jobs belong to goroutines, and goroutine-local values are not available on this thread.
            locals.shut();
        }
        let born = Born::here();
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                state.busy += 1;
                self.tell_who_stops(&state);
                drop(state);
                job.run();
                forked::check_thread(
                    born,
                    "a closure in `blocking` has called `fork`, and returned",
                );
                state = self.state.lock();
                state.busy -= 1;
                continue;
            }
            if state.stopping {
                break;
            }
            state.idle += 1;
            let (again, timed_out) = self.wake.wait_timeout(state, IDLE_THREAD_LIFE);
            state = again;
            state.idle -= 1;
            if timed_out && state.jobs.is_empty() {
                break;
            }
        }
        state.threads -= 1;
        let own = state.handles[number].take();
        own.into_iter().for_each(|own| shared.leavers.add(own));
        self.tell_who_stops(&state);
        drop(state);
        // mutant: drop room for others
        shared.remove_helper();
    }

    pub(crate) fn stop(&self) {
        self.state.lock().stopping = true;
        // mutant: drop wake of the helpers
        self.wake.notify_all();
    }

    /// Tells the thread that stops the runtime that one more helper runs a job or has left.
    fn tell_who_stops(&self, state: &State) {
        if state.stopping {
            // mutant: drop word to who stops
            self.left.notify_all();
        }
    }

    /// Blocks the thread until each remaining helper runs a job. Must be called after `stop`. The call does
    /// not wait for jobs to end, because a job may never end.
    pub(crate) fn await_idle(&self) {
        let mut state = self.state.lock();
        while state.threads > state.busy {
            state = self.left.wait(state);
        }
    }
}

impl State {
    /// Starts one more helper. Returns false if no thread can be started.
    fn start(&mut self, shared: &Shared) -> bool {
        let number = self.handles.iter().position(Option::is_none).unwrap_or(self.handles.len());
        let Ok(handle) = shared.start_helper(number) else { return false };
        if number == self.handles.len() {
            self.handles.push(Some(handle));
        } else {
            self.handles[number] = Some(handle);
        }
        self.threads += 1;
        true
    }
}
