//! Alarm: wakes tasks that await a time, whatever executor runs them, with or without a runtime. A process has one
//! alarm, with one kernel thread. The thread is started by the first task that awaits a time, and sleeps while
//! nothing is due.
//!
//! arm (a poll): lock; remove the future's earlier entry; push; if the thread sleeps beyond the new
//!     deadline, wake it.   disarm (a drop): lock; remove the entry.
//! turn (the thread): lock; pop the due entries; unlock; wake their tasks.   If nothing is due, sleep until
//!     the nearest deadline; the lock is released as the thread falls asleep.
//! Wakers are user code. They are cloned, called and dropped without the lock, and their panics are caught, because
//! a panic would end the thread. [Q2]
//!
//! [Z4] While there is an entry, the alarm is awake, or sleeps at most until the entry's deadline, or its wake-up
//! is in flight. An entry leaves once: either the waker with which it was last armed is called, or the entry is
//! removed.
//! In a model, time is a part of the model, and `virtual_time` replaces this file.
//! Checked by: verification/loom/alarm.rs, proptests/runtime/awaited.rs, proptests/model/time.rs.
#![forbid(unsafe_code)]

use crate::explore::virtual_time;
use crate::fiber::overflow;
use crate::platform::foreign::Task;
use crate::platform::fork;
use crate::platform::fork::Born;
use crate::platform::poison::PoisonError;
use crate::platform::{
    Arc, Condvar, MODELLED, Mutex, MutexGuard, OfProcess, const_fn, thread, unmodelled,
};
use crate::sched::core::clock;
use crate::sched::core::forked;
use crate::structures::NEVER;
use crate::structures::heap::{Heap, Ticket};
use std::collections::BTreeMap;
use std::time::Duration;

/// The greatest number of tasks that are woken before the lock is taken again.
const BATCH: usize = 64;

/// The alarm; see the module's documentation.
#[derive(Debug)]
pub struct Alarm {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug)]
struct State {
    /// The items are keys of `tasks`. An entry is in both, or in neither.
    heap: Heap<u64>,
    tasks: BTreeMap<u64, Task>,
    /// The number of entries so far. No two entries have the same number.
    armed: u64,
    /// The time until which the thread sleeps. It is 0 while the thread is awake or being woken.
    sleeps_until: u64,
}

/// Identifies an entry, which may have left the alarm.
#[derive(Clone, Copy, Debug)]
pub struct Armed {
    number: u64,
    ticket: Ticket,
}

impl Alarm {
    const_fn! {
        /// Makes an alarm without an entry.
        #[allow(clippy::new_without_default)]
        pub fn new() -> Alarm {
            let state =
                State { heap: Heap::new(), tasks: BTreeMap::new(), armed: 0, sleeps_until: 0 };
            Alarm { state: Mutex::new(state), wake: Condvar::new() }
        }
    }

    /// Wakes `task` once, at `deadline`. The new entry replaces the entry `before`, if that has not left. [Z4]
    pub fn arm(&self, before: Option<Armed>, deadline: u64, task: impl Into<Task>) -> Armed {
        let task = task.into();
        let mut state = self.state.lock();
        let replaced = before.and_then(|before| state.take(before));
        state.armed += 1;
        let number = state.armed;
        let ticket = state.heap.push(deadline, number);
        state.tasks.insert(number, task);
        if deadline < state.sleeps_until {
            // One wake-up is enough: until the thread has locked again, it counts as awake, so another `arm` need not
            // wake it.
            state.sleeps_until = 0;
            // mutant: drop wake of the alarm
            self.wake.notify_one();
        }
        drop(state);
        drop(replaced);
        Armed { number, ticket }
    }

    /// Removes an entry and returns true. Returns false if the entry has left, which means that its waker was
    /// called or is about to be. [Z4]
    pub fn disarm(&self, armed: Armed) -> bool {
        // The lock is released at the end of this statement, and the waker is dropped after that.
        let taken = self.state.lock().take(armed);
        taken.is_some()
    }

    /// One turn of the alarm's thread: wakes a batch of due tasks, or sleeps if none is due.
    pub fn turn(&self, now: impl FnOnce() -> u64) {
        let mut state = self.state.lock();
        let now = now();
        let due = state.pop_due(now);
        if due.is_empty() {
            return self.sleep(state, now);
        }
        drop(state);
        due.into_iter().for_each(Task::wake);
    }

