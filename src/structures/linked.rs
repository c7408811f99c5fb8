//! Link: the word inside an item by which an intrusive queue chains the item, in one queue at a time.
//! From the push of an item until the item leaves, only the queue may use its link: no other code reads or writes it,
//! and the queue's own atomics or lock publish the link together with the item.
//! Checked by: verification/loom/inbox.rs, verification/loom/injector.rs.

use crate::platform::atomic::{AtomicPtr, Ordering};
use std::ptr;

/// Something that can be linked into one intrusive queue at a time.
///
/// # Safety
/// - [`link`](Self::link) must return the same link for the same item each time, and a different link for each item.
/// - Only a queue of this module may read or write the link.
pub unsafe trait Linked: Sized {
    /// Returns this item's link.
    fn link(&self) -> &Link<Self>;
}

/// The pointer to the next item of the queue that holds this one.
#[derive(Debug)]
pub struct Link<T>(AtomicPtr<T>);

impl<T> Link<T> {
    /// Makes a link for an item that is in no queue.
    pub fn new() -> Self {
        Link(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn get(&self) -> *mut T {
        // Relaxed: the thread that holds the queue has synchronized with the last writer by the queue's own
        // atomics or lock. [B2] [J2]
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set(&self, next: *mut T) {
        // Relaxed: `get` says why. The queue publishes the link together with the item.
        self.0.store(next, Ordering::Relaxed);
    }
}

impl<T> Default for Link<T> {
    fn default() -> Self {
        Link::new()
    }
}
