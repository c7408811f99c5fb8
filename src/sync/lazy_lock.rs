//! LazyLock: a value that is made when it is first used.
//! Checked by: verification/loom/sync_once.rs, proptests/sync/once.rs.

use super::once::Once;
use crate::platform::cell::UnsafeCell;
use crate::platform::const_fn;
use crate::wait::trace;
use std::fmt;
use std::ops::Deref;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};

/// A value that is made when it is first used. It works like [`std::sync::LazyLock`], except that a goroutine is
/// parked while it waits for another one to make the value.
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
    /// The maker runs, or has panicked.
    Nothing,
}

// SAFETY: the lock moves between threads together with its maker and its value, and both are `Send`.
unsafe impl<T: Send, F: Send> Send for LazyLock<T, F> {}
// SAFETY: one thread calls the maker, and this may be another thread than the one that made the lock. After that all
// threads only read the value. [U4]
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T, F> LazyLock<T, F> {
    const_fn! {
        /// Makes a lock whose value `make` will make, once.
        pub fn new(make: F) -> Self {
            LazyLock { once: Once::new(), content: UnsafeCell::new(Content::Maker(make)) }
        }
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// Returns the value. Makes the value if there is none. If another caller is making it, waits for that caller:
    /// parks a goroutine or blocks a plain thread.
    ///
    /// # Panics
    /// Panics if the maker panics or has panicked before, which poisons the lock. Using the lock within its own maker
    /// is a deadlock.
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        if !this.once.is_completed() {
            trace::op("force", "lazy lock", this, Location::caller());
            this.once.call_at(false, |_| this.make(), Location::caller());
        }
        // SAFETY: `once` is complete, so nobody writes the content any more. [U4]
        match this.content.with(|content| unsafe { &*content }) {
            Content::Value(value) => value,
            _ => unreachable!("a complete LazyLock has a value"),
        }
    }

    /// Makes the value. Called only by the closure that runs.
    fn make(&self) {
        let take = |content: *mut _| {
            // SAFETY: one closure runs at a time, and nobody reads before `once` is complete. [U4]
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
            // SAFETY: `once` is complete, so nobody writes the content any more. [U4]
            if let Content::Value(value) = self.content.with(|content| unsafe { &*content }) {
                shown.field(value);
            }
        } else {
            shown.field(&format_args!("<uninit>"));
        }
        shown.finish()
    }
}
