//! Remote queue: many producers put items in, and the owner takes all items at once.
//! push: link the item to the newest one, CAS it in as the newest.
//! drain: read `newest`; if it is not null: swap it for null, reverse the chain, pass the items on.
//!
//! ```text
//! newest ─► C ─► B ─► A ─► null      drain gives A, B, C
//! ```
//!
//! [B1] An item leaves exactly once, because one swap takes the whole chain, so that no other swap can take it.
//! [B2] A thread that drains an item sees what its pusher wrote, for every item of the chain: all writes of
//!      `newest` are RMWs, so each push heads a release sequence that reaches the swap.
//! [B3] Items leave in the order in which their CASes succeeded.
//! [B4] A null that is read after a fence(SeqCst) proves that every item whose pusher's fence(SeqCst) came
//!      earlier has been drained.
//! There is no ABA problem: a push that finds the same newest item again links to it correctly, whatever
//! happened in between, and nothing is ever taken from the middle.
//! Checked by: verification/loom/inbox.rs, proptests/list.rs.

use super::linked::Linked;
use super::list::List;
use crate::platform::atomic::{AtomicPtr, Ordering};
use crossbeam_utils::CachePadded;
use std::ptr::{self, NonNull};

/// A queue of linked items with many producers, emptied in one step. Dropping it forgets the items.
#[derive(Debug)]
pub struct RemoteQueue<T: Linked> {
    newest: CachePadded<AtomicPtr<T>>,
}

impl<T: Linked> RemoteQueue<T> {
    /// Returns an empty queue.
    pub fn new() -> Self {
        RemoteQueue { newest: CachePadded::new(AtomicPtr::new(ptr::null_mut())) }
    }

    /// Puts `item` in.
    ///
    /// # Safety
    /// - The caller must ensure that `item` is in no queue, stays alive until it is drained, and may be used on
    ///   any thread.
    pub unsafe fn push(&self, item: NonNull<T>) {
        // SAFETY: the caller guarantees that `item` points to an item that is alive and in no queue.
        let link = unsafe { item.as_ref() }.link();
        // The queue is mostly empty, so this guesses null. A load first would only fetch the cache line twice
        // (and would hide from loom that the CAS races with an earlier load of the owner).
        let mut newest = ptr::null_mut();
        loop {
            // mutant: drop link to the older
            link.set(newest);
            // Release: pairs with the Acquire in `drain`, so that the link and all that the pusher wrote are
            // seen there. [B2] Relaxed on failure: older items are linked to, but not read.
            match self.newest.compare_exchange_weak(
                newest,
                item.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => newest = now,
            }
        }
    }

    /// Takes all items and passes each to `each`, the oldest first. Returns how many items it took. `each` must not
    /// panic, because the remaining items would be forgotten. A result of 0 is as firm as
    /// [`is_empty`](Self::is_empty).
    #[inline]
    pub fn drain(&self, each: impl FnMut(NonNull<T>)) -> usize {
        if self.is_empty() {
            return 0;
        }
        self.drain_chain(each)
    }

    /// Returns whether the queue is empty. This is a hint and costs one Relaxed load.
    ///
    /// If the caller executed a `fence(SeqCst)` before, the result `true` is firm: each item has been drained if its
    /// pusher executed a `fence(SeqCst)` after the push, and that fence is earlier in the total order of such fences.
    /// [B4]
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: the item is not read. The documentation above says what a fence adds.
        self.newest.load(Ordering::Relaxed).is_null()
    }

    fn drain_chain(&self, mut each: impl FnMut(NonNull<T>)) -> usize {
        // Acquire: pairs with the Release of every push whose item is in the chain. [B2]
        let mut chain = self.newest.swap(ptr::null_mut(), Ordering::Acquire);
        let mut items = List::new();
        while let Some(item) = NonNull::new(chain) {
            // SAFETY: `item` is an item of the chain, which is alive because the caller of `push` guarantees
            // it. The swap took the chain, so no other thread uses its links. [B1]
            chain = unsafe { item.as_ref() }.link().get();
            // SAFETY: the item is alive, and it has just left the chain, so it is in no queue.
            unsafe { items.push_front(item) };
        }
        let n = items.len();
        while let Some(item) = items.pop_front() {
            each(item);
        }
        n
    }
}

// SAFETY: the queue touches its items by shared reference alone, which `Sync` allows on any thread.
unsafe impl<T: Linked + Sync> Send for RemoteQueue<T> {}
// SAFETY: `newest` is written only by RMW operations, and only the thread that swapped a chain out follows its links.
// [B1]
unsafe impl<T: Linked + Sync> Sync for RemoteQueue<T> {}

impl<T: Linked> Default for RemoteQueue<T> {
    fn default() -> Self {
        RemoteQueue::new()
    }
}
