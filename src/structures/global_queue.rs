//! Global queue: the FIFO that all processors share. It is a lock around a queue of pointers.
//! push: lock, put, count, unlock.   pop: read the count; if it is not zero: lock, take, count, unlock.
//! It is not lock-free on purpose, because it is the slow path: one lock moves a whole batch, and the length is
//! read without the lock, so that a look at an empty queue costs one load. The queue holds pointers, not linked
//! items, because most of a million waiting items have left the caches, and unlinking an item would wait for
//! memory while the lock is held.
//!
//! [J1] An item leaves exactly once.
//! [J2] A thread that pops an item sees what the item's pusher wrote.
//! [J3] Items leave in the order in which their pushes took the lock; a batch stays together.
//! [J4] `len` counts an item before the item can be popped. So a zero that is read after a fence(SeqCst) proves
//!      that every item whose pusher's fence(SeqCst) came earlier has been popped.
//! All counting is done under the lock. If a push counted late, a popper could take `len` below zero. If a pop
//! counted late, idle workers would keep looking for an item that is gone.
//! Checked by: verification/loom/injector.rs, proptests/injector.rs.

use super::fifo::Fifo;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::{Counter, Mutex};
use crossbeam_utils::CachePadded;
use std::ptr::NonNull;

/// How many items are taken under one lock, at most.
pub const BATCH: usize = 32;

/// A shared FIFO of items. Dropping the queue forgets the items.
#[derive(Debug)]
pub struct GlobalQueue<T> {
    items: CachePadded<Mutex<Fifo<NonNull<T>>>>,
    /// The number of items, written only under the lock. [J4] It has a cache line of its own, because idle workers
    /// watch it.
    len: CachePadded<AtomicUsize>,
    /// How often another thread held the lock.
    contended: Counter,
}

// SAFETY: a queue gives each item to one thread, and the callers of the pushes guarantee that the item may be used on
// any thread.
unsafe impl<T> Sync for GlobalQueue<T> {}
// SAFETY: threads access the items only under the lock, and `len` is an atomic.
unsafe impl<T> Send for GlobalQueue<T> {}

impl<T> GlobalQueue<T> {
    /// Returns an empty queue.
    pub fn new() -> Self {
        GlobalQueue {
            items: CachePadded::new(Mutex::new(Fifo::new())),
            len: CachePadded::new(AtomicUsize::new(0)),
            contended: Counter::new(),
        }
    }

    /// Puts `item` behind all others.
    ///
    /// # Safety
    /// - The caller must ensure that `item` is in no queue, stays alive until it is popped, and may be used on
    ///   any thread.
    pub unsafe fn push(&self, item: NonNull<T>) {
        let mut items = self.items.lock_counting(&self.contended);
        items.push(item);
        // Relaxed: the lock publishes the item [J2]. The count is a hint, which the caller's own fence(SeqCst)
        // makes firm [J4]. The count is an RMW, as is every write to a word with several writers.
        // mutant: drop count
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts a whole batch behind all others, in its own order, under one lock.
    ///
    /// # Safety
    /// - The caller must ensure that each item is in no queue and not twice in the batch, stays alive until it
    ///   is popped, and may be used on any thread.
    pub unsafe fn push_batch(&self, batch: &mut dyn Iterator<Item = NonNull<T>>) {
        let mut items = self.items.lock_counting(&self.contended);
        let mut n = 0;
        for item in batch {
            items.push(item);
            n += 1;
        }
        // Relaxed: see `push`. [J4]
        // mutant: drop count
        self.len.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes the item that has waited longest. A `None` is as firm as a true from [`is_empty`](Self::is_empty).
    pub fn pop(&self) -> Option<NonNull<T>> {
        if self.is_empty() {
            return None;
        }
        let mut items = self.items.lock_counting(&self.contended);
        let item = items.pop()?;
        // Relaxed: see `push`. [J4]
        // mutant: drop count
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(item)
    }

    /// Takes up to `max` items, at most 32, under one lock. After unlocking, passes them to `into`, the oldest first.
    /// Returns how many items it took. `into` must not panic, because the remaining items would be forgotten.
    pub fn pop_batch(&self, max: usize, into: &mut impl FnMut(NonNull<T>)) -> usize {
        if max == 0 || self.is_empty() {
            return 0;
        }
        let mut batch = [None; BATCH];
        let n = self.detach(&mut batch[..max.min(BATCH)]);
        batch[..n].iter().flatten().for_each(|item| into(*item));
        n
    }

    /// Returns whether no item waits. This is a hint and costs one Relaxed load.
    ///
    /// If the caller executed a `fence(SeqCst)` before, the result `true` is firm: each item has been popped if its
    /// pusher executed a `fence(SeqCst)` after the push, and that fence is earlier in the total order of such fences.
    /// [J4] Nothing else follows: an item may have come since, and `false` may be out of date.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many items wait. The result is a hint, as that of [`is_empty`](Self::is_empty).
    #[inline]
    pub fn len(&self) -> usize {
        // Relaxed: no data depends on the value. The documentation of `is_empty` says what a fence adds.
        self.len.load(Ordering::Relaxed)
    }

    /// Returns how often a thread had to wait for the lock.
    pub fn contended(&self) -> u64 {
        self.contended.get()
    }

    fn detach(&self, batch: &mut [Option<NonNull<T>>]) -> usize {
        let mut items = self.items.lock_counting(&self.contended);
        let mut n = 0;
        while n < batch.len()
            && let Some(item) = items.pop()
        {
            batch[n] = Some(item);
            n += 1;
        }
        // Relaxed: see `push`. [J4]
        // mutant: drop count
        self.len.fetch_sub(n, Ordering::Relaxed);
        n
    }
}

impl<T> Default for GlobalQueue<T> {
    fn default() -> Self {
        GlobalQueue::new()
    }
}
