//! Latch: a lock for critical sections of some ten instructions, unlocked by a plain store.
//!
//! lock:   flip `locked`; else try again for a while; else, under the lock of `sleepers`: count in
//!     `waiting`, heavy fence, look at `locked` once more, sleep.
//! unlock: clear `locked`, light fence, read `waiting`; if somebody waits, wake one.
//!
//! A mutex that is one word pays a second read-modify-write, to learn by the same step that clears it
//! whether somebody sleeps. Here that is a question of its own, and the fence between is paid by who
//! is about to sleep: a microsecond beside a sleep. No order among those who wait: whoever comes may
//! be first.
//!
//! A latch that one worker has locked so often, and nobody else, becomes its own (`bias`): it then pays
//! no read-modify-write at all. Whoever else comes takes that away, once and for good: it flips `locked`,
//! and before it goes on, waits until the owner is out.
//! In models of what stands upon it, a latch is the checker's own mutex.
//!
//! [K12] One holder at a time, and it sees what the last one did.
//! [K13] Who sleeps is woken by an unlock that comes after.
//! Checked by: verification/loom/latch.rs, proptests/latch.rs.
#![allow(unsafe_code)]

use super::bias::{Bias, Found};
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::{Condvar, MODELLED, Mutex, MutexGuard, fence, spin_hint, tls};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// How often `lock` looks before it sleeps: some microseconds.
const LOOKS: u32 = 16;
/// See `doze`.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// See the module. In this order, what only is read while many use it is in another cache line than what
/// each of them writes.
#[repr(C)]
pub struct BiasedLock<T> {
    bias: Bias,
    sleepers: Mutex<()>,
    wake: Condvar,
    value: UnsafeCell<T>,
    locked: AtomicBool,
    /// How many sleep, or are about to. Written under the lock of `sleepers`.
    waiting: AtomicU32,
}

// SAFETY: the value is touched by the holder alone, and passes from holder to holder. [K12]
unsafe impl<T: Send> Sync for BiasedLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for BiasedLock<T> {}

impl<T> BiasedLock<T> {
    /// An unlocked latch.
    pub fn new(value: T) -> Self {
        BiasedLock {
            bias: Bias::new(),
            locked: AtomicBool::new(false),
            waiting: AtomicU32::new(0),
            sleepers: Mutex::new(()),
            wake: Condvar::new(),
            value: UnsafeCell::new(value),
        }
    }

