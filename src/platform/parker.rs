//! Parker: puts one kernel thread to sleep until another thread gives it a permit.
//! park: lock, wait while there is no permit, take it.   unpark: lock, give the permit, unlock; then notify if the
//! thread sleeps. If unpark notified under the lock, the woken thread would find the lock taken and go back to sleep,
//! which costs 12 µs of 17.
//! park_by: as park, but the caller chooses how to sleep. It leaves a notifier, which unpark then calls.
//! [K1] A permit that was given before `park` makes `park` return at once. [K2] Permits do not add up, so there is at
//! most one.
//! [K3] What happened before `unpark` is seen after the `park` that took its permit.
//! [K4] A thread that waits elsewhere, and has left a notifier there, is woken by a permit.
//! A parker is one mutex and one condition variable in every backend. loom's own `park` would create happens-before
//! edges that C11 does not promise.
//! A parker may stand for a goroutine of a checked program, in which each goroutine is a model thread. Then the
//! run log is told which goroutine waits, and time-outs are events of the model.
//! Checked by: verification/loom/parker.rs, verification/loom/poller.rs.

use super::hooks::hooks;
use super::{Arc, Condvar, MODELLED, Mutex};
use std::fmt::Debug;
use std::time::Duration;

/// Ends the wait of a thread that does not sleep in its parker. Never blocks.
pub trait Notifier: Send + Sync + Debug {
    /// Ends the wait of the thread.
    fn notify(&self);
}

#[derive(Debug, Default)]
struct State {
    permit: bool,
    asleep: bool,
    /// Ends the wait of a thread that sleeps elsewhere, if it does.
    notifier: Option<Arc<dyn Notifier>>,
    /// The alarm that the thread waits for, and the alarm that went off last; see `virtual_time`.
    awaited: u64,
    expired: u64,
}

/// A kernel thread's permit. One thread parks. Any thread unparks. The unparking thread keeps the parker alive until
/// the call returns, by a reference count of the parker or of the runtime that contains the parker.
#[derive(Debug)]
pub struct Parker {
    state: Mutex<State>,
    wake: Condvar,
    goroutine: u32,
    name: Option<Box<str>>,
}

impl Parker {
    /// Returns a parker without a permit.
    pub fn new() -> Self {
        Parker::of(0, None)
    }

    /// Works like [`new`](Self::new), for a goroutine of the run log.
    pub fn of(goroutine: u32, name: Option<Box<str>>) -> Self {
        Parker { state: Mutex::new(State::default()), wake: Condvar::new(), goroutine, name }
    }

    /// Returns the goroutine's id; 0 for a plain thread.
    pub fn goroutine(&self) -> u32 {
        self.goroutine
    }

    /// Returns the goroutine's name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    #[inline]
    fn is_checked(&self) -> bool {
        MODELLED && self.goroutine != 0
    }

    #[cold]
    fn tell_sleeps(&self) {
        if let Some(hooks) = hooks() {
            (hooks.sleeps)(self.goroutine);
        }
    }

    #[cold]
    fn tell_wakes(&self) {
        if let Some(hooks) = hooks() {
            (hooks.wakes)(self.goroutine);
        }
    }

    /// Blocks the kernel thread until a permit is there, and takes it. [K1]
    pub fn park(&self) {
        let mut state = self.state.lock();
        while !state.permit {
            state.asleep = true;
            if self.is_checked() {
                self.tell_sleeps();
            }
            state = self.wake.wait(state);
            state.asleep = false;
        }
        // mutant: drop end of the permit
        state.permit = false;
    }

    /// Works like [`park`](Self::park), for at most about `limit`; false means that no permit came.
    pub fn park_timeout(&self, limit: Duration) -> bool {
        if self.is_checked() {
            return self.park_in_virtual_time(limit);
        }
        let mut state = self.state.lock();
        // With a limit of zero the call does not wait, also where a checker's time stands still.
        if !state.permit && !limit.is_zero() {
            state.asleep = true;
            state = self.wake.wait_timeout(state, limit).0;
            state.asleep = false;
        }
        std::mem::take(&mut state.permit)
    }

    /// Works like [`park`](Self::park), but `wait` sleeps, until the notifier is called or for a shorter time.
    /// Returns true if it took a permit. If a permit was given before, `wait` is not called. [K4]
    pub fn park_by(&self, notifier: &Arc<dyn Notifier>, wait: impl FnOnce()) -> bool {
        let mut state = self.state.lock();
        // mutant: sleep though there is a permit: replace !state.permit with true
        if !state.permit {
            // mutant: drop notifier
            state.notifier = Some(Arc::clone(notifier));
            drop(state);
            wait();
            state = self.state.lock();
            state.notifier = None;
        }
        std::mem::take(&mut state.permit)
    }

    /// Gives the permit. Never blocks for long, and makes no system call if no thread sleeps. [K2]
    pub fn unpark(&self) {
        let mut state = self.state.lock();
        // mutant: drop permit
        state.permit = true;
        if self.is_checked() {
            self.tell_wakes();
        }
        let (asleep, notifier) = (state.asleep, state.notifier.take());
        // The woken thread needs the lock. The parker outlives this call: the type's documentation says why.
        drop(state);
        // mutant: drop wake
        if asleep {
            self.wake.notify_one();
        }
        if let Some(notifier) = notifier {
            // mutant: drop ring
            notifier.notify();
        }
    }

    #[cold]
    fn park_in_virtual_time(&self, limit: Duration) -> bool {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let hooks = hooks().expect("a checked run has begun");
        let deadline = (hooks.now)().saturating_add(nanos);
        let own = crate::platform::tls::parker().filter(|own| std::ptr::eq(&raw const **own, self));
        let alarm = own.filter(|_| deadline < u64::MAX);
        let Some(alarm) = alarm.and_then(|own| (hooks.set_alarm)(own, deadline)) else {
            self.park();
            return true;
        };
        let mut state = self.state.lock();
        state.awaited = alarm;
        while !state.permit && state.expired != alarm {
            state.asleep = true;
            self.tell_sleeps();
            state = self.wake.wait(state);
            state.asleep = false;
        }
        let permit = std::mem::take(&mut state.permit);
        state.awaited = 0;
        drop(state);
        (hooks.unset_alarm)(alarm);
        permit
    }

    /// Lets a timed park end because its alarm goes off.
    pub fn expire(&self, alarm: u64) {
        let mut state = self.state.lock();
        state.expired = alarm;
        if state.awaited == alarm {
            self.tell_wakes();
        }
        // This call comes last, because until here this thread runs and may wake the goroutine.
        if let Some(hooks) = hooks() {
            (hooks.timed_out)();
        }
        if state.asleep {
            self.wake.notify_one();
        }
    }
}

impl Default for Parker {
    fn default() -> Self {
        Parker::new()
    }
}
