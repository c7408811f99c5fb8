//! RwLock: a value that many can read at a time, or one can write. A reader takes one permit, and a writer takes all
//! permits.
//! Checked by: verification/loom/sync_permits.rs, proptests/sync/rwlock.rs.

use super::error::LockError;
use super::permits::{MOST, Permits};
use super::poison::{Flag, Watch};
use super::{deadline_of, unless_cancelled};
use crate::cancel::CancelToken;
use crate::platform::cell::UnsafeCell;
use crate::platform::const_fn;
use crate::platform::poison::{LockResult, TryLockError, TryLockResult};
use crate::wait::instant::Instant;
use crate::wait::{WaitLimit, trace};
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::Duration;

const READ: usize = 1;
const WRITE: usize = MOST;

/// A value that many can read at a time, or one can write. It works like [`std::sync::RwLock`], which also describes
/// poisoning, except that a waiting goroutine is parked.
///
/// Waiters are served first in, first out. A reader that comes while a writer waits, waits behind it, so neither
/// readers nor writers starve. Consecutive waiting readers are admitted together. A reader that reads a second time
/// may therefore deadlock. Without contention each lock and unlock costs one atomic operation, and nothing is
/// allocated.
///
/// ```
/// use selvedge::sync::RwLock;
///
/// static SETTINGS: RwLock<Vec<String>> = RwLock::new(Vec::new());
///
/// selvedge::Runtime::new()?.run(|| {
///     SETTINGS.write().unwrap().push("verbose".into());
///     let reader = selvedge::go(|| SETTINGS.read().unwrap().len());
///     assert_eq!(reader.join().unwrap(), 1);
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
pub struct RwLock<T: ?Sized> {
    permits: Permits,
    poison: Flag,
    value: UnsafeCell<T>,
}

// SAFETY: a lock moves between threads together with its value, and `T: Send`.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: a holder of all permits has the value alone. A holder of one permit only reads, as others do. [R1]
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// The right to read the value of a [`RwLock`]. It may be kept across a suspension, and sent to another thread.
#[must_use = "if unused, the lock is released at once"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

/// The right to write the value of a [`RwLock`]. It may be kept across a suspension, and sent to another thread.
#[must_use = "if unused, the lock is released at once"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    watch: Watch,
    /// Makes the guard Send and Sync under the same conditions as a `&mut T`.
    value: PhantomData<&'a mut T>,
}

type ReadResult<'a, T> = Result<RwLockReadGuard<'a, T>, LockError<RwLockReadGuard<'a, T>>>;
type WriteResult<'a, T> = Result<RwLockWriteGuard<'a, T>, LockError<RwLockWriteGuard<'a, T>>>;

impl<T> RwLock<T> {
    const_fn! {
        /// Makes an unlocked lock.
        pub fn new(value: T) -> Self {
            RwLock {
                permits: Permits::new(WRITE),
                poison: Flag::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Returns the value.
    ///
    /// # Errors
    /// Returns an error that holds the value if a writer panicked.
    pub fn into_inner(self) -> LockResult<T> {
        let value = self.value.into_inner();
        self.poison.result_of(value)
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading. Parks a goroutine or blocks a plain thread until no writer holds the lock or waits ahead of
    /// this call.
    ///
    /// # Errors
    /// Returns an error that holds the guard if a writer panicked.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        trace::op("read", "rwlock", self, Location::caller());
        // Without a limit this returns only when the permit is taken.
        let _ = self.permits.acquire(READ, WaitLimit::NONE, Location::caller());
        trace::has("rwlock", self, Location::caller());
        self.read_guard()
    }

    /// Locks for writing. Parks a goroutine or blocks a plain thread until all holders and all earlier waiters are
    /// done.
    ///
    /// # Errors
    /// Returns the same error as [`read`](Self::read).
    ///
    /// # Panics
    /// Panics under the same conditions as [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        trace::op("write", "rwlock", self, Location::caller());
        // Without a limit this returns only when the permits are taken.
        let _ = self.permits.acquire(WRITE, WaitLimit::NONE, Location::caller());
        trace::has("rwlock", self, Location::caller());
        self.write_guard()
    }

    /// Locks for reading if no writer holds the lock and nobody waits. Never suspends.
    ///
    /// # Errors
    /// Returns [`TryLockError::WouldBlock`] if it would wait, and an error that holds the guard if a writer panicked.
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        trace::brief("try to read", "rwlock", self, Location::caller());
        if !self.permits.try_acquire(READ) {
            return Err(TryLockError::WouldBlock);
        }
        trace::has("rwlock", self, Location::caller());
        Ok(self.read_guard()?)
    }

    /// Locks for writing if nobody holds the lock and nobody waits. Never suspends.
    ///
    /// # Errors
    /// Returns the same errors as [`try_read`](Self::try_read).
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        trace::brief("try to write", "rwlock", self, Location::caller());
        if !self.permits.try_acquire(WRITE) {
            return Err(TryLockError::WouldBlock);
        }
        trace::has("rwlock", self, Location::caller());
        Ok(self.write_guard()?)
    }

