//! The state of a scope: its children, and the parent that waits for them. The state lies in the parent's
//! stack frame.
//!
//! - `add_child` is called before the spawn.
//! - `child_ended` is called after the child's result is stored, or dropped if it is unclaimed.
//!
//! [G4] The scope's wait returns only after every child has left, so that no child refers to the parent's
//! frame any more. For this reason a child copies the parent's wake handle before it leaves.
//! [G7] When a child has left, the parent may already have ended, and the parent's runtime with it. A child
//! on the same runtime keeps that runtime allocated, and knows the parent by its id. A child on another
//! runtime counts a reference to the parent before it leaves.
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
    /// The address of the parent's runtime. 0 in a model, in which goroutines are threads.
    runtime: usize,
}

/// The membership of one child in its scope.
pub(crate) struct ScopeToken(NonNull<ScopeState>);

// SAFETY: a token points to the scope state, which all children share. The scope state consists of atomics
// and of a wake handle, which the children only copy.
unsafe impl Send for ScopeToken {}

impl ScopeState {
    /// Returns a scope state without children. The caller is the parent.
    pub(crate) fn new() -> Self {
        let runtime = current_worker().map_or(std::ptr::null(), |worker| worker.shared);
        ScopeState {
            running: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            parent: WakeHandle::of_caller(runtime),
            runtime: runtime.addr(),
        }
    }

    /// Returns a handle of the parent, which a child must wake after it has left. `runtime` is the address
    /// of the child's runtime. Must be called before the child leaves. [G7]
    pub(crate) fn parent_for(&self, runtime: usize) -> WakeHandle {
        if runtime == self.runtime {
            self.parent.duplicate()
        } else {
            self.parent.duplicate_counted()
        }
    }

    /// Adds a child. The child must leave later.
    ///
    /// # Safety
    /// The scope state must stay valid, at the same address, until every child has left.
    pub(crate) unsafe fn add_child(&self) -> ScopeToken {
        // Relaxed: the caller is the parent, which counts its own children, or a child that the parent
        // waits for.
        let before = self.running.fetch_add(1, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "too many goroutines in one scope");
        ScopeToken(NonNull::from(self))
    }

    /// Removes a child that was not spawned after all.
    pub(crate) fn withdraw(&self) {
        // Relaxed: this does not end a wait, because the caller is the parent or a child that has not left.
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Notes that a child has panicked and that its handle was dropped.
    pub(crate) fn note_panic(&self) {
        // Relaxed: the holder of the handle is the parent, or a child that has not left yet.
        self.panicked.store(true, Ordering::Relaxed);
    }

    /// Returns whether a child has not left yet.
    pub(crate) fn has_children(&self) -> bool {
        // Acquire: pairs with the Release in `child_ended`. [G4]
        self.running.load(Ordering::Acquire) > 0
    }

    /// Returns whether a child panicked that was not joined. Must be called after every child has left.
    pub(crate) fn has_panicked(&self) -> bool {
        // Relaxed: the Release in `child_ended` published it.
        self.panicked.load(Ordering::Relaxed)
    }
}

impl ScopeToken {
    /// Removes the child from its scope. Called by the child, or by the thread that drops its closure.
    /// `runtime` is the child's runtime, or null in a model.
    pub(crate) fn child_ended(self, runtime: *const Shared, unclaimed_panic: bool) {
        let scope = self.0.as_ptr();
        // SAFETY: `scope` points to the scope state, which stays valid until the child has left (the
        // contract of `add_child`). A raw pointer is used instead of a reference, because the scope state
        // may be gone before this function returns.
        unsafe {
            if unclaimed_panic {
                // Relaxed: published by the Release below.
                (*scope).panicked.store(true, Ordering::Relaxed);
            }
            let parent = (*scope).parent_for(runtime.addr());
            // Release: pairs with the Acquire in `has_children`, so that the parent sees all that the child
            // did. [G4]
            if (*scope).running.fetch_sub(1, Ordering::Release) == 1 {
                // mutant: drop wake of the parent
                parent.wake();
            }
        }
    }
}

impl std::fmt::Debug for ScopeState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ScopeState")
    }
}
