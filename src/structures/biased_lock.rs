//! Biased lock: a lock for critical sections of about ten instructions. A plain store unlocks it.
//!
//! lock:   flip `locked`. If that fails, try again for a while. Then, while holding the lock of `sleepers`:
//! count the thread in `waiting`, heavy fence, read `locked` once more, sleep.
//! unlock: clear `locked`, light fence, read `waiting`. If a thread waits, wake one.
//!
//! A mutex of one word pays a second read-modify-write, because the step that clears the word must also learn
//! whether a thread sleeps. Here these are two steps, and the thread that is about to sleep pays for the fence
//! between them: a microsecond, which is little beside a sleep. Waiters do not queue, so any thread may take the lock
//! first.
//!
//! A biased lock that one worker alone has locked often enough becomes that worker's own (`bias`). The worker
//! then pays no read-modify-write at all. The first other thread revokes the bias for good: it flips `locked`,
//! and waits until the owner has left the critical section before it continues.
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

/// How many times `lock` tries before it sleeps. These attempts take some microseconds.
const LOOKS: u32 = 16;
/// The longest sleep in `doze`, whose documentation says why it is limited.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The lock; see the module's documentation. The order of the fields separates what many threads only read from what
/// each of them writes, so that they are in different cache lines.
#[repr(C)]
pub struct BiasedLock<T> {
    bias: Bias,
    sleepers: Mutex<()>,
    wake: Condvar,
    value: UnsafeCell<T>,
    locked: AtomicBool,
    /// How many threads sleep, or are about to sleep. Written only under the lock of `sleepers`.
    waiting: AtomicU32,
}

// SAFETY: only the holder of the lock accesses the value, and one holder's accesses happen before the next holder's.
// [K12]
unsafe impl<T: Send> Sync for BiasedLock<T> {}
// SAFETY: a lock that is sent takes its value along, and `T` is Send.
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
        // SAFETY: the caller keeps the contract of `lock`. The address is that of the worker on the calling thread,
        // and no other thread has this worker at the same time.
        unsafe { self.lock_as(tls::worker().addr()) }
    }

    /// Works like [`lock`](Self::lock), by the worker with this address, or by a thread that is no worker if the
    /// address is null.
    ///
    /// # Safety
    /// - The caller must keep the safety contract of [`lock`](Self::lock).
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
            // A thread that has revoked the bias may wait for `held` to be cleared.
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

    /// Takes the rest of the steps of a thread that has set `locked` and does not hold the lock yet. The function is
    /// not inlined, so that owners do not pay for it.
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
        // Models do without this load, because loom cannot see a race with an exchange if a load comes just before
        // it.
        if !MODELLED && self.locks_soon() {
            return;
        }
        self.sleep_until(|| self.try_lock());
    }

    /// Waits for the former owner, which has lost the bias but may be in its critical section.
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

    /// Waits until `done` returns true. `done` may have effects. The thread whose action makes it true then calls
    /// `release`.
    fn sleep_until(&self, done: impl Fn() -> bool) {
        // The fence is prepared before the first sleep. The first runtime would be too late, because locks can be
        // used without a runtime.
        fence::prepare();
        let mut sleepers = self.sleepers.lock();
        self.count(1);
        loop {
            // Pairs with the light fence in `release`: either this thread sees that `done` is true, or the releasing
            // thread sees this waiter. [K13]
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

    /// Sleeps until it is woken. If the light fence has become a full fence meanwhile, an owner may leave its
    /// critical section without a fence, because it entered before the change. Such an owner does not see this
    /// waiter, so the waiter looks again after a while.
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
        // Relaxed: the count is written under the lock of `sleepers`, and the fences make it visible to `unlock` in
        // time.
        let waiting = self.waiting.load(Ordering::Relaxed).wrapping_add(more);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    #[inline]
    fn unlock(&self) {
        if self.bias.is_on() {
            // The owner calls this. It found the fence asymmetric when it entered; `doze` handles a later change.
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
        // Relaxed: the light fence above makes our store visible before this load.
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
            // All threads are woken, because not all of them wait for the same word.
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
        // SAFETY: the guard holds the lock, so no other thread accesses the value while the guard is borrowed. [K12]
        self.0.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for BiasedLockGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard holds the lock, and is borrowed exclusively, so this is the only reference to the value.
        // [K12]
        self.0.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for BiasedLockGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.unlock();
    }
}
