//! Poison: the mark that a holder leaves on a lock when it panics.
//! watch: when the lock is taken, record whether the holder is already unwinding.
//! released: if the holder is unwinding now and was not unwinding then, set the mark.
//!
//! The panic count belongs to the kernel thread. Both checks are right for a goroutine that has migrated in between,
//! because a goroutine does not switch from the start of a panic to the end of its unwinding (docs/panics.md). So the
//! count of the current kernel thread is that of the goroutine, at both times.
//! [M4] A lock is poisoned if and only if a holder dropped its guard in a panic that began while it held the lock.
//! Checked by: proptests/sync/poison.rs, verification/loom/sync_mutex.rs. In a model every model thread sees a panic,
//! so there the "only if" is not checked.
#![forbid(unsafe_code)]

use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::poison::{LockResult, PoisonError};
use crate::platform::{const_fn, panicking};

/// Whether a holder has panicked.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

/// What was recorded when the lock was taken.
#[derive(Debug)]
pub(super) struct Watch {
    panicking: bool,
}

impl Flag {
    const_fn! {
        pub(super) fn new() -> Self {
            Flag(AtomicBool::new(false))
        }
    }

    #[inline]
    pub(super) fn watch(&self) -> Watch {
        Watch { panicking: panicking() }
    }

    /// Sets the mark if needed. Must be called before the lock is released. [M4]
    #[inline]
    pub(super) fn released(&self, watch: &Watch) {
        if !watch.panicking && panicking() {
            // Relaxed: the Release of the lock itself publishes the mark. A swap, because `clear` may write too.
            // mutant: drop mark
            self.0.swap(true, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        // Relaxed: a holder sees the mark through the Acquire of the lock. For others it is a hint.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        // Relaxed: as in `is_set`.
        self.0.swap(false, Ordering::Relaxed);
    }

    /// Returns `guard`, as an error if the mark is set.
    #[inline]
    pub(super) fn result_of<G>(&self, guard: G) -> LockResult<G> {
        if self.is_set() { Err(PoisonError::new(guard)) } else { Ok(guard) }
    }
}
