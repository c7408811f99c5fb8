//! An array of at most 64 elements that lies in its owner's frame.
#![allow(unsafe_code)]

use super::MOST_ARMS;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

pub(super) struct ArrayVec<T> {
    things: [MaybeUninit<T>; MOST_ARMS],
    len: usize,
}

impl<T> ArrayVec<T> {
    #[inline]
    pub(super) fn new() -> Self {
        ArrayVec { things: [const { MaybeUninit::uninit() }; MOST_ARMS], len: 0 }
    }

    /// # Panics
    /// Panics if there are 64 elements already.
    #[inline]
    pub(super) fn push(&mut self, thing: T) {
        self.things[self.len].write(thing);
        self.len += 1;
    }

    pub(super) fn clear(&mut self) {
        let len = std::mem::take(&mut self.len);
        // SAFETY: the first `len` elements were written, and they are not used again.
        unsafe { self.things[..len].assume_init_drop() }
    }
}

impl<T> Deref for ArrayVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` elements were written.
        unsafe { self.things[..self.len].assume_init_ref() }
    }
}

impl<T> DerefMut for ArrayVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: the first `len` elements were written.
        unsafe { self.things[..self.len].assume_init_mut() }
    }
}

impl<T> Drop for ArrayVec<T> {
    fn drop(&mut self) {
        self.clear();
    }
}
