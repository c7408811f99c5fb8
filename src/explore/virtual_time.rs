//! Virtual time in a model: a thread of its own lets the earliest time-out expire at any point that the checker
//! chooses, so that each order of expiries and wake-ups is explored. Only this thread advances time.
//!
//! set (by a goroutine that is about to wait, or a task that awaits): lock, add, wake the clock.   unset: lock,
//! remove the entry if it has not expired.
//! clock: lock; take the earliest, or wait for one; advance `now`; expire it.
//! [K9] `now` never goes back, and is at the deadline, or past it, when a wait has timed out.
//! Checked by: proptests/model/time.rs.

use crate::observe::run_log;
use crate::platform::atomic::{AtomicU64, Ordering};
use crate::platform::foreign::Task;
use crate::platform::hooks;
use crate::platform::hooks::Hooks;
use crate::platform::{Arc, Condvar, Mutex, Parker, thread};
use std::cell::RefCell;

/// The clock of one run.
pub struct Clock {
    now: AtomicU64,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    alarms: Vec<Alarm>,
    last: u64,
    runs: bool,
    over: bool,
}

struct Alarm {
    deadline: u64,
    number: u64,
    whom: Whom,
}

enum Whom {
    /// A timed park.
    Parker(Arc<Parker>),
    /// A task that awaits a time.
    Task(Task),
}

thread_local! {
    /// The clock of the run that belongs to this kernel thread.
    static CLOCK: RefCell<Option<Arc<Clock>>> = const { RefCell::new(None) };
}

/// The functions by which the platform tells a run what happens, and asks it for the time.
const HOOKS: Hooks = Hooks {
    step: run_log::step,
    sleeps: run_log::sleeps,
    wakes: run_log::wakes,
    timed_out: || run_log::timed(false),
    now,
    set_alarm: set,
    unset_alarm: unset,
};

/// Makes a clock at zero for the run that begins.
pub fn begin() {
    hooks::install(HOOKS);
    let clock =
        Clock { now: AtomicU64::new(0), state: Mutex::new(State::default()), wake: Condvar::new() };
    CLOCK.replace(Some(Arc::new(clock)));
}

/// Records that the last goroutine has ended, which also ends the clock.
pub fn end() {
    let Some(clock) = CLOCK.take() else { return };
    let mut state = clock.state.lock();
    state.over = true;
    clock.wake.notify_one();
}

fn clock() -> Option<Arc<Clock>> {
    CLOCK.with_borrow(Option::clone)
}

/// Returns the nanoseconds since the run began, or zero outside of a run.
pub fn now() -> u64 {
    // Relaxed: no code relies on a clock read to order other memory accesses. A thread never reads an earlier time
    // than it, or a thread that has woken it, has read before, because `now` is a single atomic. After a wait that
    // timed out, a thread has taken the parker's lock, or was woken by the waker. Both happen after `expire` has set
    // the time. [K9]
    clock().map_or(0, |clock| clock.now.load(Ordering::Relaxed))
}

/// Sets the time to `now`, for a model that advances the clock itself.
pub fn pass_to(now: u64) {
    if let Some(clock) = clock() {
        // Relaxed: see `now`.
        clock.now.fetch_max(now, Ordering::Relaxed);
    }
}

/// Lets the wait of `parker` expire at `deadline`. Returns the number of the entry, or `None` outside of a run.
pub fn set(parker: Arc<Parker>, deadline: u64) -> Option<u64> {
    add(Whom::Parker(parker), deadline)
}

/// Works like [`set`], but wakes a task at `deadline`. The greatest possible deadline is never reached.
pub fn set_task(task: Task, deadline: u64) -> Option<u64> {
    if deadline == u64::MAX { None } else { add(Whom::Task(task), deadline) }
}

fn add(whom: Whom, deadline: u64) -> Option<u64> {
    let clock = clock()?;
    let mut state = clock.state.lock();
    state.last += 1;
    let number = state.last;
    state.alarms.push(Alarm { deadline, number, whom });
    run_log::timed(true);
    if !std::mem::replace(&mut state.runs, true) {
        drop(state);
        run_log::thread("the clock of the time-outs");
        let own = Arc::clone(&clock);
        thread::spawn("clock".to_owned(), move || own.main()).expect("a model starts any thread");
    } else {
        clock.wake.notify_one();
    }
    Some(number)
}

/// Records that the wait is over, for whatever reason.
pub fn unset(number: u64) {
    let Some(clock) = clock() else { return };
    let mut state = clock.state.lock();
    let Some(at) = state.alarms.iter().position(|alarm| alarm.number == number) else { return };
    let alarm = state.alarms.remove(at);
    run_log::timed(false);
    // The task's waker is dropped without the lock, because its drop may do anything.
    drop(state);
    drop(alarm);
}

impl Clock {
    fn main(&self) {
        let mut state = self.state.lock();
        loop {
            let earliest = (0..state.alarms.len())
                .min_by_key(|at| (state.alarms[*at].deadline, state.alarms[*at].number));
            match earliest {
                Some(at) => {
                    let alarm = state.alarms.remove(at);
                    drop(state);
                    self.expire(alarm);
                    state = self.state.lock();
                }
                None if state.over => return,
                None => state = self.wake.wait(state),
            }
        }
    }

    fn expire(&self, alarm: Alarm) {
        // Relaxed: only this thread writes the time.
        if alarm.deadline > self.now.load(Ordering::Relaxed) {
            // Relaxed: `now` says why. This is a plain store, because only this thread writes the time.
            self.now.store(alarm.deadline, Ordering::Relaxed);
            run_log::time(alarm.deadline);
        }
        match alarm.whom {
            Whom::Parker(parker) => parker.expire(alarm.number),
            Whom::Task(task) => {
                task.wake();
                // This call comes last, because until here this thread runs and may wake the waiter.
                run_log::timed(false);
            }
        }
    }
}
