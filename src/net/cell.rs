//! Cell: who waits for one socket, and what the poller has said of it.
//!
//! operation: read `count`; try the system call; where that would block, wait: under the lock, look
//!     whether `count` is still what was read; if so, link and park; else try again.
//! ready (the poller): under the lock, count, and fire all who wait.
//!
//! Whatever becomes ready after the system call has failed is told of after that, and so either counts
//! before the lock is taken, or fires the waiter. All who wait are fired, since one event may stand for
//! several connections, or for more bytes than one of them reads.
//! [N6] No readiness is lost: who waits began when nothing had been told since before its last try.
//! Checked by: verification/loom/poller.rs, verification/shuttle/sockets.rs, proptests/net/.
#![allow(unsafe_code)]

use crate::platform::Mutex;
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::sched::poller::{Event, EventHandler};
use crate::wait::limit::Outcome;
use crate::wait::{List, Node, Wait, WaitLimit, WakeHandle};
use std::panic::Location;
use std::ptr;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Reading, or accepting.
    Read = 0,
    /// Writing, or the end of connecting.
    Write = 1,
}

/// See the module.
pub struct Cell {
    /// How often the poller has said that it is ready, either way. Written under the lock.
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
    /// A cell for which nobody waits.
    pub fn new() -> Self {
        Cell {
            counts: [AtomicU32::new(0), AtomicU32::new(0)],
            eof_or_oob: AtomicBool::new(false),
            waiters: Mutex::new([List::new(), List::new()]),
        }
    }

    /// To be read before the operation is tried. [N6]
    #[inline]
    pub fn count(&self, way: Way) -> u32 {
        // Acquire: pairs with the Release in `ready`: what the poller was told of, the operation that
        // follows finds.
        self.counts[way as usize].load(Ordering::Acquire)
    }

    /// Whether the poller has ever said that it is at an end, or has urgent bytes.
    #[inline]
    pub fn is_odd(&self) -> bool {
        // Relaxed: who has read the count that came with it sees it too, by that Acquire.
        self.eof_or_oob.load(Ordering::Relaxed)
    }

    /// Waits until the poller says that it is ready, if it has not since `seen` was read. [N6]
    ///
    /// # Panics
    /// Inside `no_suspend`.
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
        // Relaxed: written under this lock.
        // mutant: no look what was told: replace self.counts[way as usize].load(Ordering::Relaxed) != seen with false
        if self.counts[way as usize].load(Ordering::Relaxed) != seen {
            return Outcome::Fired(way as u32);
        }
        // SAFETY: it is unlinked below at the latest, and nothing between unwinds.
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
            // Relaxed: the Release below publishes it, for who reads the count first.
            self.eof_or_oob.store(true, Ordering::Relaxed);
        }
        for (way, is_ready) in [(Way::Read, event.readable), (Way::Write, event.writable)] {
            if is_ready {
                // Release: pairs with the Acquire in `count`.
                // mutant: drop count
                self.counts[way as usize].fetch_add(1, Ordering::Release);
                while let Some(claim) = waiters[way as usize].claim() {
                    wakes.push(claim.complete());
                }
            }
        }
    }
}
