//! Permits: so many of them, taken n at a time, first in, first out. Beneath `Semaphore` and `RwLock`.
//! acquire: take n from the word if so many are free and nobody waits; else, under the queue's lock,
//!     try again, or set QUEUED, link a node that carries n, and wait: whoever fires it has taken them.
//! release: add n to the word; if QUEUED, give out, under the lock, to the first as long as there are
//!     enough for it.   gives up: unlink, and give out: those behind may need less.
//!
//! | bits | meaning | changed by |
//! |---|---|---|
//! | 0: `QUEUED` | nodes are linked: nobody may take past them | under the queue's lock |
//! | above | free permits | whoever takes or gives them |
//!
//! [R1] Permits are neither lost nor made: each is free, or had by one. Who has one sees what its last
//! holder did. [R2] Nobody takes permits while others wait, but the first of them, by whoever gives.
//! [R3] The first of the queue does not wait while as many are free as it needs, or somebody who
//! gave them is about to look.
//! Checked by: verification/loom/sync_permits.rs, proptests/sync/permits.rs.

use super::error::WaitError;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::{Mutex, MutexGuard, const_fn};
use crate::wait::{List, Node, WaitLimit, Wakes};
use std::panic::Location;
use std::ptr;

const QUEUED: usize = 1;
const ONE: usize = 2;

/// The most permits there can be, free and taken.
pub(super) const MOST: usize = usize::MAX >> 2;

pub(super) struct Permits {
    word: AtomicUsize,
    queue: Mutex<List>,
}

impl Permits {
    const_fn! {
        /// With `free` permits, at most [`MOST`].
        pub(super) fn new(free: usize) -> Self {
            Permits { word: AtomicUsize::new(free * ONE), queue: Mutex::new(List::new()) }
        }
    }

    /// Takes `n`, waiting for its turn as long as `limit` allows.
    #[inline]
    pub(super) fn acquire(
        &self,
        n: usize,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<(), WaitError> {
        if self.try_acquire(n) { Ok(()) } else { self.acquire_slow(n, limit, place) }
    }

    /// Takes `n` if they are free and nobody waits. [R2]
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

    /// Gives `n` back, or adds them. The caller sees to it that there are never more than [`MOST`].
    #[inline]
    pub(super) fn release(&self, n: usize) {
        // Release: pairs with the Acquire of who takes them. [R1]
        let before = self.word.fetch_add(n * ONE, Ordering::Release);
        // mutant: drop word to who waits
        if before & QUEUED != 0 {
            self.give_out(self.queue.lock());
        }
    }

    /// How many are free; a hint.
    pub(super) fn free(&self) -> usize {
        // Relaxed: a hint.
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// Whether somebody waits; a hint.
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

    /// Links the node, or takes its permits after all and answers false.
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
        // SAFETY: unlinked by its waker, or when it gives up, before its frame goes.
        unsafe { queue.link(node) };
        true
    }

    /// Takes permits for the first of the queue and fires it, as long as there are enough. [R3]
    #[cold]
    fn give_out(&self, mut queue: MutexGuard<'_, List>) {
        let mut wakes = Wakes::new();
        while let Some(need) = queue.first().map(<*mut ()>::addr) {
            if !self.take_for_waiter(need) {
                break;
            }
            match queue.claim_first() {
                Some(claim) => wakes.push(claim.complete()),
                // It has given up: they are free again. Relaxed: the word changes by RMW alone, so that
                // who takes them still acquires from who gave them in `release`. [R1]
                // mutant: a permit is lost: replace need * ONE with 0
                None => _ = self.word.fetch_add(need * ONE, Ordering::Relaxed),
            }
        }
        if queue.is_empty() {
            // Relaxed: whoever takes permits next acquires what came before by their own word.
            self.word.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        drop(queue);
        wakes.wake();
    }

    /// Under the queue's lock.
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
        // Acquire: where permits are taken, it pairs with the Release of who gave them. [R1]
        // Relaxed on failure: the caller looks again.
        let replaced = self.word.compare_exchange(word, next, Ordering::Acquire, Ordering::Relaxed);
        replaced.map(|_| ())
    }
}
