//! Leavers: the handles of kernel threads that have left the runtime before its end: workers and helpers that
//! were idle for long. They may still be at the destructors of their thread-locals, which are the user's
//! code: so they are joined when the runtime ends, and forgotten once they are surely gone.
//! [T6] When `stop` returns, every thread that has left is gone, its thread-locals destroyed. Those that
//! have not are in user code, or are the home of suspended goroutines.
//! Checked by: proptests/environment/threads.rs, verification/shuttle/blocking.rs.
#![forbid(unsafe_code)]

use crate::platform::{Mutex, thread};

pub(crate) struct Leavers(Mutex<Vec<thread::JoinHandle>>);

impl Leavers {
    pub(crate) fn new() -> Self {
        Leavers(Mutex::new(Vec::new()))
    }

    /// A thread leaves, or has left: it runs nothing of the runtime's any more.
    pub(crate) fn add(&self, leaver: thread::JoinHandle) {
        let mut leavers = self.0.lock();
        let before = std::mem::take(&mut *leavers);
        leavers.extend(before.into_iter().filter_map(|before| before.try_join().err()));
        leavers.push(leaver);
    }

    /// Waits until all of them are gone, the caller excepted. [T6]
    pub(crate) fn join(&self) {
        // Not under the lock: a destructor may come back here.
        let leavers = std::mem::take(&mut *self.0.lock());
        leavers.into_iter().for_each(|leaver| {
            leaver.join();
        });
    }
}
