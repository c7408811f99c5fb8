//! List: the waiters for one thing, first in first out. The lock of that thing also guards the list. The list links
//! nodes that are in the waiters' frames, so waiting allocates nothing.
//! link, unlink, claim: O(1); `claim` also drops nodes of waits that have ended elsewhere.
//! [X3] A node is unlinked before its frame ends.
//! Checked by: verification/loom/wait.rs.

use super::{Wait, WakeHandle};
use crate::observe::broken;
use std::cell::Cell;
use std::marker::PhantomPinned;
use std::ptr;

/// The entry of a wait in one list.
pub struct Node {
    wait: *const Wait,
    arm: u32,
    linked: Cell<bool>,
    previous: Cell<*const Node>,
    next: Cell<*const Node>,
    /// The address of the message slot, through which a value passes between waiter and waker. The list's owner knows
    /// the type of the value.
    packet: *mut (),
    _pinned: PhantomPinned,
}

// SAFETY: threads access the links only under the list's lock. The wait's state says which thread may access the
// message slot.
unsafe impl Send for Node {}
// SAFETY: a shared node gives access to the same links and the same slot, under the same lock and state.
unsafe impl Sync for Node {}

impl Node {
    /// Makes a node of `wait`, in no list. [`Wait::wait`] returns `arm` if the wait is completed through this node.
    pub fn new(wait: *const Wait, arm: u32, packet: *mut ()) -> Self {
        Node {
            wait,
            arm,
            linked: Cell::new(false),
            previous: Cell::new(ptr::null()),
            next: Cell::new(ptr::null()),
            packet,
            _pinned: PhantomPinned,
        }
    }

    /// Returns the message slot that the node was made with.
    pub fn packet(&self) -> *mut () {
        self.packet
    }
}

/// The waiters for one thing.
pub struct List {
    head: *const Node,
    tail: *const Node,
    len: usize,
}

// SAFETY: the nodes are Send and Sync, and each node stays alive while it is linked. [X3]
unsafe impl Send for List {}

impl List {
    /// Makes an empty list.
    pub const fn new() -> Self {
        List { head: ptr::null(), tail: ptr::null(), len: 0 }
    }

    /// Returns true if no node is linked.
    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Returns the number of linked nodes. Some of them may belong to waits that have ended through another list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if a waiter on this list has a message slot.
    pub fn has_packet(&self) -> bool {
        let mut next = self.head;
        // SAFETY: `next` is null or points to a linked node, and a node and its wait stay alive while the node is
        // linked. [X3]
        while let Some(node) = unsafe { next.as_ref() } {
            // SAFETY: `node` is linked, so its wait is alive. [X3]
            if !node.packet.is_null() && unsafe { (*node.wait).is_waiting() } {
                return true;
            }
            next = node.next.get();
        }
        false
    }

    /// Links a node at the end.
    ///
    /// # Safety
    /// - The node must be in no list. One lock must guard this list, and the node must be given only to
    ///   [`unlink`](Self::unlink) of this list.
    /// - Node and wait must not move until `unlink` has unlinked the node, or the waker that claimed the wait has
    ///   completed it. Until then the waiting goroutine or thread must not end.
    /// - An untimed wait must have no other node on any list.
    pub unsafe fn link(&mut self, node: &Node) {
        debug_assert!(!node.linked.get(), "a node is linked once");
        node.linked.set(true);
        node.previous.set(self.tail);
        node.next.set(ptr::null());
        // SAFETY: `tail` is null or points to a linked node, and a node stays alive while it is linked. [X3]
        match unsafe { self.tail.as_ref() } {
            Some(tail) => tail.next.set(node),
            None => self.head = node,
        }
        self.tail = node;
        self.len += 1;
    }

