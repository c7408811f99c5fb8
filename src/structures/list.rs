//! List: an intrusive FIFO used by its owner alone. A worker's bound queue is a list, and a remote queue is
//! drained into one.
//! push_back: link the item behind the last.   pop_front: unlink the first.
//! [L1] `first`, followed link by link, gives `len` items and ends at `last`, whose link is null.
//! Checked by: proptests/list.rs.

use super::linked::Linked;
use std::ptr::{self, NonNull};

/// A FIFO of linked items. Dropping the list forgets the items, which belong to the code that pushed them.
#[derive(Debug)]
pub struct List<T: Linked> {
    first: *mut T,
    last: *mut T,
    len: usize,
}

// SAFETY: a list uses its items only by shared reference, and they are `Sync`, so any thread may use the list.
unsafe impl<T: Linked + Sync> Send for List<T> {}

impl<T: Linked> List<T> {
    /// Returns an empty list.
    pub const fn new() -> Self {
        List { first: ptr::null_mut(), last: ptr::null_mut(), len: 0 }
    }

    /// Puts `item` behind all others.
    ///
    /// # Safety
    /// - The caller must ensure that `item` is in no queue, and stays alive until it leaves this list.
    #[inline]
    pub unsafe fn push_back(&mut self, item: NonNull<T>) {
        // SAFETY: the caller guarantees that `item` points to an item that is alive and in no queue.
        unsafe { item.as_ref() }.link().set(ptr::null_mut());
        self.attach(item.as_ptr(), item.as_ptr(), 1);
    }

    /// Puts `item` before all others.
    ///
    /// # Safety
    /// - The caller must keep the safety contract of [`push_back`](Self::push_back).
    #[inline]
    pub unsafe fn push_front(&mut self, item: NonNull<T>) {
        // SAFETY: the caller guarantees that `item` points to an item that is alive and in no queue.
        unsafe { item.as_ref() }.link().set(self.first);
        self.first = item.as_ptr();
        if self.last.is_null() {
            self.last = item.as_ptr();
        }
        self.len += 1;
    }

    /// Takes the item that has waited longest.
    #[inline]
    pub fn pop_front(&mut self) -> Option<NonNull<T>> {
        let item = NonNull::new(self.first)?;
        // SAFETY: `first` points to an item of the list, and the caller of each push guarantees that its item stays
        // alive. [L1]
        self.first = unsafe { item.as_ref() }.link().get();
        if self.first.is_null() {
            self.last = ptr::null_mut();
        }
        self.len -= 1;
        Some(item)
    }

    /// Moves all of `other` behind all of this list, in constant time.
    #[inline]
    pub fn append(&mut self, other: &mut List<T>) {
        let List { first, last, len } = std::mem::take(other);
        if !first.is_null() {
            self.attach(first, last, len);
        }
    }

    /// Returns the item that has waited longest.
    #[inline]
    pub fn front(&self) -> Option<NonNull<T>> {
        NonNull::new(self.first)
    }

    /// Returns how many items wait.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether no item waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.first.is_null()
    }

    /// Links the chain `first ..= last`, which ends in null, behind the last item. [L1]
    fn attach(&mut self, first: *mut T, last: *mut T, len: usize) {
        match NonNull::new(self.last) {
            // SAFETY: `last` points to an item of the list, and the caller of each push guarantees that its item
            // stays alive. [L1]
            Some(end) => unsafe { end.as_ref() }.link().set(first),
            None => self.first = first,
        }
        self.last = last;
        self.len += len;
    }
}

impl<T: Linked> Default for List<T> {
    fn default() -> Self {
        List::new()
    }
}
