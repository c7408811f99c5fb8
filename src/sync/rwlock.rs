//! RwLock: a value that many may read at a time, or one may write: a reader takes one permit, a
//! writer all of them.
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

/// A value that many may read at a time, or one may write; as [`std::sync::RwLock`], which see for
/// poisoning, except that a goroutine that waits is parked.
///
/// First in, first out: a reader that comes while a writer waits, waits behind it, so neither kind is
/// starved; readers that wait one behind the other go together. So to read while reading already
/// may be a deadlock. Uncontended: one atomic operation each way, no allocation.
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

// SAFETY: the value goes along.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: who has all permits is alone with the value, who has one reads it as others do. [R1]
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> UnwindSafe for RwLock<T> {}
impl<T: ?Sized> RefUnwindSafe for RwLock<T> {}

/// The right to read the value of a [`RwLock`]. It may be kept across a suspension, and be sent.
#[must_use = "if unused, the lock is released at once"]
#[clippy::has_significant_drop]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

/// The right to write the value of a [`RwLock`]. It may be kept across a suspension, and be sent.
#[must_use = "if unused, the lock is released at once"]
#[clippy::has_significant_drop]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    watch: Watch,
    /// It is Send and Sync as a `&mut T` is.
    value: PhantomData<&'a mut T>,
}

type ReadResult<'a, T> = Result<RwLockReadGuard<'a, T>, LockError<RwLockReadGuard<'a, T>>>;
type WriteResult<'a, T> = Result<RwLockWriteGuard<'a, T>, LockError<RwLockWriteGuard<'a, T>>>;

impl<T> RwLock<T> {
    const_fn! {
        /// An unlocked lock.
        pub fn new(value: T) -> Self {
            RwLock {
                permits: Permits::new(WRITE),
                poison: Flag::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// The value.
    ///
    /// # Errors
    /// If a writer panicked; the error holds the value.
    pub fn into_inner(self) -> LockResult<T> {
        let value = self.value.into_inner();
        self.poison.raise_deferred_failure(value)
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading. Parks a goroutine, or blocks a plain thread, until no writer has it or has
    /// asked for it before.
    ///
    /// # Errors
    /// If a writer panicked; the error holds the guard.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        trace::op("read", "rwlock", self, Location::caller());
        // Without a limit it waits until it is had.
        let _ = self.permits.acquire(READ, WaitLimit::NONE, Location::caller());
        trace::has("rwlock", self, Location::caller());
        self.read_guard()
    }

    /// Locks for writing. Parks a goroutine, or blocks a plain thread, until all who have it or have
    /// asked for it before are done.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    ///
    /// # Panics
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        trace::op("write", "rwlock", self, Location::caller());
        // Without a limit it waits until it is had.
        let _ = self.permits.acquire(WRITE, WaitLimit::NONE, Location::caller());
        trace::has("rwlock", self, Location::caller());
        self.write_guard()
    }

    /// Locks for reading if no writer has it and nobody waits. Never suspends.
    ///
    /// # Errors
    /// [`TryLockError::WouldBlock`], or if a writer panicked.
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        trace::brief("try to read", "rwlock", self, Location::caller());
        if !self.permits.try_acquire(READ) {
            return Err(TryLockError::WouldBlock);
        }
        trace::has("rwlock", self, Location::caller());
        Ok(self.read_guard()?)
    }

    /// Locks for writing if nobody has it and nobody waits. Never suspends.
    ///
    /// # Errors
    /// As [`try_read`](Self::try_read).
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        trace::brief("try to write", "rwlock", self, Location::caller());
        if !self.permits.try_acquire(WRITE) {
            return Err(TryLockError::WouldBlock);
        }
        trace::has("rwlock", self, Location::caller());
        Ok(self.write_guard()?)
    }

    /// As [`read`](Self::read), for at most `limit`.
    ///
    /// # Errors
    /// [`LockError::TimedOut`], or if a writer panicked.
    #[track_caller]
    pub fn read_timeout(&self, limit: Duration) -> ReadResult<'_, T> {
        self.read_limited(WaitLimit::after(limit), Location::caller())
    }

    /// As [`read`](Self::read), until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn read_deadline(&self, deadline: impl Into<Instant>) -> ReadResult<'_, T> {
        self.read_limited(deadline_of(deadline), Location::caller())
    }

    /// As [`read`](Self::read), until `token` is cancelled.
    ///
    /// # Errors
    /// [`LockError::Cancelled`], also if it is cancelled already; or if a writer panicked.
    #[track_caller]
    pub fn read_cancel(&self, token: &CancelToken) -> ReadResult<'_, T> {
        self.read_limited(unless_cancelled(token)?, Location::caller())
    }

    /// As [`write`](Self::write), for at most `limit`.
    ///
    /// # Errors
    /// As [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn write_timeout(&self, limit: Duration) -> WriteResult<'_, T> {
        self.write_limited(WaitLimit::after(limit), Location::caller())
    }

    /// As [`write`](Self::write), until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`read_timeout`](Self::read_timeout).
    #[track_caller]
    pub fn write_deadline(&self, deadline: impl Into<Instant>) -> WriteResult<'_, T> {
        self.write_limited(deadline_of(deadline), Location::caller())
    }

    /// As [`write`](Self::write), until `token` is cancelled.
    ///
    /// # Errors
    /// As [`read_cancel`](Self::read_cancel).
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

    /// Whether a writer has panicked.
    pub fn is_poisoned(&self) -> bool {
        self.poison.is_set()
    }

    /// Forgets that a writer has panicked: to be called once the value has been put right.
    pub fn clear_poison(&self) {
        self.poison.clear();
    }

    /// The value, without locking: nobody else can have it.
    ///
    /// # Errors
    /// If a writer panicked; the error holds the reference.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        // SAFETY: borrowed exclusively.
        let value = self.value.with_mut(|value| unsafe { &mut *value });
        self.poison.raise_deferred_failure(value)
    }

    /// For who has one permit.
    #[inline]
    fn read_guard(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        self.poison.raise_deferred_failure(RwLockReadGuard { lock: self })
    }

    /// For who has them all.
    #[inline]
    fn write_guard(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let watch = self.poison.watch();
        self.poison.raise_deferred_failure(RwLockWriteGuard {
            lock: self,
            watch,
            value: PhantomData,
        })
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// From writing to reading, with nobody writing in between; readers that wait next come along.
    /// Never suspends.
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
        // SAFETY: it has a permit, so nobody has them all. [R1]
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: it has all permits. [R1]
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: it has all permits, and is borrowed exclusively. [R1]
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
