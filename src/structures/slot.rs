//! Slot: holds at most one item. Its owner puts an item in, and any thread takes it. The slot may have one owner
//! after another, if each owner's uses happen before those of the next.
//! put: swap the item in; the caller gets what was there before.   take: if it is not null: swap null in.
//!
//! [P3] An item leaves exactly once.
//! [P4] A thread that gets an item sees what was done before the item was put in.
//! Checked by: verification/loom/slot.rs.

use crate::observe::fault;
use crate::platform::atomic::{AtomicPtr, Ordering};
use std::ptr::{self, NonNull};

/// A slot for one item. Dropping the slot forgets the item.
#[derive(Debug)]
pub struct Slot<T>(AtomicPtr<T>);

impl<T> Slot<T> {
    /// Returns an empty slot.
    pub fn new() -> Self {
        Slot(AtomicPtr::new(ptr::null_mut()))
    }

    /// Puts `item` in, and returns the item that it displaces.
    #[inline]
    pub fn put(&self, item: NonNull<T>) -> Option<NonNull<T>> {
        // Release: pairs with the Acquire in `take`. The displaced item needs no ordering: this owner put it in, or
        // an earlier owner did, and what that owner did happened before. [P4]
        NonNull::new(self.0.swap(item.as_ptr(), Ordering::Release))
    }

    /// Takes the item, if there is one.
    #[inline]
    pub fn take(&self) -> Option<NonNull<T>> {
        // Relaxed: this hint saves the swap.
        let seen = self.0.load(Ordering::Relaxed);
        if seen.is_null() {
            return None;
        }
        let rest = if fault("double run") { seen } else { ptr::null_mut() };
        // Acquire: pairs with the Release in `put`. [P3] [P4]
        NonNull::new(self.0.swap(rest, Ordering::Acquire))
    }

    /// Returns whether the slot is empty. This is a hint.
    #[inline]
    pub fn is_empty(&self) -> bool {
        // Relaxed: the result is only a hint.
        self.0.load(Ordering::Relaxed).is_null()
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Slot::new()
    }
}
