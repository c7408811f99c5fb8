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

/// A value that is set once, and shared from then on; as [`std::sync::OnceLock`], except that a
/// goroutine that waits is parked.
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
    /// Initialized iff the once is complete.
    value: UnsafeCell<MaybeUninit<T>>,
    /// It owns a `T`, and drops it.
    owns: PhantomData<T>,
}

// SAFETY: the value goes along.
unsafe impl<T: Send> Send for OnceLock<T> {}
// SAFETY: one writes, before it is complete; after that all read. Whoever sets it sends the value to
// whoever drops it. [U4]
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> OnceLock<T> {
    const_fn! {
        /// Without a value.
        pub fn new() -> Self {
            OnceLock {
                once: Once::new(),
                value: UnsafeCell::new(MaybeUninit::uninit()),
                owns: PhantomData,
            }
        }
    }

    /// The value, if it was set. Never suspends.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: complete, so it is initialized, and nobody writes it any more. [U4]
        self.once.is_completed().then(|| unsafe { self.value() })
    }

    /// The value, if it was set.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: complete, so it is initialized; borrowed exclusively.
        Some(self.value.with_mut(|value| unsafe { (*value).assume_init_mut() }))
    }

    /// Sets the value, unless there is one or somebody is about to set it: for that it waits.
    ///
    /// # Errors
    /// Gives `value` back if there was one already.
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init_at(|| value.take().expect("called once"), Location::caller());
        value.map_or(Ok(()), Err)
    }

    /// The value; if there is none, `f` makes it. If several come at once, one calls its `f`, the
    /// others wait: a goroutine is parked, a plain thread blocks.
    ///
    /// # Panics
    /// If `f` does; then there is no value, and another may try. Calling it from within `f` is a
    /// deadlock.
    #[inline]
    #[track_caller]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => self.get_or_init_at(f, Location::caller()),
        }
    }

    /// Waits until it is set.
    #[track_caller]
    pub fn wait(&self) -> &T {
        self.wait_limited(WaitLimit::NONE, Location::caller())
            .expect("without a limit there is no error")
    }

    /// As [`wait`](Self::wait), for at most `limit`.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_timeout(&self, limit: Duration) -> Result<&T, WaitError> {
        self.wait_limited(WaitLimit::after(limit), Location::caller())
    }

    /// As [`wait`](Self::wait), until `deadline` at the latest.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`].
    #[track_caller]
    pub fn wait_deadline(&self, deadline: impl Into<Instant>) -> Result<&T, WaitError> {
        self.wait_limited(deadline_of(deadline), Location::caller())
    }

    /// As [`wait`](Self::wait), until `token` is cancelled.
    ///
    /// # Errors
    /// [`WaitError::Cancelled`], also if it is cancelled already.
    #[track_caller]
    pub fn wait_cancel(&self, token: &CancelToken) -> Result<&T, WaitError> {
        self.wait_limited(unless_cancelled(token)?, Location::caller())
    }

    /// The value; it has none then.
    pub fn take(&mut self) -> Option<T> {
        if !self.once.is_completed() {
            return None;
        }
        self.once = Once::new();
        // SAFETY: it was complete, so it is initialized; it counts as not so from now on.
        Some(self.value.with_mut(|value| unsafe { (*value).assume_init_read() }))
    }

    /// The value, if it was set.
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
        // SAFETY: complete, as in `get`. [U4]
        Ok(unsafe { self.value() })
    }

    fn get_or_init_at(&self, f: impl FnOnce() -> T, place: &'static Location<'static>) -> &T {
        trace::op("set", "once lock", self, place);
        self.once.call_at(true, |_| self.write(f()), place);
        // SAFETY: complete, as in `get`. [U4]
        unsafe { self.value() }
    }

    /// By the one that runs.
    fn write(&self, made: T) {
        // SAFETY: one at a time runs, and nobody reads before it is complete. [U4]
        self.value.with_mut(|value| unsafe {
            (*value).write(made);
        });
    }

    /// # Safety
    /// The once is complete.
    #[inline]
    unsafe fn value(&self) -> &T {
        // SAFETY: complete, so it is initialized, and only an exclusive borrow may change it.
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
