//! Permits: a number of permits that callers take n at a time, first in, first out. `Semaphore` and `RwLock` are built
//! on it.
//! acquire: take n permits from the word if that many are free and nobody waits. Otherwise, under the queue's lock,
//!     try again; or set QUEUED, link a node that carries n, and wait. A waker that completes the wait has taken the n
//!     permits for the waiter.
//! release: add n to the word. If QUEUED is set, give out, under the lock: serve the first waiter as long as there are
//!     enough permits for it.
//! cancel: unlink the node and give out, because the next waiters may need fewer permits.
//!
//! | bits | meaning | changed by |
//! |---|---|---|
//! | 0: `QUEUED` | nodes are linked, so nobody may pass them | any thread, under the queue's lock |
//! | above | free permits | any thread that takes or gives permits |
//!
//! [R1] Permits are neither lost nor made: each permit is free or has one holder. The holder sees what the previous
//! holder did.
//! [R2] While others wait, permits are taken only for the first waiter, by the thread that gives out.
//! [R3] The first waiter does not wait while as many permits are free as it needs, unless a thread that released
//! permits is about to give out.
//! Checked by: verification/loom/sync_permits.rs, proptests/sync/permits.rs.

use super::error::WaitError;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::{Mutex, MutexGuard, const_fn};
use crate::wait::{List, Node, WaitLimit, Wakes};
use std::panic::Location;
use std::ptr;

const QUEUED: usize = 1;
const ONE: usize = 2;

/// The largest number of permits, free and taken.
pub(super) const MOST: usize = usize::MAX >> 2;

pub(super) struct Permits {
    word: AtomicUsize,
    queue: Mutex<List>,
}

impl Permits {
    const_fn! {
        /// Starts with `free` free permits, at most [`MOST`].
        pub(super) fn new(free: usize) -> Self {
            Permits { word: AtomicUsize::new(free * ONE), queue: Mutex::new(List::new()) }
        }
    }

    /// Takes `n` permits. Waits for its turn as long as `limit` allows.
    #[inline]
    pub(super) fn acquire(
        &self,
        n: usize,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        if self.try_acquire(n) { Ok(()) } else { self.acquire_slow(n, limit, place) }
    }

    /// Takes `n` permits if they are free and nobody waits. [R2]
    #[inline]
    pub(super) fn try_acquire(&self, n: usize) -> bool {
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        // mutant: take past those who wait: replace word & QUEUED == 0 with true
        while word & QUEUED == 0 && word / ONE >= n {
            match self.replace(word, word - n * ONE) {
                Ok(()) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    /// Gives `n` permits back, or adds them. The caller must make sure that there are never more than [`MOST`].
    #[inline]
    pub(super) fn release(&self, n: usize) {
        // Release: pairs with the Acquire in `replace` that takes the permits. [R1]
        let before = self.word.fetch_add(n * ONE, Ordering::Release);
        // mutant: drop word to who waits
        if before & QUEUED != 0 {
            self.give_out(self.queue.lock());
        }
    }

    /// Returns the number of free permits, as a hint.
    pub(super) fn free(&self) -> usize {
        // Relaxed: a hint.
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// Returns whether somebody waits, as a hint.
    pub(super) fn is_waited_for(&self) -> bool {
        // Relaxed: a hint.
        self.word.load(Ordering::Relaxed) & QUEUED != 0
    }

    #[cold]
    fn acquire_slow(
        &self,
        n: usize,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        let wait = limit.begin(place);
        let node = Node::new(&wait, 0, ptr::without_provenance_mut(n));
        if !self.enqueue(n, &node) {
            return Ok(());
        }
        match WaitError::of(limit.wait(&wait, place)) {
            None => Ok(()),
            Some(error) => {
                let mut queue = self.queue.lock();
                queue.unlink(&node);
                // mutant: drop word to those behind it
                self.give_out(queue);
                Err(error)
            }
        }
    }

    /// Links the node and returns true, or takes the permits and returns false.
    fn enqueue(&self, n: usize, node: &Node) -> bool {
        let mut queue = self.queue.lock();
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // mutant: take past those who wait: replace word & QUEUED == 0 with true
            let enough = word & QUEUED == 0 && word / ONE >= n;
            let next = if enough { word - n * ONE } else { word | QUEUED };
            match self.replace(word, next) {
                Ok(()) if enough => return false,
                Ok(()) => break,
                Err(found) => word = found,
            }
        }
        // SAFETY: the node is unlinked by its waker, or when its wait is cancelled, before its frame goes.
        unsafe { queue.link(node) };
        true
    }

    /// Takes permits for the first waiter and completes its wait, as long as there are enough permits. [R3]
    #[cold]
    fn give_out(&self, mut queue: MutexGuard<'_, List>) {
        let mut wakes = Wakes::new();
        while let Some(need) = queue.first().map(<*mut ()>::addr) {
            if !self.take_for_waiter(need) {
                break;
            }
            match queue.claim_first() {
                Some(claim) => wakes.push(claim.complete()),
                // The waiter has cancelled its wait, so the permits become free again. Relaxed: the word is changed
                // only by read-modify-writes, so a thread that takes these permits still acquires from their
                // `release`. [R1]
                // mutant: a permit is lost: replace need * ONE with 0
                None => _ = self.word.fetch_add(need * ONE, Ordering::Relaxed),
            }
        }
        if queue.is_empty() {
            // Relaxed: a thread that takes permits next acquires through its own exchange of the word.
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        drop(queue);
        wakes.wake();
    }

    /// Takes `n` permits for the first waiter, if that many are free. The caller must hold the queue's lock.
    fn take_for_waiter(&self, n: usize) -> bool {
        // Relaxed: the exchange decides.
        let mut word = self.word.load(Ordering::Relaxed);
        while word / ONE >= n {
            match self.replace(word, word - n * ONE) {
                Ok(()) => return true,
                Err(found) => word = found,
            }
        }
        false
    }

    fn replace(&self, word: usize, next: usize) -> Result<(), usize> {
        // Acquire: if this takes permits, it pairs with the Release in `release`. [R1]
        // Relaxed on failure: the caller tries again.
        let replaced = self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed);
        replaced.map(|_| ())
    }
}