    /// Locks for reading like [`read`](Self::read), but waits for at most `limit`.
    ///
    /// # Errors
    /// Returns [`LockError::TimedOut`] if the time runs out, and an error that holds the guard if a writer panicked.
    #[track_caller]
    pub fn read_timeout(&self, limit: Duration) -> ReadResult<'_, T> {
        self.read_limited(WaitLimit::after(limit), Location::caller())
    }

    /// Locks for reading like [`read`](Self::read), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the same errors as [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn read_deadline(&self, deadline: impl Into<Instant>) -> ReadResult<'_, T> {
        self.read_limited(deadline_of(deadline), Location::caller())
    }

    /// Locks for reading like [`read`](Self::read), but waits only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns [`LockError::Cancelled`] if the token is cancelled, also if it was cancelled before, and an error that
    /// holds the guard if a writer panicked.
    #[track_caller]
    pub fn read_cancel(&self, token: &CancelToken) -> ReadResult<'_, T> {
        self.read_limited(unless_cancelled(token)?, Location::caller())
    }

    /// Locks for writing like [`write`](Self::write), but waits for at most `limit`.
    ///
    /// # Errors
    /// Returns the same errors as [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn write_timeout(&self, limit: Duration) -> WriteResult<'_, T> {
        self.write_limited(WaitLimit::after(limit), Location::caller())
    }

    /// Locks for writing like [`write`](Self::write), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns the same errors as [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn write_deadline(&self, deadline: impl Into<Instant>) -> WriteResult<'_, T> {
        self.write_limited(deadline_of(deadline), Location::caller())
    }

    /// Locks for writing like [`write`](Self::write), but waits only until `token` is cancelled.
    ///
    /// # Errors
    /// Returns the same errors as [`read_cancel`](Self::read_cancel).
    #[track_caller]
    pub fn write_cancel(&self, token: &CancelToken) -> WriteResult<'_, T> {
        self.write_limited(unless_cancelled(token)?, Location::caller())
    }

    fn read_limited(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> ReadResult<'_, T> {
        trace::op("read", "rwlock", self, place);
        self.permits.acquire(READ, limit, place)?;
        trace::has("rwlock", self, place);
        Ok(self.read_guard()?)
    }

    fn write_limited(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> WriteResult<'_, T> {
        trace::op("write", "rwlock", self, place);
        self.permits.acquire(WRITE, limit, place)?;
        trace::has("rwlock", self, place);
        Ok(self.write_guard()?)
    }

    /// Returns whether a writer has panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Clears the poison. Call this after the value was repaired.
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// Returns the value without locking, because nobody else can have a reference to the lock.
    ///
    /// # Errors
    /// Returns an error that holds the reference if a writer panicked.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        // SAFETY: `self` is borrowed exclusively.
        let value = self.value.with_mut(|value| unsafe { &mut *value });
        self.poison.result_of(value)
    }

    /// Makes the guard. The caller must have taken one permit.
    #[inline]
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.result_of(RwLockReadGuard { lock: self })
    }

    /// Makes the guard. The caller must have taken all permits.
    #[inline]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let watch = self.poison.watch();
        self.poison.result_of(RwLockWriteGuard { lock: self, watch, value: PhantomData })
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Turns the right to write into the right to read, with no writer in between. Consecutive readers that wait next
    /// are admitted too. Never suspends.
    ///
    /// ```
    /// use selvedge::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.write().unwrap();
    /// *writer += 1;
    /// let reader = RwLockWriteGuard::downgrade(writer);
    /// assert_eq!((*reader, *lock.read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        let lock = this.lock;
        mem::forget(this);
        trace::quick("downgrade", "rwlock", lock);
        lock.permits.release(WRITE - READ);
        RwLockReadGuard { lock }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has a permit, so nobody has all permits. [R1]
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard has all permits. [R1]
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has all permits, and is borrowed exclusively. [R1]
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        trace::unlock("rwlock", self.lock);
        self.lock.permits.release(READ);
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        trace::unlock("rwlock", self.lock);
        self.lock.poison.released(&self.watch);
        self.lock.permits.release(WRITE);
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

/// Shows the value if it can be read at once.
impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(guard) => shown.field("data", &&*guard),
            Err(TryLockError::Poisoned(error)) => shown.field("data", &&**error.get_ref()),
            Err(TryLockError::WouldBlock) => shown.field("data", &format_args!("<locked>")),
        };
        shown.field("poisoned", &self.is_poisoned()).finish_non_exhaustive()
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
