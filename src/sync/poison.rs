//! Poison: the mark that a holder who panicked leaves on a lock.
//! watch: when the lock is had, note whether the holder unwinds already.
//! released: if it unwinds now and did not then, mark.
//!
//! The panic count belongs to the kernel thread. Both looks are right also for a goroutine that has
//! migrated in between: from its panic until the unwinding ends it switches nowhere (docs/panics.md),
//! so the count of the thread that it is on is its own, at both times.
//! [M4] A lock is poisoned iff a holder dropped its guard in a panic that began while it held it.
//! Checked by: proptests/sync/poison.rs, verification/loom/sync_mutex.rs. In a model a panic is seen by
//! every model thread, so there "only if" is not checked.
#![forbid(unsafe_code)]

use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::poison::{LockResult, PoisonError};
use crate::platform::{const_fn, panicking};

/// Whether a holder has panicked.
#[derive(Debug)]
pub(super) struct Flag(AtomicBool);

/// What was seen when the lock was had.
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

    /// Before the lock is given back. [M4]
    #[inline]
    pub(super) fn released(&self, watch: &Watch) {
        if !watch.panicking && panicking() {
            // Relaxed: the lock's own Release publishes it. A swap: `clear` may write, too.
            // mutant: drop mark
            self.0.swap(true, Ordering::Relaxed);
        }
    }

    #[inline]
    pub(super) fn is_set(&self) -> bool {
        // Relaxed: a holder has it by the lock's Acquire; for others it is a hint.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn clear(&self) {
        // Relaxed: as above.
        self.0.swap(false, Ordering::Relaxed);
    }

    /// `guard`, as an error if the flag is set.
    #[inline]
    pub(super) fn raise_deferred_failure<G>(&self, guard: G) -> LockResult<G> {
        if self.is_set() { Err(PoisonError::new(guard)) } else { Ok(guard) }
    }
}
