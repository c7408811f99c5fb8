//! A counted reference to a goroutine. The cell can be recycled after the last reference is dropped. [G1]
//! Checked by: verification/loom/join.rs, proptests/runtime/lifecycle.rs.

use super::cell::{Goroutine, Ptr};

/// A counted reference to a goroutine.
pub(crate) struct Ref(Ptr);

impl Ref {
    /// Makes a `Ref` from a reference that is already counted.
    pub(crate) fn adopt(ptr: Ptr) -> Self {
        Ref(ptr)
    }

    /// Counts one more reference. The caller must hold a reference.
    pub(crate) fn new(ptr: Ptr) -> Self {
        // mutant: drop reference
        ptr.add_reference();
        Ref(ptr)
    }

    pub(crate) fn ptr(&self) -> Ptr {
        self.0
    }
}

impl std::ops::Deref for Ref {
    type Target = Goroutine;

    fn deref(&self) -> &Goroutine {
        &self.0
    }
}

impl Clone for Ref {
    fn clone(&self) -> Self {
        Ref::new(self.0)
    }
}

impl Drop for Ref {
    fn drop(&mut self) {
        crate::sched::core::cell_pool::drop_reference(self.0);
    }
}
