//! OnceLock: a value that is set once.
//! Checked by: verification/loom/sync_once.rs, proptests/sync/once.rs.

use super::error::WaitError;
use super::once::Once;
use super::{deadline_of, unless_cancelled};
use crate::cancel::CancelToken;
use crate::platform::cell::UnsafeCell;
use crate::platform::const_fn;
use crate::wait::instant::Instant;
use crate::wait::{WaitLimit, trace};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// A value that is set once, and shared from then on. It works like [`std::sync::OnceLock`], except that a waiting
/// goroutine is parked.
///
/// ```
/// use selvedge::sync::OnceLock;
///
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert_eq!(NAME.get(), None);
/// assert_eq!(NAME.get_or_init(|| "selvedge".to_owned()), "selvedge");
/// assert_eq!(NAME.set("other".to_owned()), Err("other".to_owned()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Initialized if and only if `once` is complete.
    value: UnsafeCell<MaybeUninit<T>>,
    /// Tells the compiler that this type owns a `T` and drops it.
    owns: PhantomData<T>,
}

// SAFETY: the lock moves between threads together with its value, and `T: Send`.
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: one thread writes the value before `once` is complete. After that all threads only read. The thread that
// sets the value may send it to the thread that drops it. [U4]
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    const_fn! {
        /// Makes a lock without a value.
        pub fn new() -> Self {
            OnceLock {
                once: Once::new(),
                value: UnsafeCell::new(MaybeUninit::uninit()),
                owns: PhantomData,
            }
        }
    }

    /// Returns the value if it was set. Never suspends.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: `once` is complete, so the value is initialized, and nobody writes it any more. [U4]
        self.once.is_completed().then(|| unsafe { self.value() })
    }

    /// Returns the value if it was set.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: `once` is complete, so the value is initialized. `self` is borrowed exclusively.
        Some(self.value.with_mut(|value| unsafe { (*value).assume_init_mut() }))
    }

    /// Sets the value if there is none. If another caller is about to set it, waits for that caller.
    ///
    /// # Errors
    /// Returns an error that holds `value` if there was a value already.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init_at(|| value.take().expect("called once"), Location::caller());
        value.map_or(Ok(()), Err)
    }

    /// Returns the value. If there is none, `f` makes it. If several callers come at the same time, one of them calls
    /// its `f` and the others wait: a goroutine is parked, and a plain thread blocks.
    ///
    /// # Panics
    /// Panics if `f` panics. Then there is still no value, and another caller may try. Calling this within `f` is a
    /// deadlock.
    #[inline]
    #[track_caller]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => self.get_or_init_at(f, Location::caller()),
        }
    }

    /// Waits until the value is set, and returns it. Parks a goroutine or blocks a plain thread.
    ///
    /// ```
    /// use selvedge::sync::OnceLock;
    ///
    /// static ADDRESS: OnceLock<String> = OnceLock::new();
    ///
    /// selvedge::Runtime::new()?.run(|| {
    ///     selvedge::go(|| ADDRESS.set("localhost".to_owned()));
    ///     assert_eq!(ADDRESS.wait(), "localhost");
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    pub fn wait(&self) -> &T {
        self.wait_limited(WaitLimit::NONE, Location::caller())
            .expect("without a limit there is no error")
    }

    /// Waits like [`wait`](Self::wait), but for at most `limit`.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<&T, WaitError> {
        self.wait_limited(WaitLimit::after(limit), Location::caller())
    }

    /// Waits like [`wait`](Self::wait), but until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns [`WaitError::TimedOut`] if the time runs out.
    #[track_caller]
    pub fn wait_deadline(&self, deadline: impl Into<Instant>) -> Result<&T, WaitError> {
        self.wait_limited(deadline_of(deadline), Location::caller())
    }

    /// Waits like [`wait`](Self::wait), but only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns [`WaitError::Cancelled`] if the token is cancelled, also if it was cancelled before.
    #[track_caller]
    pub fn wait_cancel(&self, token: &CancelToken) -> Result<&T, WaitError> {
        self.wait_limited(unless_cancelled(token)?, Location::caller())
    }

    /// Takes the value out, if it was set. The lock has no value after that.
    pub fn take(&mut self) -> Option<T> {
        if !self.once.is_completed() {
            return None;
        }
        self.once = Once::new();
        // SAFETY: `once` was complete, so the value is initialized. `once` is not complete any more, so the value is
        // read only once.
        Some(self.value.with_mut(|value| unsafe { (*value).assume_init_read() }))
    }

    /// Returns the value if it was set.
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    fn wait_limited(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<&T, WaitError> {
        trace::op("wait for", "once lock", self, place);
        self.once.wait_limited(true, limit, place)?;
        // SAFETY: `once` is complete, because the wait for it has returned without an error. [U4]
        Ok(unsafe { self.value() })
    }

    fn get_or_init_at(&self, f: impl FnOnce() -> T, place: &'static Location<'static>) -> &T {
        trace::op("set", "once lock", self, place);
        self.once.call_at(true, |_| self.write(f()), place);
        // SAFETY: `once` is complete, because the call for it has returned. [U4]
        unsafe { self.value() }
    }

    /// Stores the value. Called only by the closure that runs.
    fn write(&self, made: T) {
        // SAFETY: one closure runs at a time, and nobody reads before `once` is complete. [U4]
        self.value.with_mut(|value| unsafe {
            (*value).write(made);
        });
    }

    /// # Safety
    /// `once` must be complete.
    #[inline]
    unsafe fn value(&self) -> &T {
        // SAFETY: `once` is complete, so the value is initialized, and only an exclusive borrow may change it.
        self.value.with(|value| unsafe { (*value).assume_init_ref() })
    }
}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        let lock = OnceLock::new();
        lock.get_or_init(|| value);
        lock
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().map_or_else(OnceLock::new, |value| OnceLock::from(value.clone()))
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<uninit>")),
        };
        shown.finish()
    }
}
