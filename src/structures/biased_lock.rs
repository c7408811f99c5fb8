//! Biased lock: a lock for critical sections of about ten instructions. A plain store unlocks it.
//!
//! lock:   flip `locked`. If that fails, try again for a while. Then, while holding the lock of `sleepers`:
//! count the thread in `waiting`, heavy fence, read `locked` once more, sleep.
//! unlock: clear `locked`, light fence, read `waiting`. If a thread waits, wake one.
//!
//! A mutex of one word pays a second read-modify-write, because the step that clears the word must also learn
//! whether a thread sleeps. Here these are two steps, and the thread that is about to sleep pays for the fence
//! between them: a microsecond beside a sleep. The waiters have no order: any thread may take the lock first.
//!
//! A biased lock that one worker alone has locked often enough becomes that worker's own (`bias`). The worker
//! then pays no read-modify-write at all. The first other thread revokes the bias for good: it flips `locked`,
//! and waits until the owner is out before it goes on.
//! In models of the code above it, this lock is the checker's own mutex.
//!
//! [K12] The lock has one holder at a time, and the holder sees what the last holder did.
//! [K13] A thread that sleeps is woken by an unlock that comes after.
//! Checked by: verification/loom/latch.rs, proptests/latch.rs.
#![allow(unsafe_code)]

use super::bias::{Bias, Found};
use crate::platform::atomic::{AtomicBool, AtomicU32, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::{Condvar, MODELLED, Mutex, MutexGuard, fence, spin_hint, tls};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// How often `lock` looks before it sleeps: this takes some microseconds.
const LOOKS: u32 = 16;
/// See `doze`.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// See the module. The order of the fields puts what many threads only read into another cache line than what
/// each of them writes.
#[repr(C)]
pub struct BiasedLock<T> {
    bias: Bias,
    sleepers: Mutex<()>,
    wake: Condvar,
    value: UnsafeCell<T>,
    locked: AtomicBool,
    /// How many threads sleep, or are about to. It is written under the lock of `sleepers`.
    waiting: AtomicU32,
}

// SAFETY: only the holder touches the value, which passes from holder to holder. [K12]
unsafe impl<T: Send> Sync for BiasedLock<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for BiasedLock<T> {}

impl<T> BiasedLock<T> {
    /// Returns an unlocked lock.
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

    /// Blocks the kernel thread until it holds the lock.
    ///
    /// # Safety
    /// - The caller must ensure that nothing else that runs on the calling kernel thread holds the lock,
    ///   because an owner does not check whether it holds its lock already.
    /// - The caller must drop the guard on the calling kernel thread, and before the calling goroutine
    ///   suspends.
    #[inline]
    pub unsafe fn lock(&self) -> BiasedLockGuard<'_, T> {
        // SAFETY: the caller keeps the duties of this function, and the word is that of the calling thread.
        unsafe { self.lock_as(tls::worker().addr()) }
    }

    /// Works like [`lock`](Self::lock), by the worker with this address, or by a thread that is no worker if the
    /// address is null.
    ///
    /// # Safety
    /// - The caller must keep the duties of [`lock`](Self::lock).
    /// - Unless the address is null, no other thread may call with this address until this thread makes no more
    ///   such calls, and what this thread did must happen before what the other thread does.
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
            // The thread that has revoked the bias may wait for this.
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

    /// What a thread does that has flipped `locked`, before it holds the lock. Out of line, so that owners
    /// don't pay for it.
    #[inline(never)]
    fn ask_bias(&self, worker: usize) {
        match self.bias.found_by(worker) {
            Found::Nothing => {}
            // From here on the thread holds the lock as its owner.
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
        // This load is left out in models, because a load just before an exchange hides from loom what races
        // with the exchange.
        if !MODELLED && self.locks_soon() {
            return;
        }
        self.sleep_until(|| self.try_lock());
    }

    /// Called when the owner has lost the bias, but may be in its critical section.
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

    /// Waits until `done` returns true. `done` may have effects. The thread that makes it true then calls
    /// `release`.
    fn sleep_until(&self, done: impl Fn() -> bool) {
        // This comes before the first sleep, and not before the first runtime, because locks exist without a
        // runtime.
        fence::prepare();
        let mut sleepers = self.sleepers.lock();
        self.count(1);
        loop {
            // Pairs with the light fence in `release`: we see that it is done, or the other side sees us. [K13]
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

    /// Sleeps until it is woken. If the light fence has become a full one, an owner may have been in its
    /// critical section meanwhile, and may leave it without a fence. Then the owner does not see us, so we look
    /// again after a while.
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
            // Relaxed: this load does not take the cache line away from the holder.
            !self.locked.load(Ordering::Relaxed) && self.try_lock()
        })
    }

    fn count(&self, more: u32) {
        // Relaxed: it is written under the lock of `sleepers`, and the fences order what `unlock` must see.
        let waiting = self.waiting.load(Ordering::Relaxed).wrapping_add(more);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    #[inline]
    fn unlock(&self) {
        if self.bias.is_on() {
            // Called by the owner, which found the fence asymmetric when it entered. See `doze`.
            self.release(self.bias.held(), fence::light_if_asymmetric);
        } else {
            self.release(&self.locked, fence::light);
        }
    }

    #[inline]
    fn release(&self, word: &AtomicBool, light: impl FnOnce()) {
        // Release: pairs with the Acquire in `try_lock`, or in `owner_is_out`. [K12]
        word.store(false, Ordering::Release);
        // Pairs with the heavy fence in `sleep_until`. [K13]
        // mutant: drop light fence
        light();
        // Relaxed: the fence orders it.
        // mutant: nobody is woken: replace self.waiting.load(Ordering::Relaxed) with 0
        if self.waiting.load(Ordering::Relaxed) != 0 {
            self.wake_sleepers();
        }
    }

    #[cold]
    fn wake_sleepers(&self) {
        // After this lock was taken once, each thread that has counted itself sleeps, or has seen the lock
        // unlocked.
        // mutant: drop lock of the sleepers
        drop(self.sleepers.lock());
        if self.bias.is_on() {
            // All are woken, because not all of them wait for the same word.
            // mutant: one is woken, perhaps another: replace self.wake.notify_all() with self.wake.notify_one()
            self.wake.notify_all();
        } else {
            self.wake.notify_one();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for BiasedLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: the value is only a report.
        let (locked, waiting) =
            (self.locked.load(Ordering::Relaxed), self.waiting.load(Ordering::Relaxed));
        f.debug_struct("Latch")
            .field("locked", &locked)
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}

/// The guard of a [`BiasedLock`], which is unlocked when the guard is dropped.
#[must_use = "dropped at once, it unlocks at once"]
pub struct BiasedLockGuard<'a, T>(&'a BiasedLock<T>);

// SAFETY: a shared guard gives only shared access to the value.
unsafe impl<T: Sync> Sync for BiasedLockGuard<'_, T> {}

impl<T> Deref for BiasedLockGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, so that no other thread touches the value as long as the guard is borrowed.
        // [K12]
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
