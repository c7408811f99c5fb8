//! Ring: the slots of a run queue, its two words, and the claims by which batches leave it.
//! claim: read `tail`; if no batch is being copied: CAS claimed + n and unreleased + n.   read: move an item
//! out.
//! release: one `fetch_and` sets `unreleased` to zero, however far the owner has popped meanwhile.
//! Drawing and invariants [D1]–[D6]: run_queue.rs.
//! Checked by: verification/loom/deque.rs, proptests/deque.rs.

use crate::platform::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::platform::cell::UnsafeCell;
use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;

/// The first index. It lets the first push wrap `tail` around.
pub(super) const FIRST: u32 = u32::MAX;

pub(super) struct Ring<T> {
    pub(super) head: CachePadded<AtomicU64>,
    pub(super) tail: CachePadded<AtomicU32>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a ring owns its items, which are Send.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: a ring gives each item to one thread alone [D1], after the write of the item has ended [D2]. So threads may
// share a ring, because its items are Send.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    /// Returns an empty ring. `capacity` must be a power of two.
    pub(super) fn new(capacity: usize) -> Self {
        Ring {
            head: CachePadded::new(AtomicU64::new(Head::new(FIRST).0)),
            tail: CachePadded::new(AtomicU32::new(FIRST)),
            slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        }
    }

    /// Claims the oldest `share(items waiting)` items, at least one item. Returns `None` if no item waits or another
    /// batch is being copied. [D5]
    pub(super) fn claim(&self, share: impl Fn(u32) -> u32) -> Option<Claim<'_, T>> {
        // Relaxed: a stale head only makes the CAS fail.
        let mut head = Head(self.head.load(Ordering::Relaxed));
        loop {
            // Acquire: pairs with the Release in `Local::publish`, so that the slots below `tail`
            // are seen as written. [D2]
            let tail = self.tail.load(Ordering::Acquire);
            // Signed, because the head may be newer than the tail that we see.
            let available = tail.wrapping_sub(head.claimed()) as i32;
            // mutant: claim beside a thief that copies: replace head.unreleased() != 0 with false
            // mutant: claim what is not there: replace available <= 0 with available == 0
            if available <= 0 || head.unreleased() != 0 {
                return None;
            }
            let n = share(available as u32);
            // Relaxed, both: no code relies on the claim to order other accesses. The Acquire of `tail` shows that
            // the slots are written, and the release of the claim allows the owner to overwrite them. [D1] [D5]
            match self.head.compare_exchange_weak(
                head.0,
                head.claim_batch(n).0,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    let at = head.claimed();
                    return Some(Claim { ring: self, at, end: at.wrapping_add(n) });
                }
                Err(now) => head = Head(now),
            }
        }
    }

    /// Fills a free slot.
    ///
    /// # Safety
    /// - The caller must be the owner.
    /// - `index` must be one of the `room` indices from `tail` on. [D4]
    #[inline]
    pub(super) unsafe fn write(&self, index: u32, item: T) {
        // SAFETY: the caller guarantees that it is the owner, which alone writes slots, and that this slot has no
        // reader left. [D4]
        self.slot(index).with_mut(|slot| unsafe { (*slot).write(item) });
    }

    /// Moves the item out of a slot.
    ///
    /// # Safety
    /// - The caller must have claimed `index`, and must read it for the first time.
    /// - `index` must be below a `tail` that the caller has read with Acquire, or wrote.
    /// - The caller must ensure that the slot isn't written again before this returns.
    #[inline]
    pub(super) unsafe fn read(&self, index: u32) -> T {
        // SAFETY: the caller guarantees that the slot is written [D2]; its claim makes it the only reader. [D1]
        self.slot(index).with(|slot| unsafe { (*slot).assume_init_read() })
    }

    #[inline]
    fn slot(&self, index: u32) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[index as usize & (self.slots.len() - 1)]
    }

    #[inline]
    pub(super) fn capacity(&self) -> u32 {
        self.slots.len() as u32
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        // Relaxed: both ends are dropped, and everything that they did happened before this.
        let mut at = Head(self.head.load(Ordering::Relaxed)).claimed();
        let tail = self.tail.load(Ordering::Relaxed);
        while at != tail {
            // SAFETY: the slot is below `tail` and was never claimed, so it is written and not yet read. No
            // other thread is left to read or write it.
            drop(unsafe { self.read(at) });
            at = at.wrapping_add(1);
        }
    }
}

/// The claimed indices `at .. end` of a ring, whose items are to be moved out. Dropping the claim releases the slots.
pub(super) struct Claim<'a, T> {
    ring: &'a Ring<T>,
    at: u32,
    end: u32,
}

impl<T> Claim<'_, T> {
    pub(super) fn left(&self) -> u32 {
        self.end.wrapping_sub(self.at)
    }
}

impl<T> Iterator for Claim<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if self.at == self.end {
            return None;
        }
        // SAFETY:
        // - this claim holds the index, and reads it once, because `at` advances after the read [D1];
        // - `Ring::claim` has read a `tail` above the index with Acquire [D2];
        // - the slot is not written again before the drop of this claim releases it. [D4]
        let item = unsafe { self.ring.read(self.at) };
        self.at = self.at.wrapping_add(1);
        Some(item)
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
        // Release: pairs with the Acquire in `Local::room`, so that our reads happen before the owner writes these
        // slots again. [D4] This also releases the slots that the owner popped meanwhile.
        // mutant: drop release
        self.ring.head.fetch_and(Head::RELEASE_ALL, Ordering::Release);
    }
}

/// The two halves of `head`: the next index to claim, and how many claimed slots before that index a batch may
/// still read.
#[derive(Clone, Copy)]
pub(super) struct Head(pub(super) u64);

impl Head {
    /// The mask that keeps `claimed` and makes `unreleased` zero.
    const RELEASE_ALL: u64 = !(u32::MAX as u64);

    fn new(claimed: u32) -> Self {
        Head(u64::from(claimed) << 32)
    }

    #[inline]
    pub(super) fn claimed(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(super) fn unreleased(self) -> u32 {
        self.0 as u32
    }

    /// Returns the first index whose slot may still be read.
    #[inline]
    pub(super) fn released(self) -> u32 {
        self.claimed().wrapping_sub(self.unreleased())
    }

    /// Counts one more index as claimed by the owner, which reads the slot before it can write it again.
    #[inline]
    pub(super) fn pop_one(self) -> Self {
        let copying = u64::from(self.unreleased() != 0);
        // The upper half wraps by itself. The lower half is at most the capacity, so it never carries.
        Head(self.0.wrapping_add((1 << 32) | copying))
    }

    /// Counts `n` more indices as claimed by a batch, which will release them.
    pub(super) fn claim_batch(self, n: u32) -> Self {
        Head(self.0.wrapping_add(u64::from(n) << 32 | u64::from(n)))
    }
}
