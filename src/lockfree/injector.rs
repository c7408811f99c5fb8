//! Injector: the FIFO that all processors share, a lock around an intrusive list.
//! push: lock, link, count, unlock.   pop: read the count; not zero: lock, unlink, count, unlock.
//! Not lock-free on purpose: it is the slow path, one lock moves a whole batch, and the length is
//! read without the lock, so that looking at an empty injector costs one load.
//!
//! [J1] An item leaves exactly once.
//! [J2] Whoever pops an item sees what its pusher wrote.
//! [J3] Items leave in the order in which their pushes took the lock; a batch stays together.
//! [J4] `len` counts an item before it can be popped. So a zero that is read after a fence(SeqCst)
//!      proves that every item whose pusher's fence(SeqCst) came earlier has been popped.
//! All counting is done under the lock: counted late, a popper could take `len` below zero; uncounted
//! late, it would keep idle workers looking for an item that is gone.
//! Checked by: verification/loom/injector.rs, proptests/injector.rs.

use super::linked::Linked;
use super::list::List;
use crate::platform::Mutex;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crossbeam_utils::CachePadded;
use std::ptr::NonNull;

/// A shared FIFO of linked items. Dropping it forgets the items.
#[derive(Debug)]
pub struct Injector<T: Linked> {
    items: CachePadded<Mutex<List<T>>>,
    /// Written under the lock alone [J4]; by itself in its cache line, since idle workers watch it.
    len: CachePadded<AtomicUsize>,
}

impl<T: Linked> Injector<T> {
    /// An empty injector.
    pub fn new() -> Self {
        Injector {
            items: CachePadded::new(Mutex::new(List::new())),
            len: CachePadded::new(AtomicUsize::new(0)),
        }
    }

    /// Puts `item` behind all others.
    ///
    /// # Safety
    /// - `item` is in no queue, stays alive until it is popped, and may be used on any thread.
    pub unsafe fn push(&self, item: NonNull<T>) {
        let mut items = self.items.lock();
        // SAFETY: in no queue and alive, by the caller's duty.
        unsafe { items.push_back(item) };
        // Relaxed: the lock publishes the item [J2]; the count is a hint that the caller's own
        // fence(SeqCst) makes firm [J4]. An RMW, as for every word with several writers.
        // mutant: drop count
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts a whole batch behind all others, in its own order, under one lock.
    ///
    /// # Safety
    /// - Each item is in no queue and not twice in the batch, stays alive until it is popped, and
    ///   may be used on any thread.
    pub unsafe fn push_batch(&self, batch: &mut dyn Iterator<Item = NonNull<T>>) {
        // Linked before the lock is taken: the caller's iterator never runs under it.
        let mut chain = List::new();
        for item in batch {
            // SAFETY: in no queue and alive, by the caller's duty.
            unsafe { chain.push_back(item) };
        }
        let n = chain.len();
        if n == 0 {
            return;
        }
        let mut items = self.items.lock();
        items.append(&mut chain);
        // Relaxed: see `push`. [J4]
        // mutant: drop count
        self.len.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes the item that has waited longest. `None` is as firm as [`is_empty`](Self::is_empty).
    pub fn pop(&self) -> Option<NonNull<T>> {
        if self.is_empty() {
            return None;
        }
        let mut items = self.items.lock();
        let item = items.pop_front()?;
        // Relaxed: see `push`. [J4]
        // mutant: drop count
        self.len.fetch_sub(1, Ordering::Relaxed);
        Some(item)
    }

    /// Takes up to `max` items under one lock and hands them to `into`, the oldest first, after the
    /// lock is free again; returns how many. `into` must not panic: the rest of the batch would be
    /// forgotten.
    pub fn pop_batch(&self, max: usize, into: &mut impl FnMut(NonNull<T>)) -> usize {
        if max == 0 || self.is_empty() {
            return 0;
        }
        let mut batch = self.detach(max);
        let n = batch.len();
        while let Some(item) = batch.pop_front() {
            into(item);
        }
        n
    }

    /// Whether no item waits: a hint, one Relaxed load.
    ///
    /// After a `fence(SeqCst)` of the caller it is firm in one direction: `true` means that each
    /// item whose pusher went through a `fence(SeqCst)` after its push, earlier in the one order of
    /// all such fences, has been popped by somebody. [J4] Nothing else follows: an item may have
    /// come since, and `false` may be out of date.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items wait: a hint, as [`is_empty`](Self::is_empty).
    #[inline]
    pub fn len(&self) -> usize {
        // Relaxed: no data rides on it; see `is_empty` for what a fence adds.
        self.len.load(Ordering::Relaxed)
    }

    fn detach(&self, max: usize) -> List<T> {
        let mut items = self.items.lock();
        let batch = items.split_front(max);
        // Relaxed: see `push`. [J4]
        // mutant: drop count
        self.len.fetch_sub(batch.len(), Ordering::Relaxed);
        batch
    }
}

impl<T: Linked> Default for Injector<T> {
    fn default() -> Self {
        Injector::new()
    }
}
