//! A kernel of the models' own: sockets that are counts of bytes. It tells of each arrival once, as an
//! edge-triggered one does, and its bell is as an eventfd: what was rung is heard once, by who asks next.

use selvedge::internals::cell::{Cell, Way};
use selvedge::internals::platform::{Arc, Condvar, Mutex, Notifier};
use selvedge::internals::sched::poller::{Event, Key, Source};
use selvedge::internals::wait::WaitLimit;
use selvedge::internals::wait::limit::Outcome;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

#[derive(Clone)]
pub struct Kernel(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
struct State {
    bytes: usize,
    events: Vec<Event>,
    rung: bool,
}

impl Kernel {
    pub fn new() -> Kernel {
        Kernel(Arc::new((Mutex::new(State::default()), Condvar::new())))
    }

    /// So many bytes come for the socket of this key, at once.
    pub fn arrive(&self, key: Key, bytes: usize) {
        let (state, wake) = &*self.0;
        let mut state = state.lock();
        state.bytes += bytes;
        state.events.push(Event { key, readable: true, ..Event::default() });
        wake.notify_all();
    }

    /// Takes one byte; false if that would block.
    pub fn take_byte(&self) -> bool {
        let mut state = self.0.0.lock();
        let some = state.bytes > 0;
        state.bytes -= usize::from(some);
        some
    }

    /// Reads one byte, and waits for it by `cell`. `before_waiting` is called when the first try has
    /// failed.
    pub fn read(&self, cell: &Cell, before_waiting: impl FnOnce()) {
        let mut before_waiting = Some(before_waiting);
        loop {
            let seen = cell.count(Way::Read);
            if self.take_byte() {
                return;
            }
            if let Some(then) = before_waiting.take() {
                then();
            }
            let outcome = cell.wait(Way::Read, seen, WaitLimit::NONE, Location::caller());
            assert_eq!(outcome, Outcome::Fired(Way::Read as u32));
        }
    }
}

impl Source for Kernel {
    /// As long as time stands still: for none at all, or without end.
    fn take(&mut self, limit: Option<Duration>, events: &mut Vec<Event>) {
        let (state, wake) = &*self.0;
        let mut state = state.lock();
        let waits = limit != Some(Duration::ZERO);
        while waits && state.events.is_empty() && !state.rung {
            state = wake.wait(state);
        }
        state.rung = false;
        events.append(&mut state.events);
    }
}

impl Notifier for Kernel {
    fn notify(&self) {
        let (state, wake) = &*self.0;
        state.lock().rung = true;
        wake.notify_all();
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kernel")
    }
}
