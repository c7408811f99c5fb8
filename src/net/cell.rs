//! Cell: the waiters of one socket, and the readiness that the poller has reported for the socket.
//!
//! operation: read `count`; try the system call. If the call would block, take the lock and check whether
//!     `count` still has the value that was read. If it has, link the waiter and park; if not, try again.
//! ready (the poller): under the lock, increment `count`, and complete the waits of all waiters.
//!
//! If readiness arises after the failed system call, the poller also reports it after that call. The report
//! therefore either changes `count` before the waiter takes the lock, or completes the waiter's wait. The
//! poller completes all waits, because one event may stand for several connections, or for more bytes than
//! one waiter reads.
//! [N6] No readiness is lost: a wait begins only if the poller has reported nothing since before the
//! waiter's last try.
//! Checked by: verification/loom/poller.rs, verification/shuttle/sockets.rs, proptests/net/.
#![allow(unsafe_code)]

use crate::platform::Mutex;
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sched::poller::{Event, EventHandler};
use crate::wait::limit::Outcome;
use crate::wait::{List, Node, Wait, WaitLimit, WakeHandle};
use std::panic::Location;
use std::ptr;

/// The kind of readiness that an operation waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A read or an accept.
    Read = 0,
    /// A write, or the completion of a connect.
    Write = 1,
}

/// The waiters and the readiness of one socket; see the module.
pub struct Cell {
    /// How often the poller has reported readiness, for each way. The poller writes the counts under
    /// the lock.
    counts: [AtomicU32; 2],
    /// See [`Event::eof_or_oob`].
    eof_or_oob: AtomicBool,
    waiters: Mutex<[List; 2]>,
}

impl Default for Cell {
    fn default() -> Self {
        Cell::new()
    }
}

impl Cell {
    /// Returns a cell without waiters.
    pub fn new() -> Self {
        Cell {
            counts: [AtomicU32::new(0), AtomicU32::new(0)],
            eof_or_oob: AtomicBool::new(false),
            waiters: Mutex::new([List::new(), List::new()]),
        }
    }

    /// Returns the count. The caller must read the count before it tries the operation. [N6]
    #[inline]
    pub fn count(&self, way: Way) -> u32 {
        // Acquire: pairs with the Release in `ready`, so that the operation that follows finds the
        // readiness that the poller has reported.
        self.counts[way as usize].load(Ordering::Acquire)
    }

    /// Returns whether the poller has ever reported an end of file or out-of-band bytes.
    #[inline]
    pub fn is_odd(&self) -> bool {
        // Relaxed, because the caller has read the count, and the Acquire of that read makes the flag visible.
        self.eof_or_oob.load(Ordering::Relaxed)
    }

    /// Waits until the poller reports readiness, unless the poller has done so since `seen` was read. [N6]
    ///
    /// # Panics
    /// Panics inside `no_suspend`.
    pub fn wait(
        &self,
        way: Way,
        seen: u32,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Outcome {
        let wait = Wait::of_caller(place);
        let node = Node::new(&wait, way as u32, ptr::null_mut());
        let mut waiters = self.waiters.lock();
        // Relaxed, because this thread holds the lock under which the count is written.
        // mutant: no look what was told: replace self.counts[way as usize].load(Ordering::Relaxed) != seen with false
        if self.counts[way as usize].load(Ordering::Relaxed) != seen {
            return Outcome::Fired(way as u32);
        }
        // SAFETY: `node` and `wait` are in this frame. Before the function returns, the poller or `unlink` below has
        // unlinked `node`. Nothing in between unwinds.
        unsafe { waiters[way as usize].link(&node) };
        drop(waiters);
        let outcome = limit.wait(&wait, place);
        if outcome != Outcome::Fired(way as u32) {
            self.waiters.lock()[way as usize].unlink(&node);
        }
        outcome
    }
}

impl EventHandler<WakeHandle> for Cell {
    fn ready(&self, event: Event, wakes: &mut Vec<WakeHandle>) {
        let mut waiters = self.waiters.lock();
        if event.eof_or_oob {
            // Relaxed, because the Release below makes the flag visible to threads that read the count first.
            self.eof_or_oob.store(true, Ordering::Relaxed);
        }
        for (way, is_ready) in [(Way::Read, event.readable), (Way::Write, event.writable)] {
            if is_ready {
                // Release: pairs with the Acquire in `count`, so that the operation finds the readiness.
                // mutant: drop count
                self.counts[way as usize].fetch_add(1, Ordering::Release);
                while let Some(claim) = waiters[way as usize].claim() {
                    wakes.push(claim.complete());
                }
            }
        }
    }
}
