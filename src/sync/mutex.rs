//! Mutex: a value that one at a time may use.
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

/// A value that one goroutine or thread at a time may use; as [`std::sync::Mutex`], which see for
/// poisoning, except that a goroutine that waits is parked and its kernel thread goes on.
///
/// Uncontended: one atomic operation to lock and one to unlock, no allocation. Fairness: a lock that
/// is free goes to whoever asks first, past those who wait, but at most 64 times in a row; then it is
/// handed to who has waited longest. Locking it again while holding it is a deadlock.
///
/// In a `static` it needs no initialization; except in a checker's build, where [`new`](Self::new) is
/// not `const`, since a static would outlive the execution.
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

// SAFETY: the value goes along.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: who holds the lock is alone with the value [M1]: it passes from one to the next.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T: ?Sized> UnwindSafe for Mutex<T> {}
impl<T: ?Sized> RefUnwindSafe for Mutex<T> {}

/// The right to use the value of a locked [`Mutex`]; dropping it unlocks.
///
/// It may be kept across a suspension, and where `T` is `Send` it may be sent: the lock belongs to
/// the guard, not to who made it, so it may be released on any thread. In that it differs from
/// `std`'s.
#[must_use = "if unused, the mutex is unlocked at once"]
#[clippy::has_significant_drop]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) mutex: &'a Mutex<T>,
    watch: Watch,
    /// It is Send and Sync as a `&mut T` is.
    value: PhantomData<&'a mut T>,
}

impl<T> Mutex<T> {
    const_fn! {
        /// An unlocked mutex.
        pub fn new(value: T) -> Self {
            Mutex { raw: RawMutex::new(), poison: Flag::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value.
    ///
    /// # Errors
    /// If a holder panicked; the error holds the value.
    pub fn into_inner(self) -> LockResult<T> {
        let value = self.value.into_inner();
        self.poison.raise_deferred_failure(value)
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks. Parks a goroutine, or blocks a plain thread, until it can.
    ///
    /// Who holds the lock already must not call this: it is a deadlock, which nothing reports, as the lock
    /// belongs to the guard and not to whoever made it. [`try_lock`](Self::try_lock) fails instead, and
    /// [`lock_timeout`](Self::lock_timeout) ends. Under [`model`](crate::model) it is told, with both places.
    ///
    /// # Errors
    /// If a holder panicked; the error holds the guard.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        // Without a limit it waits until it is had.
        let _ = self.raw.lock(WaitLimit::NONE, Location::caller());
        self.guard()
    }

    /// Locks if that needs no waiting, past those who wait. Never suspends.
    ///
    /// # Errors
    /// If somebody holds it, or if a holder panicked; that error holds the guard.
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

    /// As [`lock`](Self::lock), for at most `limit`; zero is [`try_lock`](Self::try_lock).
    ///
    /// # Errors
    /// [`LockError::TimedOut`], or if a holder panicked.
    #[track_caller]
    pub fn lock_timeout(
        &self,
        limit: Duration,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_limited(WaitLimit::after(limit), Location::caller())
    }

    /// As [`lock`](Self::lock), until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`lock_timeout`](Self::lock_timeout).
    #[track_caller]
    pub fn lock_deadline(
        &self,
        deadline: impl Into<Instant>,
    ) -> Result<MutexGuard<'_, T>, LockError<MutexGuard<'_, T>>> {
        self.lock_limited(deadline_of(deadline), Location::caller())
    }

    /// As [`lock`](Self::lock), until `token` is cancelled. With a token that is cancelled already it
    /// fails, also if the lock is free.
    ///
    /// # Errors
    /// [`LockError::Cancelled`], or if a holder panicked.
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

    /// Whether a holder has panicked.
    #[inline]
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Forgets that a holder has panicked: to be called once the value has been put right.
    #[inline]
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value, without locking: nobody else can have it.
    ///
    /// # Errors
    /// If a holder panicked; the error holds the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        // SAFETY: borrowed exclusively.
        let value = self.value.with_mut(|value| unsafe { &mut *value });
        self.poison.raise_deferred_failure(value)
    }

    /// For who has just locked.
    #[inline]
    fn guard(&self) -> LockResult<MutexGuard<'_, T>> {
        self.poison.raise_deferred_failure(MutexGuard {
            mutex: self,
            watch: self.poison.watch(),
            value: PhantomData,
        })
    }
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// Unlocks, calls `wait`, which must not unwind, and locks again. It is the same holder: what it
    /// watches for goes on.
    pub(super) fn release_while<R>(
        this: Self,
        place: &'static Location<'static>,
        wait: impl FnOnce() -> R,
    ) -> (LockResult<Self>, R) {
        let this = ManuallyDrop::new(this);
        this.mutex.raw.unlock_to_wait();
        let result = wait();
        // Without a limit it waits until it is had.
        let _ = this.mutex.raw.lock(WaitLimit::NONE, place);
        (this.mutex.poison.raise_deferred_failure(ManuallyDrop::into_inner(this)), result)
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
