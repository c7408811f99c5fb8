//! Group: the children of a scope, and the parent that waits for them. It lies in the parent's frame.
//! enter, before the spawn.   leave, after the child's result is stored, or dropped if unclaimed.
//! [G4] `wait` returns only after every child has left: nothing of theirs refers to the parent's
//! frame any more. So whom to wake is copied before a child leaves.
//! [G7] A child that has left may find the parent gone, and the parent's runtime with it. A child on the
//! same runtime keeps that in place, and knows the parent by its id; a child on another one counts a
//! reference to the parent before it leaves.
//! Checked by: verification/loom/join.rs, src/api/scope_tests.rs, proptests/runtime/lifecycle.rs.

use super::current::current_worker;
use super::runtime::Shared;
use super::wake_handle::WakeHandle;
use crate::platform::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::ptr::NonNull;

pub(crate) struct ScopeState {
    running: AtomicUsize,
    panicked: AtomicBool,
    parent: WakeHandle,
    /// The address of the parent's runtime; 0 in a model, whose goroutines are threads.
    runtime: usize,
}

/// A child's place in its group.
pub(crate) struct ScopeToken(NonNull<ScopeState>);

// SAFETY: a group is shared by all its children: atomics, and whom to wake, which only is copied.
unsafe impl Send for ScopeToken {}

impl ScopeState {
    /// A group without children, whose parent is the caller.
    pub(crate) fn new() -> Self {
        let runtime = current_worker().map_or(std::ptr::null(), |worker| worker.shared);
        ScopeState {
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            parent: WakeHandle::of_caller(runtime),
            runtime: runtime.addr(),
        }
    }

    /// Whom a child on the runtime at this address wakes, once it has left. Called before it leaves. [G7]
    pub(crate) fn parent_for(&self, runtime: usize) -> WakeHandle {
        if runtime == self.runtime {
            self.parent.duplicate()
        } else {
            self.parent.duplicate_counted()
        }
    }

    /// One more child, which must leave.
    ///
    /// # Safety
    /// The group stays where it is until no child is left.
    pub(crate) unsafe fn add_child(&self) -> ScopeToken {
        // Relaxed: the parent counts its children itself, or a child that it waits for does.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "too many goroutines in one scope");
        ScopeToken(NonNull::from(self))
    }

    /// The child was not spawned after all, and its place is forgotten.
    pub(crate) fn withdraw(&self) {
        // Relaxed: nobody waits for it. The caller is the parent, or a child that has not left.
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// A child has panicked, and its handle was dropped.
    pub(crate) fn note_panic(&self) {
        // Relaxed: the handle's holder is the parent, or a child that has not left yet.
        self.panicked.store(true, Ordering::Relaxed);
    }

    /// Whether a child has not left yet.
    pub(crate) fn has_children(&self) -> bool {
        // Acquire: pairs with the Release in `leave`. [G4]
        self.running.load(Ordering::Acquire) > 0
    }

    /// Whether a child panicked and nobody joined it. Called once no child is left.
    pub(crate) fn has_panicked(&self) -> bool {
        // Relaxed: see `leave`.
        self.panicked.load(Ordering::Relaxed)
    }
}

impl ScopeToken {
    /// Called by the child, or by whoever drops its closure. `runtime` is the child's; null in a model.
    pub(crate) fn child_ended(self, runtime: *const Shared, unclaimed_panic: bool) {
        let scope = self.0.as_ptr();
        // SAFETY: until the child has left, the group is there. Not by a reference, since it may be gone
        // before this function returns.
        unsafe {
            if unclaimed_panic {
                // Relaxed: published by the Release below.
                (*scope).panicked.store(true, Ordering::Relaxed);
            }
            let parent = (*scope).parent_for(runtime.addr());
            // Release: pairs with the Acquire in `wait`: all that the child did is seen. [G4]
            if (*scope).running.fetch_sub(1, Ordering::Release) == 1 {
                // mutant: drop wake of the parent
                parent.wake();
            }
        }
    }
}

impl std::fmt::Debug for ScopeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Group")
    }
}
