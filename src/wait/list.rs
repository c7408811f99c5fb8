//! List: those who wait for one thing, first in first out. It is part of what the thing's lock
//! guards, and links nodes that lie in the waiters' frames: waiting allocates nothing.
//! link, unlink, claim: O(1); `claim` also drops nodes whose wait has ended elsewhere.
//! [X3] A node is unlinked before its frame goes.
//! Checked by: verification/loom/wait.rs.

use super::{Wait, WakeHandle};
use crate::observe::broken;
use std::cell::Cell;
use std::marker::PhantomPinned;
use std::ptr;

/// A wait's place in one list.
pub struct Node {
    wait: *const Wait,
    arm: u32,
    linked: Cell<bool>,
    previous: Cell<*const Node>,
    next: Cell<*const Node>,
    /// Where a value passes between waiter and waker; the list's owner knows its type.
    packet: *mut (),
    _pinned: PhantomPinned,
}

// SAFETY: the links are touched under the list's lock alone; the packet as the wait's state says.
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    /// A node of `wait`, in no list. `arm` is what [`Wait::wait`] answers when it is fired.
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

    /// What the node was made with.
    pub fn packet(&self) -> *mut () {
        self.packet
    }
}

/// The waiters of one thing.
pub struct List {
    head: *const Node,
    tail: *const Node,
    len: usize,
}

// SAFETY: the nodes are Send and Sync, and stay linked only while they are in place. [X3]
unsafe impl Send for List {}

impl List {
    /// A list without nodes.
    pub const fn new() -> Self {
        List { head: ptr::null(), tail: ptr::null(), len: 0 }
    }

    /// Whether no node is linked.
    pub fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Nodes linked; some of them may belong to waits that have ended through another list.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether somebody waits here with a packet.
    pub fn has_packet(&self) -> bool {
        let mut next = self.head;
        // SAFETY: a linked node is in place, and so is its wait. [X3]
        while let Some(node) = unsafe { next.as_ref() } {
            // SAFETY: as above.
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
    /// - The node is in no list. One lock guards this list, and the node is given to
    ///   [`unlink`](Self::unlink) of this list alone.
    /// - Node and wait stay where they are until `unlink` has unlinked the node, or whoever claimed it has
    ///   fired it. Until then the goroutine or the thread that waits does not end.
    /// - A steadfast wait has no other node on any list.
    pub unsafe fn link(&mut self, node: &Node) {
        debug_assert!(!node.linked.get(), "a node is linked once");
        node.linked.set(true);
        node.previous.set(self.tail);
        node.next.set(ptr::null());
        // SAFETY: a linked node is in place. [X3]
        match unsafe { self.tail.as_ref() } {
            Some(tail) => tail.next.set(node),
            None => self.head = node,
        }
        self.tail = node;
        self.len += 1;
    }

    /// Links a node before all others: it has waited before, and goes on waiting.
    ///
    /// # Safety
    /// As [`link`](Self::link).
    pub unsafe fn link_first(&mut self, node: &Node) {
        debug_assert!(!node.linked.get(), "a node is linked once");
        node.linked.set(true);
        node.previous.set(ptr::null());
        node.next.set(self.head);
        // SAFETY: a linked node is in place. [X3]
        match unsafe { self.head.as_ref() } {
            Some(head) => head.previous.set(node),
            None => self.tail = node,
        }
        self.head = node;
        self.len += 1;
    }

    /// The packet of the first node, whose wait may have ended elsewhere.
    pub fn first(&self) -> Option<*mut ()> {
        // SAFETY: a linked node is in place. [X3]
        unsafe { self.head.as_ref() }.map(|head| head.packet)
    }

    /// Unlinks a node of this list; false if it was not linked any more.
    pub fn unlink(&mut self, node: &Node) -> bool {
        if !node.linked.replace(false) {
            return false;
        }
        let (previous, next) = (node.previous.get(), node.next.get());
        // SAFETY: linked nodes are in place, and so are their neighbours. [X3]
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.head = next,
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.tail = previous,
        }
        self.len -= 1;
        true
    }

    /// Unlinks the first node, and claims its wait for the caller, who must fire it; `None` if that
    /// has ended, or if there is no node.
    pub fn claim_first(&mut self) -> Option<Claim> {
        // SAFETY: a linked node is in place. [X3]
        let node = unsafe { self.head.as_ref() }?;
        self.unlink(node);
        // SAFETY: the wait is in place as long as the node is: its owner must take our lock to
        // unlink the node, or to learn that it needs not.
        unsafe { (*node.wait).claim() }.then_some(Claim { node })
    }

    /// Unlinks the first node whose wait has not ended, and claims that wait for the caller, who
    /// must fire it.
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

/// A claimed wait: it stays in place until it is fired. To be fired under the list's lock.
#[must_use = "a claimed wait must be fired"]
pub struct Claim {
    node: *const Node,
}

// SAFETY: the claimed wait stays in place, whatever thread fires it; node and wait are Sync.
unsafe impl Send for Claim {}
// SAFETY: a shared claim gives nothing but the packet's address.
unsafe impl Sync for Claim {}

impl Claim {
    /// Claims the wait of a node in no list, for whom the caller gives the claim to.
    ///
    /// # Safety
    /// The wait is on no list. Node and wait stay where they are until the claim was fired.
    pub unsafe fn of_own(node: &Node) -> Claim {
        // SAFETY: it was just made, by the caller's frame.
        if !unsafe { (*node.wait).claim() } {
            broken("of_own", "WAITING", "a wait that has ended");
        }
        Claim { node }
    }

    /// The packet of the node, now the caller's. [X1]
    pub fn packet(&self) -> *mut () {
        // SAFETY: claimed, so the waiter waits. [X1]
        unsafe { (*self.node).packet }
    }

    /// Ends the wait. The packet is the waiter's again. [X2] The answer stays with the calling thread or
    /// goroutine: see [`WakeHandle::wake`].
    #[inline]
    pub fn complete(self) -> WakeHandle {
        // SAFETY: claimed, so node and wait are in place until the state is FIRED. [X4]
        unsafe {
            let node = &*self.node;
            (*node.wait).complete(node.arm)
        }
    }
}
