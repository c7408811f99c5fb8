//! Slot: one place for one item, which its owner puts in, and anybody takes. It may have one owner
//! after another, who hand it over in order.
//! put: swap the item in; what was there before is the caller's.   take: not null: swap null in.
//!
//! [P3] An item leaves exactly once.
//! [P4] Whoever gets an item sees what was done before it was put in.
//! Checked by: verification/loom/slot.rs.

use crate::observe::fault;
use crate::platform::atomic::{AtomicPtr, Ordering};
use std::ptr::{self, NonNull};

/// A place for one item. Dropping it forgets the item.
#[derive(Debug)]
pub struct Slot<T>(AtomicPtr<T>);

impl<T> Slot<T> {
    /// An empty one.
    pub fn new() -> Self {
        Slot(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts `item` in; gives back the one that it displaces.
    #[inline]
    pub fn put(&self, item: NonNull<T>) -> Option<NonNull<T>> {
        // Release: pairs with the Acquire in `take`. What is displaced needs none: it was put in by
        // the owner, or by one before, who has handed the slot over. [P4]
        NonNull::new(self.0.swap(item.as_ptr(), Ordering::Release))
    }

    /// Takes the item, if there is one.
    #[inline]
    pub fn take(&self) -> Option<NonNull<T>> {
        // Relaxed: a hint that spares the swap.
        let seen = self.0.load(Ordering::Relaxed);
        if seen.is_null() {
            return None;
        }
        let rest = if fault("double run") { seen } else { ptr::null_mut() };
        // Acquire: pairs with the Release in `put`. [P3] [P4]
        NonNull::new(self.0.swap(rest, Ordering::Acquire))
    }

    /// Whether it is empty: a hint.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: a hint.
        self.0.load(Ordering::Relaxed).is_null()
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot::new()
    }
}
