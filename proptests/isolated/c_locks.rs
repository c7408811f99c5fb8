//! The C library's locks that know their holder by its thread's number.

use crate::harness::{Placement, check, same};
use crate::stage::{Stage, Steps};
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::sync::Arc;

const GOROUTINES: usize = 100;

unsafe extern "C" {
    fn pthread_rwlock_timedwrlock(
        lock: *mut libc::pthread_rwlock_t,
        until: *const libc::timespec,
    ) -> c_int;
}

/// A mutex that stays where it is.
struct Lock(UnsafeCell<libc::pthread_mutex_t>);

// SAFETY: all that is done with it is done by the C library's calls.
unsafe impl Send for Lock {}
// SAFETY: as above.
unsafe impl Sync for Lock {}

impl Lock {
    fn new(kind: c_int, robust: bool) -> Arc<Lock> {
        let lock = Arc::new(Lock(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER)));
        // SAFETY: an attribute object of this frame; nobody uses the mutex yet.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attributes);
            libc::pthread_mutexattr_settype(&mut attributes, kind);
            if robust {
                let robust = libc::PTHREAD_MUTEX_ROBUST;
                libc::pthread_mutexattr_setrobust(&mut attributes, robust);
            }
            same!(libc::pthread_mutex_init(lock.0.get(), &attributes), 0, "a mutex");
            libc::pthread_mutexattr_destroy(&mut attributes);
        }
        lock
    }

    fn lock(&self) -> c_int {
        // SAFETY: initialized, and stays.
        unsafe { libc::pthread_mutex_lock(self.0.get()) }
    }

    fn try_lock(&self) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_trylock(self.0.get()) }
    }

    fn unlock(&self) -> c_int {
        // SAFETY: as above; where the caller is not the holder, the C library says so.
        unsafe { libc::pthread_mutex_unlock(self.0.get()) }
    }

    fn take(&self, steps: &mut Steps) {
        loop {
            match self.try_lock() {
                0 => return,
                errno => same!(errno, libc::EBUSY, "try_lock"),
            }
            steps.suspend();
        }
    }
}

fn each(placement: Placement, kind: c_int, robust: bool, inside: fn(&Lock, &mut Steps)) {
    let lock = Lock::new(kind, robust);
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, move |_, steps| {
        for _ in 0..4 {
            lock.take(steps);
            steps.move_on();
            inside(&lock, steps);
            same!(lock.unlock(), 0, "the holder unlocks");
            steps.suspend();
        }
    });
    stage.end();
}

pub fn normal(placement: Placement) {
    each(placement, libc::PTHREAD_MUTEX_NORMAL, false, |lock, steps| {
        same!(lock.try_lock(), libc::EBUSY, "locked");
        steps.suspend();
    });
}

pub fn recursive(placement: Placement) {
    each(placement, libc::PTHREAD_MUTEX_RECURSIVE, false, |lock, steps| {
        // By `try_lock`, since a control would wait for itself.
        same!(lock.try_lock(), 0, "once more");
        steps.suspend();
        same!(lock.unlock(), 0, "once less");
        steps.suspend();
    });
}

fn knows_its_holder(lock: &Lock, steps: &mut Steps) {
    // A robust one says the latter.
    let again = lock.try_lock();
    check!([libc::EBUSY, libc::EDEADLK].contains(&again), "locked, but try_lock gives {again}");
    same!(lock.lock(), libc::EDEADLK, "locked by the caller");
    steps.suspend();
    same!(lock.unlock(), 0, "the holder unlocks");
    same!(lock.unlock(), libc::EPERM, "nobody, or another, holds it");
    lock.take(steps);
}

pub fn error_checking(placement: Placement) {
    each(placement, libc::PTHREAD_MUTEX_ERRORCHECK, false, knows_its_holder);
}

/// Robust ones are in a list of their holder's, which lies in its block.
pub fn robust(placement: Placement) {
    each(placement, libc::PTHREAD_MUTEX_ERRORCHECK, true, knows_its_holder);
}

/// Several robust ones, locked and unlocked in different orders: the list stays whole.
pub fn robust_list(placement: Placement) {
    let locks: Arc<[_]> = (0..16).map(|_| Lock::new(libc::PTHREAD_MUTEX_NORMAL, true)).collect();
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, move |_, steps| {
        for _ in 0..10 {
            let mut held = Vec::new();
            for at in 0..locks.len() {
                if steps.draw(2) == 0 && locks[at].try_lock() == 0 {
                    held.push(at);
                }
            }
            steps.suspend();
            while !held.is_empty() {
                let at = held.swap_remove(steps.draw(held.len() as u64) as usize);
                same!(locks[at].unlock(), 0, "the holder unlocks");
                steps.suspend();
            }
        }
    });
    stage.end();
}

pub fn read_write(placement: Placement) {
    struct Both(UnsafeCell<libc::pthread_rwlock_t>);
    // SAFETY: all that is done with it is done by the C library's calls.
    unsafe impl Send for Both {}
    // SAFETY: as above.
    unsafe impl Sync for Both {}
    let both = Arc::new(Both(UnsafeCell::new(libc::PTHREAD_RWLOCK_INITIALIZER)));
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, move |_, steps| {
        let both: &Both = &both;
        for _ in 0..4 {
            // SAFETY: initialized, and stays until the process ends.
            while unsafe { libc::pthread_rwlock_trywrlock(both.0.get()) } != 0 {
                steps.suspend();
            }
            steps.move_on();
            // SAFETY: as above. The holder is told so instead of waiting for itself.
            let again = unsafe { pthread_rwlock_timedwrlock(both.0.get(), &SOON) };
            same!(again, libc::EDEADLK, "locked by the caller");
            steps.suspend();
            // SAFETY: as above; locked above.
            check!(unsafe { libc::pthread_rwlock_unlock(both.0.get()) } == 0, "unlock");
        }
    });
    stage.end();
}

/// Long over.
const SOON: libc::timespec = libc::timespec { tv_sec: 1, tv_nsec: 0 };
