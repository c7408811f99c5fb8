//! Run queue: the owner pushes at `tail`; the owner and thieves take at `head`. It is a bounded ring, first in
//! first out for all threads, so that no item starves.
//!
//! ```text
//!                 released          claimed              tail
//!   index   ·······│ a thief copies │ items to be taken  │ free ······   tail - released ≤ capacity
//!                  └── unreleased ──┘
//!   head = (claimed, unreleased)       one u64, each write an RMW
//!   tail                               one u32, written by the owner alone
//! ```
//!
//! push:  read head; if the ring is not full: write the slot, publish tail.
//! pop:   CAS claimed + 1; read the slot. The owner reads the slot at once, so `released` may advance with `claimed`.
//! While a thief copies, the owner increments `unreleased` instead, and the thief's release covers this slot too.
//! steal: if no batch is being copied: CAS claimed + n, unreleased = n; copy n items; release: unreleased = 0.
//! If the ring is full, the owner claims the older half and passes it on together with the new item.
//!
//! [D1] An item leaves exactly once: each index is claimed by one CAS, and only its claimer reads
//!      the slot.
//! [D2] A visible slot has been written: a thread that sees `tail` sees all slots below it.
//! [D3] Items are claimed in the order of their pushes, and a batch is passed on in that order.
//! [D4] A slot is overwritten only after its last reader is done: `tail - released ≤ capacity`.
//! [D5] At most one batch (thief or overflow) copies at a time: `unreleased != 0` keeps others out.
//! [D6] If `Steal::is_empty` returns true after a fence(SeqCst), each item that was pushed before that has been
//! claimed.
//! Indices are u32 and wrap. The first index is the last before the wrap-around, so that every run crosses it.
//! Source: the run queues of Go (proc.go, `runqgrab`) and tokio (multi-thread `queue.rs`). There the head is a
//! pair of indices. Here it is an index and a distance, which makes the release one wait-free `fetch_and`.
//! The two ends are here; the ring and its claims are in ring.rs.
//! Checked by: verification/loom/deque.rs, proptests/deque.rs.

use super::ring::{FIRST, Head, Ring};
use crate::platform::Arc;
use crate::platform::atomic::Ordering;
use std::cell::Cell;
use std::fmt;
use std::iter;

/// Returns the two ends of a new ring of `capacity` slots (a power of two, 2 or more).
pub fn run_queue<T: Send>(capacity: usize) -> (Local<T>, Steal<T>) {
    assert!(
        capacity.is_power_of_two() && (2..=1 << 31).contains(&capacity),
        "deque: capacity {capacity} must be a power of two from 2 to 2^31"
    );
    let ring = Arc::new(Ring::new(capacity));
    (Local { ring: Arc::clone(&ring), tail: Cell::new(FIRST) }, Steal { ring })
}

/// The owner's end. The end may move to another thread if each use happens before the next, but only one thread uses
/// it at a time.
pub struct Local<T> {
    ring: Arc<Ring<T>>,
    /// The value of `Ring::tail`. The owner keeps it here, because it needs no atomic to know what it wrote itself.
    tail: Cell<u32>,
}

impl<T: Send> Local<T> {
    /// Puts `item` behind all others.
    ///
    /// If the ring is full, it keeps neither `item` nor its older half. Then `overflow` receives both in one batch,
    /// the oldest first and `item` last. While a thief is copying, which will free slots, `overflow` receives `item`
    /// alone. Items that `overflow` leaves in the iterator are dropped.
    #[inline]
    pub fn push(&self, item: T, overflow: impl FnOnce(&mut dyn Iterator<Item = T>)) {
        let tail = self.tail.get();
        if self.room(tail) == 0 {
            return self.push_full(item, overflow);
        }
        // SAFETY:
        // - this end is the owner's, and only the owner writes slots;
        // - `room` returned more than zero, so the slot at `tail` has no reader left. [D4]
        unsafe { self.ring.write(tail, item) };
        self.publish(tail.wrapping_add(1));
    }

    /// Takes the item that has waited longest.
    #[inline]
    pub fn pop(&self) -> Option<T> {
        let tail = self.tail.get();
        // Relaxed: a stale head only makes the CAS fail.
        let mut head = Head(self.ring.head.load(Ordering::Relaxed));
        loop {
            if head.claimed() == tail {
                return None;
            }
            // Relaxed, both: the owner reads an item that it wrote itself, and only its own later push can overwrite
            // the slot, so this CAS publishes nothing. Because the CAS is an RMW, it continues the release sequence
            // of the thieves' releases, on which `room` relies. [D1] [D4]
            // mutant: pop beside a thief that copies: replace head.pop_one() with Head(head.0.wrapping_add(1 << 32))
            match self.ring.head.compare_exchange_weak(
                head.0,
                head.pop_one().0,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                // SAFETY:
                // - the CAS above claimed this index, so no other thread reads the slot [D1];
                // - the index is below `tail`, so the owner has written the slot [D2];
                // - only the owner's next push could write the slot again. [D4]
                Ok(_) => return Some(unsafe { self.ring.read(head.claimed()) }),
                Err(now) => head = Head(now),
            }
        }
    }

    /// Returns how many items wait. Thieves may take some of the items meanwhile.
    #[inline]
    pub fn len(&self) -> usize {
        // Relaxed: the value is a hint, and no data depends on it.
        let head = Head(self.ring.head.load(Ordering::Relaxed));
        self.tail.get().wrapping_sub(head.claimed()) as usize
    }