    fn sleep(&self, mut state: MutexGuard<'_, State>, now: u64) {
        let nearest = state.heap.nearest();
        state.sleeps_until = nearest;
        let mut state = match nearest {
            NEVER => self.wake.wait(state),
            _ => self.wake.wait_timeout(state, Duration::from_nanos(nearest - now)).0,
        };
        state.sleeps_until = 0;
    }

    /// Returns the number of deadlines.
    pub fn len(&self) -> usize {
        self.state.lock().heap.len()
    }

    /// Returns true if there is no deadline.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    fn take(&mut self, armed: Armed) -> Option<Task> {
        let task = self.tasks.remove(&armed.number)?;
        // mutant: drop cancelling of the deadline
        self.heap.cancel(armed.ticket, armed.number);
        Some(task)
    }

    fn pop_due(&mut self, now: u64) -> Vec<Task> {
        let mut due = Vec::new();
        while due.len() < BATCH
            && let Some(number) = self.heap.pop_due(now)
        {
            due.extend(self.tasks.remove(&number));
        }
        due
    }
}

/// The alarm of the process, made when it is first needed, and never in a model. The child of a fork makes its own
/// alarm.
static ALARM: OfProcess<Arc<Alarm>> = OfProcess::new();

/// # Panics
/// Panics if the thread cannot be started. The next call tries again.
#[track_caller]
fn of_the_process() -> &'static Alarm {
    match ALARM.get() {
        Some(alarm) => alarm,
        None => start(),
    }
}

#[cold]
#[track_caller]
fn start() -> &'static Alarm {
    static STARTING: OfProcess<unmodelled::Mutex<()>> = OfProcess::new();
    // Only one thread starts the alarm at a time, because a second alarm would have a useless thread.
    let starting = STARTING.get_or_init(unmodelled::Mutex::default);
    let turn = starting.lock().unwrap_or_else(PoisonError::into_inner);
    if ALARM.get().is_none() {
        fork::prepare();
        let alarm = Arc::new(Alarm::new());
        let own = Arc::clone(&alarm);
        let born = Born::here();
        let life = move || {
            overflow::ensure_alternate_stack();
            loop {
                own.turn(clock::now);
                forked::check_thread(born, "a waker has called `fork`, and returned");
            }
        };
        if let Err(error) = thread::spawn("selvedge-alarm".to_owned(), life) {
            // The lock is released first, because the panic hook may also await a time, and would then lock again.
            // [Q3]
            drop(turn);
            panic!(
                "the thread that wakes futures at their time can't be started: {error}; raise the \
                 limit of threads, or wait in a goroutine, which needs no thread"
            );
        }
        return ALARM.get_or_init(|| alarm);
    }
    ALARM.get().expect("the alarm was made before")
}

/// A future's entry in the alarm of the process or in the clock of the model, at most one at a time. The entry is
/// removed on drop.
#[derive(Debug, Default)]
pub(crate) struct Reminder {
    place: Option<Place>,
}

#[derive(Debug)]
enum Place {
    /// An entry in the alarm of the process in which it was armed.
    Alarm(Born, Armed),
    /// An entry in the clock of the model.
    Model(u64),
}

impl Reminder {
    /// Wakes `task` at `deadline`, in place of the task that was set before.
    ///
    /// # Panics
    /// Panics if the alarm's thread cannot be started.
    #[track_caller]
    pub(crate) fn set(&mut self, deadline: u64, task: Task) {
        if MODELLED || deadline == NEVER {
            self.clear();
            // Outside a checked user program a model has no clock, so a deadline that is not due is never reached.
            let number = if MODELLED { virtual_time::set_task(task, deadline) } else { None };
            self.place = number.map(Place::Model);
            return;
        }
        let before = match self.place.take() {
            Some(Place::Alarm(born, armed)) if born.is_here() => Some(armed),
            _ => None,
        };
        let armed = of_the_process().arm(before, deadline, task);
        self.place = Some(Place::Alarm(Born::here(), armed));
    }

    /// Removes the entry, so that no task is woken.
    pub(crate) fn clear(&mut self) {
        match self.place.take() {
            Some(Place::Alarm(born, armed)) if born.is_here() => {
                of_the_process().disarm(armed);
            }
            Some(Place::Alarm(..)) => {}
            Some(Place::Model(number)) => virtual_time::unset(number),
            None => {}
        }
    }
}

impl Drop for Reminder {
    fn drop(&mut self) {
        self.clear();
    }
}
