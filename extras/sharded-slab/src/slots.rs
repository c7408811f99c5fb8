//! Slots: they stay where they are, in segments of which each is as large as all before it.
//!
//! The word of a slot: generation (32 bits) | LIVE | MARKED | readers (30 bits).
//! free: neither LIVE nor MARKED.   live: LIVE.   to be cleared: LIVE and MARKED, until readers are 0.

use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const LIVE: u64 = 1 << 31;
const MARKED: u64 = 1 << 30;
const READERS: u64 = MARKED - 1;

/// Slots of the first segment.
const FIRST: usize = 64;
const SEGMENTS: usize = 27;

pub struct Slots<T> {
    segments: [OnceLock<Box<[Slot<T>]>>; SEGMENTS],
}

impl<T> Slots<T> {
    pub fn new() -> Self {
        Slots { segments: std::array::from_fn(|_| OnceLock::new()) }
    }

    pub fn get(&self, index: usize) -> Option<&Slot<T>> {
        let (segment, at, _) = place(index);
        self.segments.get(segment)?.get()?.get(at)
    }

    pub fn get_or_make(&self, index: usize) -> &Slot<T>
    where
        T: Default,
    {
        let (segment, at, length) = place(index);
        let make = || (0..length).map(|_| Slot::default()).collect();
        &self.segments[segment].get_or_init(make)[at]
    }
}

/// Which segment, where in it, and how long it is.
fn place(index: usize) -> (usize, usize, usize) {
    let group = index / FIRST;
    match group.checked_ilog2() {
        None => (0, index, FIRST),
        Some(log) => (log as usize + 1, index - (FIRST << log), FIRST << log),
    }
}

#[derive(Default)]
pub struct Slot<T> {
    word: AtomicU64,
    value: UnsafeCell<T>,
}

// SAFETY: the value is written by the one thread that has the slot (not live, or marked and not read), and
// read by those that are counted.
unsafe impl<T: Send + Sync> Sync for Slot<T> {}

impl<T> Slot<T> {
    /// # Safety
    /// The caller has entered, and not left.
    pub unsafe fn value(&self) -> &T {
        // SAFETY: the caller is counted, so nobody writes.
        unsafe { &*self.value.get() }
    }

    /// # Safety
    /// The slot is free and in no list, or was marked and nobody reads it; and the caller is the one who
    /// has found it so.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn value_mut(&self) -> &mut T {
        // SAFETY: the caller's alone.
        unsafe { &mut *self.value.get() }
    }

    /// It is filled: others may read it. Returns its generation.
    pub fn publish(&self) -> u32 {
        // Release: pairs with the Acquire in `enter`: what was filled in is seen. Nobody else writes the
        // word of a slot that is not live.
        let word = self.word.fetch_or(LIVE, Ordering::Release);
        (word >> 32) as u32
    }

    /// Counts a reader in, if the slot is live, unmarked, and of this generation.
    pub fn enter(&self, generation: u32) -> bool {
        let next = |word: u64| is_live(word, generation).then_some(word + 1);
        // Acquire: pairs with the Release in `publish`.
        self.word.fetch_update(Ordering::Acquire, Ordering::Relaxed, next).is_ok()
    }

    /// Counts a reader out; true if the caller must clear the value.
    pub fn leave(&self) -> bool {
        // Release: what was read is read before the value is cleared; pairs with the Acquire of who clears,
        // which is the last to leave, or who marks.
        let word = self.word.fetch_sub(1, Ordering::AcqRel);
        word & MARKED != 0 && word & READERS == 1
    }

    /// Nobody enters any more. `Some`: whether somebody still reads it. `None`: it was not live.
    pub fn mark(&self, generation: u32) -> Option<bool> {
        let next = |word: u64| is_live(word, generation).then_some(word | MARKED);
        // Acquire: pairs with the Release in `leave`.
        let word = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, next).ok()?;
        Some(word & READERS != 0)
    }

    /// The value was cleared: the slot is free, and of the next generation.
    pub fn retire(&self) {
        let generation = (self.word.load(Ordering::Relaxed) >> 32) as u32;
        // 31 bits, so that a key and one more fit a word.
        let next = u64::from(generation.wrapping_add(1) & (u32::MAX >> 1));
        // Release: for who finds the slot in a list, as well as the list's own lock.
        self.word.store(next << 32, Ordering::Release);
    }
}

fn is_live(word: u64, generation: u32) -> bool {
    (word >> 32) as u32 == generation && word & (LIVE | MARKED) == LIVE
}