    /// Returns whether no item waits. If the result is false, thieves may have taken all items meanwhile; true stays
    /// correct.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many pushes are certain to fit before the ring overflows.
    #[inline]
    pub fn free(&self) -> usize {
        self.room(self.tail.get()) as usize
    }

    /// Returns one more thief's end of this ring.
    pub fn stealer(&self) -> Steal<T> {
        Steal { ring: Arc::clone(&self.ring) }
    }

    /// Returns how many slots from `tail` on may be written.
    #[inline]
    fn room(&self, tail: u32) -> u32 {
        // Acquire: pairs with the Release of the thieves' `Claim::drop`, so that their reads of
        // these slots are over before we write. [D4]
        let head = Head(self.ring.head.load(Ordering::Acquire));
        // mutant: room that a thief still reads: replace head.released() with head.claimed()
        self.ring.capacity() - tail.wrapping_sub(head.released())
    }

    #[inline]
    fn publish(&self, tail: u32) {
        // Release: pairs with the Acquire in `Ring::claim`, so that the slots below are seen. [D2]
        self.ring.tail.store(tail, Ordering::Release);
        self.tail.set(tail);
    }

    #[cold]
    fn push_full(&self, item: T, overflow: impl FnOnce(&mut dyn Iterator<Item = T>)) {
        let half = self.ring.capacity() / 2;
        // `claim` returns `None` while a thief copies. [D5] The claim is released after `overflow` has taken its last
        // item. So even a push from within `overflow` cannot overwrite a slot that the claim still has to read. [D4]
        let oldest = self.ring.claim(|available| available.min(half));
        overflow(&mut oldest.into_iter().flatten().chain(iter::once(item)));
    }
}

/// A thief's end.
pub struct Steal<T> {
    ring: Arc<Ring<T>>,
}

impl<T: Send> Steal<T> {
    /// Moves half of the items, rounded up, to the thief's own run queue, but never more than fit there, and
    /// returns the oldest of them to run at once.
    ///
    /// `None` means that every item seen was already claimed, *or that another batch is being copied* [D5]. The
    /// caller can call [`is_empty`](Self::is_empty) to tell the two apart. Stealing from the thief's own queue is
    /// allowed, and changes only the order.
    pub fn steal_half(&self, into: &Local<T>) -> Option<T> {
        // SAFETY: the closure does nothing, so it neither uses `into` nor unwinds.
        unsafe { self.steal_half_seen(into, |_, _| ()) }
    }

    /// Works like [`steal_half`](Self::steal_half), and calls `seen` for each item that was claimed, in order, before
    /// the item is published again. The second argument is true for the item that is returned.
    ///
    /// # Safety
    /// `seen` must not use `into`, because its free slots were counted before, and must not unwind.
    #[inline]
    pub unsafe fn steal_half_seen(&self, into: &Local<T>, seen: impl Fn(&T, bool)) -> Option<T> {
        let mut tail = into.tail.get();
        let room = into.room(tail);
        // mutant: more than there is room for: replace room + 1 with u32::MAX
        let mut claim = self.ring.claim(|available| available.div_ceil(2).min(room + 1))?;
        let first = claim.next();
        first.iter().for_each(|first| seen(first, true));
        if claim.left() > 0 {
            for item in claim.by_ref() {
                seen(&item, false);
                // SAFETY:
                // - `into` is a `Local`, which is not Sync, so this thread is its only user;
                // - the claim has at most one item more than `into` has free slots, and one item is returned. [D4]
                unsafe { into.ring.write(tail, item) };
                tail = tail.wrapping_add(1);
            }
            drop(claim); // the slots are released to the victim first
            into.publish(tail);
        }
        first
    }

    /// Takes the oldest item. `None` means the same as for [`steal_half`](Self::steal_half).
    pub fn steal_one(&self) -> Option<T> {
        self.ring.claim(|_| 1)?.next()
    }

    /// Returns how many items wait. This is a hint.
    #[inline]
    pub fn len(&self) -> usize {
        // Relaxed, both, and `head` first: a stale head makes the result too large rather than too small. The
        // documentation of `is_empty` says what a stale tail means.
        let head = Head(self.ring.head.load(Ordering::Relaxed));
        let tail = self.ring.tail.load(Ordering::Relaxed);
        let waiting = tail.wrapping_sub(head.claimed()) as i32;
        (waiting.max(0) as u32).min(self.ring.capacity()) as usize
    }

    /// Returns whether no item waits. This is a hint and costs two Relaxed loads.
    ///
    /// If the caller executed a `fence(SeqCst)` before, the result `true` is firm: each item has been claimed if its
    /// pusher executed a `fence(SeqCst)` after the push, and that fence is earlier in the total order of such fences.
    /// [D6] An item that a thief has claimed and not yet published in its own run queue is in neither queue. That
    /// thief is awake and will handle the item.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Steal<T> {
    fn clone(&self) -> Self {
        Steal { ring: Arc::clone(&self.ring) }
    }
}

impl<T> fmt::Debug for Local<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Owner").field("capacity", &self.ring.capacity()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Steal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stealer").field("capacity", &self.ring.capacity()).finish_non_exhaustive()
    }
}
