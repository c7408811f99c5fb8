//! Model lock: a mutex that replaces the biased lock in models of the code above it. The biased lock itself has
//! models of its own.
//! Checked by: verification/loom/latch.rs.
#![allow(unsafe_code)]

use crate::platform::{Mutex, MutexGuard};

/// A mutex in place of the biased lock.
#[derive(Debug)]
pub struct BiasedLock<T>(Mutex<T>);

impl<T> BiasedLock<T> {
    /// Returns an unlocked lock.
    pub fn new(value: T) -> Self {
        BiasedLock(Mutex::new(value))
    }

    /// Blocks the model thread until it holds the lock.
    ///
    /// # Safety
    /// The caller must keep the safety contract of the biased lock that ships, although this mutex does not rely on
    /// it.
    pub unsafe fn lock(&self) -> BiasedLockGuard<'_, T> {
        self.0.lock()
    }
}

/// The guard of a [`BiasedLock`].
pub type BiasedLockGuard<'a, T> = MutexGuard<'a, T>;