    /// Links a node before all others, for a waiter that has waited before and continues to wait.
    ///
    /// # Safety
    /// The caller must keep the safety contract of [`link`](Self::link).
    pub unsafe fn link_first(&mut self, node: &Node) {
        debug_assert!(!node.linked.get(), "a node is linked once");
        node.linked.set(true);
        node.previous.set(ptr::null());
        node.next.set(self.head);
        // SAFETY: `head` is null or points to a linked node, and a node stays alive while it is linked. [X3]
        match unsafe { self.head.as_ref() } {
            Some(head) => head.previous.set(node),
            None => self.tail = node,
        }
        self.head = node;
        self.len += 1;
    }

    /// Returns the message slot of the first node. The wait of that node may have ended elsewhere.
    pub fn first(&self) -> Option<*mut ()> {
        // SAFETY: `head` is null or points to a linked node, and a node stays alive while it is linked. [X3]
        unsafe { self.head.as_ref() }.map(|head| head.packet)
    }

    /// Unlinks a node of this list. Returns false if it was not linked any more.
    pub fn unlink(&mut self, node: &Node) -> bool {
        if !node.linked.replace(false) {
            return false;
        }
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: `node` was linked, so `previous` is null or points to a linked node. A node stays alive while it is
        // linked. [X3]
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.head = next,
        }
        // SAFETY: `next` is null or points to a linked node, for the same reason. [X3]
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.tail = previous,
        }
        self.len -= 1;
        true
    }

    /// Unlinks the first node and claims its wait for the caller, which must complete it. Returns `None` if there
    /// is no node, or if the wait of the first node has ended.
    pub fn claim_first(&mut self) -> Option<Claim> {
        // SAFETY: `head` is null or points to a linked node, and a node stays alive while it is linked. [X3]
        let node = unsafe { self.head.as_ref() }?;
        self.unlink(node);
        // SAFETY: `node.wait` stays alive as long as the node. The waiter must take the lock that the caller holds
        // before it can unlink the node, or learn that the node is unlinked.
        unsafe { (*node.wait).claim() }.then_some(Claim { node })
    }

    /// Unlinks the first node with a wait that has not ended, and claims that wait for the caller, which must
    /// complete it.
    #[inline]
    pub fn claim(&mut self) -> Option<Claim> {
        while !self.is_empty() {
            if let Some(claim) = self.claim_first() {
                return Some(claim);
            }
        }
        None
    }
}

impl Default for List {
    fn default() -> Self {
        List::new()
    }
}

/// A claimed wait. The wait stays alive until it is completed, which must be done under the list's lock.
#[must_use = "a claimed wait must be fired"]
pub struct Claim {
    node: *const Node,
}

// SAFETY: the claimed wait stays alive until it is completed, by any thread, and node and wait are Sync.
unsafe impl Send for Claim {}
// SAFETY: a shared claim gives access only to the address of the message slot.
unsafe impl Sync for Claim {}

impl Claim {
    /// Claims the wait of a node that is in no list. The caller may pass the claim to another waker.
    ///
    /// # Safety
    /// The wait must be on no list. Node and wait must not move until the claim is completed.
    pub unsafe fn of_own(node: &Node) -> Claim {
        // SAFETY: `node.wait` is alive, because the caller guarantees that node and wait do not move until the claim
        // is completed.
        if !unsafe { (*node.wait).claim() } {
            broken("of_own", "WAITING", "a wait that has ended");
        }
        Claim { node }
    }

    /// Returns the message slot of the node, which now belongs to the caller. [X1]
    pub fn packet(&self) -> *mut () {
        // SAFETY: `node` is alive, because its wait is claimed, and the waiter waits until the claim is completed.
        // [X1]
        unsafe { (*self.node).packet }
    }

    /// Completes the wait. After that, the message slot belongs to the waiter again. [X2] The returned handle must
    /// stay with the calling thread or goroutine; see [`WakeHandle::wake`].
    #[inline]
    pub fn complete(self) -> WakeHandle {
        // SAFETY: the wait is claimed, so node and wait stay alive until the state is FIRED, after which they are not
        // used. [X4]
        unsafe {
            let node = &*self.node;
            (*node.wait).complete(node.arm)
        }
    }
}
