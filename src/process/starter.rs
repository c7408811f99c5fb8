//! Starter: kernel threads that start children, and never end. For the kernel, the thread that
//! forked is the parent of the child. If the child asked for a signal at its parent's end (`PR_SET_PDEATHSIG`), it
//! gets the signal when that thread ends. Workers and helpers end when they are idle for some time, and when
//! their runtime ends. Starters stay for the life of the process.
//!
//! start: queue the job for a free starter, or start a new starter, up to `MOST`; wait until the job has run.
//! There are several starters, because starting a child takes until the kernel has read the program.
//! Checked by: proptests/environment/threads.rs.
#![forbid(unsafe_code)]

use crate::fiber::overflow;
use crate::io::call::{call, refuse_in_model};
use crate::platform::fork;
use crate::platform::{Condvar, Mutex, OfProcess, thread};
use crate::sched::blocking::elsewhere;
use crate::sched::core::helper_queue::{Job, NoHelper, is_helper};
use crate::sched::core::wired::is_wired;
use crate::sched::suspend::park;
use std::collections::VecDeque;
use std::panic::{Location, resume_unwind};

/// The highest number of starters, and so of children that are started at the same time.
const MOST: usize = 8;

struct Starters {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// The starters of this process. The child process of a fork makes its own.
static STARTERS: OfProcess<Starters> = OfProcess::new();

/// Calls `f`, which starts a child, on a starter. On a plain thread, calls `f` in place, as `std`
/// does. If the goroutine has its kernel thread for itself, or if no starter can be
/// started, uses `blocking` instead. `what` is the public name of the call.
#[track_caller]
pub(super) fn start<T: Send>(what: &'static str, f: impl FnOnce() -> T + Send) -> T {
    refuse_in_model(what);
    if park::is_plain_thread() && !is_helper() {
        return f();
    }
    if is_wired() {
        return call(what, f);
    }
    let starters = STARTERS.get_or_init(Starters::new);
    match elsewhere(Location::caller(), |job| starters.submit(job), f) {
        Ok((Ok(value), _)) => value,
        Ok((Err(payload), _)) => resume_unwind(payload),
        Err(f) => call(what, f),
    }
}

impl Starters {
    fn new() -> Self {
        fork::prepare();
        Starters { state: Mutex::new(State::default()), wake: Condvar::new() }
    }

    fn submit(&'static self, job: Job) -> Result<(), NoHelper> {
        let mut state = self.state.lock();
        if state.idle <= state.jobs.len() && state.threads < MOST {
            let life = || self.serve();
            if thread::spawn("selvedge-spawn".to_owned(), life).is_ok() {
                state.threads += 1;
            } else if state.threads == 0 {
                return Err(NoHelper);
            }
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    fn serve(&self) {
        overflow::ensure_alternate_stack();
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job.run();
                state = self.state.lock();
                continue;
            }
            state.idle += 1;
            state = self.wake.wait(state);
            state.idle -= 1;
        }
    }
}
