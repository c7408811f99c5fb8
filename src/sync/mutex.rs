//! Mutex: a value that only one goroutine or thread can use at a time.
//! Checked by: verification/loom/sync_mutex.rs, proptests/sync/mutex.rs.

use super::error::LockError;
use super::poison::{Flag, Watch};
use super::raw_mutex::RawMutex;
use super::{deadline_of, unless_cancelled};
use crate::cancel::CancelToken;
use crate::platform::cell::UnsafeCell;
use crate::platform::const_fn;
use crate::platform::poison::{LockResult, TryLockError, TryLockResult};
use crate::wait::instant::Instant;
use crate::wait::{WaitLimit, trace};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

/// A value that only one goroutine or thread can use at a time. It works like [`std::sync::Mutex`], which also
/// describes poisoning, except that a waiting goroutine is parked and its kernel thread runs other goroutines.
///
/// Without contention, locking and unlocking cost one atomic operation each, and nothing is allocated. A free lock
/// goes to the first caller, even if others wait, but at most 64 times in a row. Then the lock is handed to the one
/// that has waited longest. A caller that holds the lock must not lock it again, because that is a deadlock.
///
/// In a `static` it needs no initialization. In a build for a checker [`new`](Self::new) is not `const`, because a
/// static would outlive the checked execution.
///
/// ```
/// use selvedge::sync::Mutex;
/// use std::sync::Arc;
///
/// let total = Arc::new(Mutex::new(0));
/// selvedge::Runtime::new()?.run(|| {
///     let adders: Vec<_> = (1..=10)
///         .map(|n| {
///             let total = Arc::clone(&total);
///             selvedge::go(move || *total.lock().unwrap() += n)
///         })
///         .collect();
///     adders.into_iter().for_each(|adder| adder.join().unwrap());
/// });
/// assert_eq!(*total.lock().unwrap(), 55);
/// # Ok::<(), selvedge::BuildError>(())
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    poison: Flag,
    value: UnsafeCell<T>,
}

// SAFETY: a mutex moves between threads together with its value, and `T: Send`.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: the holder of the lock has the value alone [M1], so the value passes from one thread to the next.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// The right to use the value of a locked [`Mutex`]. Dropping it unlocks the mutex.
///
/// A guard may be kept across a suspension. If `T` is `Send`, the guard can be sent to another thread and dropped
/// there, because the lock belongs to the guard and not to the thread that made it. In this it differs from the guard
/// of `std`.
#[must_use = "if unused, the mutex is unlocked at once"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) mutex: &'a Mutex<T>,
    watch: Watch,
    /// Makes the guard Send and Sync under the same conditions as a `&mut T`.
    value: PhantomData<&'a mut T>,
}

impl<T> Mutex<T> {
    const_fn! {
        /// Makes an unlocked mutex.
        pub fn new(value: T) -> Self {
            Mutex { raw: RawMutex::new(), poison: Flag::new(), value: UnsafeCell::new(value) }
        }
    }

    /// Returns the value.
    ///
    /// # Errors
    /// Returns an error that holds the value if a holder panicked.
    pub fn into_inner(self) -> LockResult<T> {
        let value = self.value.into_inner();
        self.poison.result_of(value)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex. Parks a goroutine or blocks a plain thread until it can lock.
    ///
    /// The caller must not hold the lock already. That would be a deadlock, which nothing reports, because the lock
    /// belongs to the guard and not to the caller. [`try_lock`](Self::try_lock) fails in this case, and
    /// [`lock_timeout`](Self::lock_timeout) times out. [`model`](crate::model) reports the deadlock with both places.
    ///
    /// # Errors
    /// Returns an error that holds the guard if a holder panicked.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        // Without a limit this returns only when the lock is held.
        let _ = self.raw.lock(WaitLimit::NONE, Location::caller());
        self.guard()
    }

    /// Locks the mutex if no wait is needed. It may pass waiters. Never suspends.
    ///
    /// # Errors
    /// Returns [`TryLockError::WouldBlock`] if the mutex is locked, and an error that holds the guard if a holder
    /// panicked.
    ///
    /// ```
    /// use selvedge::sync::Mutex;
    ///
    /// let mutex = Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_err());
    /// drop(guard);
    /// assert_eq!(*mutex.try_lock().unwrap(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        trace::brief("try to lock", "mutex", &self.raw, Location::caller());
        if !self.raw.try_lock() {
            return Err(TryLockError::WouldBlock);
        }
        trace::has("mutex", &self.raw, Location::caller());
        Ok(self.guard()?)
    }

    /// Locks like [`lock`](Self::lock), but waits for at most `limit`. A `limit` of zero means
    /// [`try_lock`](Self::try_lock).
    ///
    /// # Errors
    /// Returns [`LockError::TimedOut`] if the time runs out, and an error that holds the guard if a holder panicked.
    ///
    /// ```
    /// use selvedge::sync::{LockError, Mutex};
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(0);
    /// let _guard = mutex.lock().unwrap();
    /// let second = mutex.lock_timeout(Duration::from_millis(1));
    /// assert!(matches!(second, Err(LockError::TimedOut)));
    /// ```
    #[track_caller]
    pub fn lock_timeout(
        &self,
        limit: Duration,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_limited(WaitLimit::after(limit), Location::caller())
    }

    /// Locks like [`lock`](Self::lock), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the same errors as [`lock_timeout`](Self::lock_timeout).
    #[track_caller]
    pub fn lock_deadline(
        &self,
        deadline: impl Into<Instant>,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_limited(deadline_of(deadline), Location::caller())
    }

    /// Locks like [`lock`](Self::lock), but waits only until `token` is cancelled. If the token is cancelled already,
    /// the call fails even if the lock is free.
    ///
    /// # Errors
    /// Returns [`LockError::Cancelled`] if the token is cancelled, and an error that holds the guard if a holder
    /// panicked.
    #[track_caller]
    pub fn lock_cancel(
        &self,
        token: &CancelToken,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_limited(unless_cancelled(token)?, Location::caller())
    }

    fn lock_limited(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.raw.lock(limit, place)?;
        Ok(self.guard()?)
    }

    /// Returns whether a holder has panicked.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Clears the poison. Call this after the value was repaired.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// Returns the value without locking, because nobody else can have a reference to the mutex.
    ///
    /// # Errors
    /// Returns an error that holds the reference if a holder panicked.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        // SAFETY: `self` is borrowed exclusively.
        let value = self.value.with_mut(|value| unsafe { &mut *value });
        self.poison.result_of(value)
    }

    /// Makes the guard. The caller must have just locked.
    #[inline]
    fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        self.poison.result_of(MutexGuard {
            mutex: self,
            watch: self.poison.watch(),
            value: PhantomData,
        })
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Unlocks, calls `wait`, which must not unwind, and locks again. The guard stays that of the same holder, so its
    /// poison watch continues.
    pub(super) fn release_while<R>(
        this: Self,
        place: &'static Location<'static>,
        wait: impl FnOnce() -> R,
    ) -> (LockResult<Self>, R) {
        let this = ManuallyDrop::new(this);
        this.mutex.raw.unlock_to_wait();
        let result = wait();
        // Without a limit this returns only when the lock is held.
        let _ = this.mutex.raw.lock(WaitLimit::NONE, place);
        (this.mutex.poison.result_of(ManuallyDrop::into_inner(this)), result)
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock. [M1]
        self.mutex.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed exclusively. [M1]
        self.mutex.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.poison.released(&self.watch);
        self.mutex.raw.unlock();
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

/// Shows the value if nobody holds the lock.
impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => shown.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &format_args!("<locked>")),
        };
        shown.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
