//! Parker: puts one kernel thread to sleep until somebody gives it a permit.
//! park: lock, wait while no permit, take it.   unpark: lock, give the permit, notify if asleep.
//! [K1] A permit given before `park` makes it return at once. [K2] Permits don't add up: one at most.
//! [K3] What happened before `unpark` is seen after the `park` that took its permit.
//! One mutex and one condition variable, the same in every backend: loom's own `park` would create
//! happens-before edges that C11 doesn't promise.
//! Checked by: verification/loom/parker.rs.

use super::{Condvar, Mutex};
use std::time::Duration;

#[derive(Debug, Default)]
struct State {
    permit: bool,
    asleep: bool,
}

/// A kernel thread's permit. One thread parks; any thread unparks.
#[derive(Debug)]
pub struct Parker {
    state: Mutex<State>,
    wake: Condvar,
}

impl Parker {
    /// A parker without a permit.
    pub fn new() -> Self {
        Parker { state: Mutex::new(State::default()), wake: Condvar::new() }
    }

    /// Blocks the kernel thread until a permit is there, and takes it. [K1]
    pub fn park(&self) {
        let mut state = self.state.lock();
        while !state.permit {
            state.asleep = true;
            state = self.wake.wait(state);
            state.asleep = false;
        }
        // mutant: drop end of the permit
        state.permit = false;
    }

    /// As [`park`](Self::park), for at most about `limit`; false means that no permit came.
    pub fn park_timeout(&self, limit: Duration) -> bool {
        let mut state = self.state.lock();
        // Zero is no wait, also where a checker's time stands still.
        if !state.permit && !limit.is_zero() {
            state.asleep = true;
            state = self.wake.wait_timeout(state, limit).0;
            state.asleep = false;
        }
        std::mem::take(&mut state.permit)
    }

    /// Gives the permit; never blocks for long, and makes no system call if nobody sleeps. [K2]
    pub fn unpark(&self) {
        let mut state = self.state.lock();
        // mutant: drop permit
        state.permit = true;
        // mutant: drop wake
        if state.asleep {
            // Under the lock: the parked thread may free the parker as soon as it sees the permit.
            self.wake.notify_one();
        }
    }
}

impl Default for Parker {
    fn default() -> Self {
        Parker::new()
    }
}
