//! Ring: the slots of a deque, its two words, and the claims by which batches leave it.
//! claim: `tail` seen, nobody copying: CAS claimed + n and unreleased + n.   read: move a slot out.
//! release: one `fetch_and` makes `unreleased` zero, however far the owner has popped meanwhile.
//! Drawing and invariants [D1]–[D6]: deque.rs.
//! Checked by: verification/loom/deque.rs, proptests/deque.rs.

use crate::platform::atomic::{AtomicU32, AtomicU64, Ordering};
use crate::platform::cell::UnsafeCell;
use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;

/// The first index: the first push wraps `tail` around.
pub(super) const FIRST: u32 = u32::MAX;

pub(super) struct Ring<T> {
    pub(super) head: CachePadded<AtomicU64>,
    pub(super) tail: CachePadded<AtomicU32>,
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a ring hands each item to one thread alone [D1], after its writer is done [D2]; so items
// that may be sent may be shared in it.
unsafe impl<T: Send> Send for Ring<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Ring<T> {}

impl<T> Ring<T> {
    /// An empty ring; `capacity` is a power of two.
    pub(super) fn new(capacity: usize) -> Self {
        Ring {
            head: CachePadded::new(AtomicU64::new(Head::new(FIRST).0)),
            tail: CachePadded::new(AtomicU32::new(FIRST)),
            slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        }
    }

    /// Claims the oldest `share(items waiting)` items, at least one, if there are any and no other
    /// batch is being copied. [D5]
    pub(super) fn claim(&self, share: impl Fn(u32) -> u32) -> Option<Claim<'_, T>> {
        // Relaxed: a stale head only makes the CAS fail.
        let mut head = Head(self.head.load(Ordering::Relaxed));
        loop {
            // Acquire: pairs with the Release in `Owner::publish`, so that the slots below `tail`
            // are seen as written. [D2]
            let tail = self.tail.load(Ordering::Acquire);
            // Signed: the head may be newer than the tail that we see.
            let available = tail.wrapping_sub(head.claimed()) as i32;
            // mutant: claim beside a thief that copies: replace head.unreleased() != 0 with false
            // mutant: claim what is not there: replace available <= 0 with available == 0
            if available <= 0 || head.unreleased() != 0 {
                return None;
            }
            let n = share(available as u32);
            // Relaxed, both: the claim orders nothing by itself. That the slots are written comes
            // with `tail`, that they aren't overwritten with the release. [D1] [D5]
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
    /// - The caller is the owner.
    /// - `index` is one of the `room` from `tail` on. [D4]
    #[inline]
    pub(super) unsafe fn write(&self, index: u32, item: T) {
        // SAFETY: only the owner writes slots, and this one's last reader is done. [D4]
        self.slot(index).with_mut(|slot| unsafe { (*slot).write(item) });
    }

    /// Moves the item out of a slot.
    ///
    /// # Safety
    /// - The caller has claimed `index` and reads it for the first time.
    /// - `index` is below a `tail` that the caller has seen with Acquire, or wrote.
    /// - The slot isn't written again before this returns.
    #[inline]
    pub(super) unsafe fn read(&self, index: u32) -> T {
        // SAFETY: written [D2], and the claim makes the caller the only one to read it. [D1]
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
        // Relaxed: both ends are gone, which ordered everything before this.
        let mut at = Head(self.head.load(Ordering::Relaxed)).claimed();
        let tail = self.tail.load(Ordering::Relaxed);
        while at != tail {
            // SAFETY: below `tail` and never claimed, so written and not yet read; nobody else is
            // left to read or write.
            drop(unsafe { self.read(at) });
            at = at.wrapping_add(1);
        }
    }
}

/// The claimed indices `at .. end` of a ring, to be moved out; dropping it releases the slots.
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
        // - claimed by us, and read once, since `at` moves on [D1];
        // - `Ring::claim` saw it below `tail` [D2];
        // - not written again before our drop releases it. [D4]
        let item = unsafe { self.ring.read(self.at) };
        self.at = self.at.wrapping_add(1);
        Some(item)
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        self.by_ref().for_each(drop);
        // Release: pairs with the Acquire in `Owner::room`: our reads are over before the owner
        // writes these slots again. [D4] What the owner popped meanwhile is released with it.
        // mutant: drop release
        self.ring.head.fetch_and(Head::RELEASE_ALL, Ordering::Release);
    }
}

/// The two halves of `head`: the next index to claim, and how many claimed slots before it may still
/// be read by a batch.
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

    /// The first index whose slot may still be read.
    #[inline]
    pub(super) fn released(self) -> u32 {
        self.claimed().wrapping_sub(self.unreleased())
    }

    /// One more claimed by the owner, who reads it before it can write it again.
    #[inline]
    pub(super) fn pop_one(self) -> Self {
        let copying = u64::from(self.unreleased() != 0);
        // The upper half wraps by itself; the lower is at most the capacity, so it never carries.
        Head(self.0.wrapping_add((1 << 32) | copying))
    }

    /// `n` more claimed by a batch, which will release them.
    pub(super) fn claim_batch(self, n: u32) -> Self {
        Head(self.0.wrapping_add(u64::from(n) << 32 | u64::from(n)))
    }
}
