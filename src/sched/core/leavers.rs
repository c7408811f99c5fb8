//! The handles of kernel threads that have left the runtime before its end. These are workers and helpers
//! that were idle for a long time. They may still run the destructors of their thread-locals, which are the
//! user's code. So the runtime joins them when it ends. Before that, it drops the handles of those that are
//! certainly gone.
//!
//! [T6] When `stop` returns, every thread that has left is gone, and its thread-locals are destroyed.
//! Threads that have not left are in user code, or suspended goroutines are bound to them.
//! Checked by: proptests/environment/threads.rs, verification/shuttle/blocking.rs.
#![forbid(unsafe_code)]

use crate::platform::{Mutex, thread};

pub(crate) struct Leavers(Mutex<Vec<thread::JoinHandle>>);

impl Leavers {
    pub(crate) fn new() -> Self {
        Leavers(Mutex::new(Vec::new()))
    }

    /// Adds a thread that leaves or has left. Such a thread runs no code of the runtime any more.
    pub(crate) fn add(&self, leaver: thread::JoinHandle) {
        let mut leavers = self.0.lock();
        let before = std::mem::take(&mut *leavers);
        leavers.extend(before.into_iter().filter_map(|before| before.try_join().err()));
        leavers.push(leaver);
    }

    /// Blocks the calling thread until all threads that left are gone, except the calling thread itself.
    /// [T6]
    pub(crate) fn join(&self) {
        // The handles are taken out first and joined without the lock, because a destructor on one of these
        // threads may call this type again.
        let leavers = std::mem::take(&mut *self.0.lock());
        leavers.into_iter().for_each(|leaver| {
            leaver.join();
        });
    }
}
