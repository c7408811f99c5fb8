//! Helper queue: jobs for the helper threads of a runtime, and the life of such a thread.
//! submit: queue the job for a helper that is idle, or is started.   main: run jobs until none came for a while.
//! [Q1] A job is run once; its submitter waits for it.
//! Checked by: verification/shuttle/blocking.rs, proptests/runtime/blocking.rs.

use super::forked;
use super::runtime::Shared;
use crate::platform::fork::Born;
use crate::platform::{Condvar, Mutex, thread};
use crate::sched::idle::IDLE_THREAD_LIFE;
use crate::structures::local_values;
use std::collections::VecDeque;

pub(crate) type AnyJob = *mut (dyn FnMut() + Send + 'static);

/// A closure on the stack of a goroutine, or thread, that waits for it.
pub(crate) struct Job(pub(crate) AnyJob);

// SAFETY: the closure is Send, and its owner waits.
unsafe impl Send for Job {}

/// There is no thread for a job, and none can be started.
pub(crate) struct NoHelper;

/// The helper threads of a runtime.
pub(crate) struct Helpers {
    state: Mutex<State>,
    wake: Condvar,
    /// While the runtime stops: one has left, or has taken up a job.
    left: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    /// Helpers that run a job.
    busy: usize,
    /// By number, of those that have not left.
    handles: Vec<Option<thread::JoinHandle>>,
    stopping: bool,
}

impl Job {
    /// Runs it, on behalf of who waits for it. Never unwinds.
    pub(crate) fn run(self) {
        // SAFETY: its owner waits until the job has run, and there is one `Job` of it. [Q1]
        unsafe { (*self.0)() };
    }
}

/// Whether the calling thread is a helper, which may end.
pub(crate) fn is_helper() -> bool {
    local_values::of_thread().is_some_and(|locals| locals.is_shut())
}

impl Helpers {
    pub(crate) fn new() -> Self {
        Helpers { state: Mutex::new(State::default()), wake: Condvar::new(), left: Condvar::new() }
    }

    /// Queues a job for a helper that is free, or has just been started; if it `may_wait`, for any that
    /// there is.
    pub(crate) fn submit(&self, shared: &Shared, job: Job, may_wait: bool) -> Result<(), NoHelper> {
        let mut state = self.state.lock();
        let mut at_once = state.idle > state.jobs.len();
        // Under the lock: whoever finds a helper counted can rely on it.
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
        // Before the wake-up: it would begin by waiting for the lock.
        drop(state);
        // mutant: drop wake of a helper
        self.wake.notify_one();
        Ok(())
    }

    /// The life of a helper thread.
    pub(crate) fn main(&self, shared: &Shared, number: usize) {
        if let Some(locals) = local_values::of_thread() {
            // Jobs are others': their goroutines' values stay at home.
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

    /// One more runs a job, or has left.
    fn tell_who_stops(&self, state: &State) {
        if state.stopping {
            // mutant: drop word to who stops
            self.left.notify_all();
        }
    }

    /// After `stop`: waits until none is left but those that run a job, for which nobody can wait.
    pub(crate) fn await_idle(&self) {
        let mut state = self.state.lock();
        while state.threads > state.busy {
            state = self.left.wait(state);
        }
    }
}

impl State {
    /// Starts one more helper; false if there is no thread for it.
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
