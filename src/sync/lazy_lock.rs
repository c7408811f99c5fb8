//! LazyLock: a value that is made when it is first used.
//! Checked by: verification/loom/sync_once.rs, proptests/sync/once.rs.

use super::once::Once;
use crate::platform::cell::UnsafeCell;
use crate::platform::const_fn;
use crate::wait::trace;
use std::fmt;
use std::ops::Deref;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

/// A value that is made when it is first used; as [`std::sync::LazyLock`], except that a goroutine
/// that waits for another to make it is parked.
///
/// ```
/// use selvedge::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u32>> = LazyLock::new(|| (0..4).map(|n| n * n).collect());
/// assert_eq!(SQUARES[3], 9);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    once: Once,
    content: UnsafeCell<Content<T, F>>,
}

enum Content<T, F> {
    Maker(F),
    Value(T),
    /// The maker has panicked, or runs.
    Nothing,
}

// SAFETY: both the maker and the value go along.
unsafe impl<T: Send, F: Send> Send for LazyLock<T, F> {}
// SAFETY: the maker is called by one, who may be another than who made the lock; after that, all read
// the value. [U4]
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F> LazyLock<T, F> {
    const_fn! {
        /// `make` will make the value, once.
        pub fn new(make: F) -> Self {
            LazyLock { once: Once::new(), content: UnsafeCell::new(Content::Maker(make)) }
        }
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// The value; made now if it was not yet, or waited for if somebody makes it.
    ///
    /// # Panics
    /// If the maker does, or has: the lock is poisoned then. Using it within its own maker is a
    /// deadlock.
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        if !this.once.is_completed() {
            trace::op("force", "lazy lock", this, Location::caller());
            this.once.call_at(false, |_| this.make(), Location::caller());
        }
        // SAFETY: complete, so nobody writes it any more. [U4]
        match this.content.with(|content| unsafe { &*content }) {
            Content::Value(value) => value,
            _ => unreachable!("a complete LazyLock has a value"),
        }
    }

    /// By the one that runs.
    fn make(&self) {
        let take = |content: *mut _| {
            // SAFETY: one at a time runs, and nobody reads before it is complete. [U4]
            std::mem::replace(unsafe { &mut *content }, Content::Nothing)
        };
        let Content::Maker(make) = self.content.with_mut(take) else {
            unreachable!("the maker is taken once")
        };
        let value = make();
        // SAFETY: as above.
        self.content.with_mut(|content| unsafe { *content = Content::Value(value) });
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        LazyLock::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("LazyLock");
        if self.once.is_completed() {
            // SAFETY: complete, so nobody writes it any more. [U4]
            if let Content::Value(value) = self.content.with(|content| unsafe { &*content }) {
                shown.field(value);
            }
        } else {
            shown.field(&format_args!("<uninit>"));
        }
        shown.finish()
    }
}
