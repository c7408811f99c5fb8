//! Model lock: what stands for the biased lock in models of what is above it. The biased lock itself has models of its
//! own.
//! Checked by: verification/loom/latch.rs.
#![allow(unsafe_code)]

use crate::platform::{Mutex, MutexGuard};

/// A mutex: the latch itself has its own models.
#[derive(Debug)]
pub struct BiasedLock<T>(Mutex<T>);

impl<T> BiasedLock<T> {
    /// An unlocked latch.
    pub fn new(value: T) -> Self {
        BiasedLock(Mutex::new(value))
    }

    /// Blocks the model thread until it holds the latch.
    ///
    /// # Safety
    /// As for the latch that ships; here the mutex needs none of it.
    pub unsafe fn lock(&self) -> BiasedLockGuard<'_, T> {
        self.0.lock()
    }
}

/// The guard of a [`BiasedLock`].
pub type BiasedLockGuard<'a, T> = MutexGuard<'a, T>;