    /// Blocks the kernel thread until it holds the latch.
    ///
    /// # Safety
    /// - Nothing else that runs on the calling kernel thread holds the latch: an owner does not look whether
    ///   it holds its latch already.
    /// - The guard is dropped on the calling kernel thread, and before the calling goroutine suspends.
    #[inline]
    pub unsafe fn lock(&self) -> BiasedLockGuard<'_, T> {
        // SAFETY: the caller's duties; the word is that of the calling thread.
        unsafe { self.lock_as(tls::worker().addr()) }
    }

    /// As [`lock`](Self::lock), by the worker with this address, or by a thread that is no worker, if null.
    ///
    /// # Safety
    /// - As for [`lock`](Self::lock).
    /// - No other thread calls with this address, unless it is null, until this one calls no more; and what
    ///   this one did happens before what that one does.
    #[inline]
    pub unsafe fn lock_as(&self, worker: usize) -> BiasedLockGuard<'_, T> {
        if !(self.bias.belongs_to(worker) && self.lock_own(worker)) {
            self.acquire_slow();
            if !self.bias.is_spent() {
                self.ask_bias(worker);
            }
        }
        BiasedLockGuard(self)
    }

    #[inline]
    fn lock_own(&self, worker: usize) -> bool {
        let is_in = self.bias.enter(worker);
        if !is_in {
            // Who has taken it away may wait for that.
            // mutant: nobody is told: replace self.release(self.bias.held(), fence::light) with ()
            self.release(self.bias.held(), fence::light);
        }
        is_in
    }

    #[inline]
    fn acquire_slow(&self) {
        if !self.try_lock() {
            self.lock_slow();
        }
    }

    /// Whoever has flipped `locked`, before it holds the latch. Out of line, so that owners don't pay for it.
    #[inline(never)]
    fn ask_bias(&self, worker: usize) {
        match self.bias.found_by(worker) {
            Found::Nothing => {}
            // From here on it holds the latch as its owner.
            Found::Own => self.release(&self.locked, fence::light),
            Found::Revoked => self.await_owner(),
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        // Acquire: pairs with the Release in `unlock`. [K12] Relaxed on failure: nothing is read.
        let flipped =
            self.locked.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed);
        flipped.is_ok()
    }

    #[cold]
    fn lock_slow(&self) {
        // In models not at all: a load that comes just before an exchange hides from loom what races
        // with that.
        if !MODELLED && self.locks_soon() {
            return;
        }
        self.sleep_until(|| self.try_lock());
    }

    /// The owner has lost the latch, but may be in its critical section.
    #[cold]
    fn await_owner(&self) {
        let looks = if MODELLED { 1 } else { LOOKS };
        let is_out = || self.bias.owner_is_out();
        let is_out_soon = is_out()
            || (1..looks).any(|_| {
                spin_hint();
                is_out()
            });
        // mutant: it is not waited for: replace !is_out_soon with false
        if !is_out_soon {
            self.sleep_until(is_out);
        }
        self.bias.end();
    }

    /// Until `done` says so, which may do what it says. Whoever makes it true then calls `release`.
    fn sleep_until(&self, done: impl Fn() -> bool) {
        // Before the first sleep, and not before the first runtime: latches come without one.
        fence::prepare();
        let mut sleepers = self.sleepers.lock();
        self.count(1);
        loop {
            // Pairs with the light one in `release`: we see it done, or are seen. [K13]
            // mutant: drop heavy fence
            fence::heavy();
            if done() {
                break;
            }
            sleepers = self.doze(sleepers);
        }
        // mutant: drop end of the wait
        self.count(1_u32.wrapping_neg());
        drop(sleepers);
    }

    /// Sleeps until it is woken. Where the light fence has become a full one, an owner may have been in its
    /// critical section meanwhile, and leave it without a fence: then it does not see us, so we look again.
    fn doze<'a>(&self, sleepers: MutexGuard<'a, ()>) -> MutexGuard<'a, ()> {
        if fence::has_changed() {
            self.wake.wait_timeout(sleepers, LOOK_AGAIN).0
        } else {
            self.wake.wait(sleepers)
        }
    }

    fn locks_soon(&self) -> bool {
        (0..LOOKS).any(|look| {
            (0..1 << look.min(5)).for_each(|_| spin_hint());
            // Relaxed: a look that does not take the line away from its holder.
            !self.locked.load(Ordering::Relaxed) && self.try_lock()
        })
    }

    fn count(&self, more: u32) {
        // Relaxed: written under the lock of `sleepers`; what `unlock` must see, the fences order.
        let waiting = self.waiting.load(Ordering::Relaxed).wrapping_add(more);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    #[inline]
    fn unlock(&self) {
        if self.bias.is_on() {
            // By its owner, who has found the fence asymmetric when it entered. See `doze`.
            self.release(self.bias.held(), fence::light_if_asymmetric);
        } else {
            self.release(&self.locked, fence::light);
        }
    }

    #[inline]
    fn release(&self, word: &AtomicBool, light: impl FnOnce()) {
        // Release: pairs with the Acquire in `try_lock`, or in `owner_is_out`. [K12]
        word.store(false, Ordering::Release);
        // Pairs with the heavy one in `sleep_until`. [K13]
        // mutant: drop light fence
        light();
        // Relaxed: ordered by the fence.
        // mutant: nobody is woken: replace self.waiting.load(Ordering::Relaxed) with 0
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.wake_sleepers();
        }
    }

    #[cold]
    fn wake_sleepers(&self) {
        // After the lock was taken once, who has counted itself sleeps, or has seen the latch unlocked.
        // mutant: drop lock of the sleepers
        drop(self.sleepers.lock());
        if self.bias.is_on() {
            // Not all of them wait for the same word.
            // mutant: one is woken, perhaps another: replace self.wake.notify_all() with self.wake.notify_one()
            self.wake.notify_all();
        } else {
            self.wake.notify_one();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for BiasedLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a report.
        let (locked, waiting) =
            (self.locked.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed));
        f.debug_struct("Latch")
            .field("locked", &locked)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// Holds a [`BiasedLock`].
#[must_use = "dropped at once, it unlocks at once"]
pub struct BiasedLockGuard<'a, T>(&'a BiasedLock<T>);

// SAFETY: shared, it gives shared access alone.
unsafe impl<T: Sync> Sync for BiasedLockGuard<'_, T> {}

impl<T> Deref for BiasedLockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: held, so that nobody else touches it; as long as the guard is borrowed. [K12]
        self.0.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for BiasedLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed exclusively.
        self.0.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for BiasedLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.unlock();
    }
}
