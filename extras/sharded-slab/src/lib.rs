//! The store that `tracing_subscriber::registry()` keeps its spans in, without a limit on live threads.
//!
//! The crate of this name numbers threads and panics when more than 4,096 that are alive have made a span.
//! To selvedge's isolated goroutines, which are threads to such code, that is few. This one takes its
//! place by one line of a program's `Cargo.toml`, in the section `[patch.crates-io]`:
//!
//! ```toml
//! sharded-slab = { path = "extras/sharded-slab" } # or `git = ...`, the repository of selvedge
//! ```
//!
//! followed by `cargo update -p sharded-slab` where there is a lock file already. It has what `tracing-subscriber` 0.3 uses, and nothing else.
//!
//! A slot has a word: its generation, whether it holds a value, whether that is to be cleared, and how many
//! read it.
//! create: take a free slot; fill it; publish it.   get: count oneself in, if it is of this generation.
//! clear: mark it. The last one to read it, or who has marked it, clears the value, in place, and frees the
//! slot.

mod slots;

use slots::{Slot, Slots};
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// By module, as users name it.
pub mod pool {
    pub use crate::Ref;
}

/// Values that are emptied in place, so that what they have allocated is used again.
pub trait Clear {
    /// Empties it. It may call the pool.
    fn clear(&mut self);
}

/// So many lists of free slots, that threads rarely meet at one.
const LISTS: usize = 16;

/// Values in slots that are used again.
pub struct Pool<T> {
    slots: Slots<T>,
    free: [Mutex<Vec<u32>>; LISTS],
    /// Slots from here on were never used.
    fresh: AtomicUsize,
}

impl<T: Clear + Default> Pool<T> {
    /// An empty one.
    pub fn new() -> Self {
        let free = std::array::from_fn(|_| Mutex::default());
        Pool { slots: Slots::new(), free, fresh: AtomicUsize::new(0) }
    }

    /// Lets `fill` have a cleared value, and publishes it; returns its key. `None` if there are too many.
    pub fn create_with(&self, fill: impl FnOnce(&mut T)) -> Option<usize> {
        let index = self.take()?;
        let slot = self.slots.get_or_make(index as usize);
        // SAFETY: in no list and not published, so this thread's alone.
        fill(unsafe { slot.value_mut() });
        let generation = slot.publish();
        Some((generation as usize) << 32 | index as usize)
    }

    /// The value of this key, if it was not cleared.
    pub fn get(&self, key: usize) -> Option<Ref<'_, T>> {
        let slot = self.slots.get(key & u32::MAX as usize)?;
        slot.enter((key >> 32) as u32).then(|| Ref { pool: self, slot, key })
    }

    /// Clears the value once nobody reads it; false if somebody else has, or will.
    pub fn clear(&self, key: usize) -> bool {
        let Some(slot) = self.slots.get(key & u32::MAX as usize) else { return false };
        let Some(is_read) = slot.mark((key >> 32) as u32) else { return false };
        if !is_read {
            self.free(slot, key);
        }
        true
    }

    /// The slot was marked, and nobody reads it.
    fn free(&self, slot: &Slot<T>, key: usize) {
        // SAFETY: marked, so that nobody enters; and nobody reads it. Exactly one thread finds it so.
        unsafe { slot.value_mut() }.clear();
        slot.retire();
        self.list().lock().unwrap_or_else(PoisonError::into_inner).push(key as u32);
    }

    fn take(&self) -> Option<u32> {
        let own = own_list();
        // One's own list first; the others, so that slots freed elsewhere are used again.
        for at in 0..LISTS {
            let list = &self.free[(own + at) % LISTS];
            if let Some(index) = list.lock().unwrap_or_else(PoisonError::into_inner).pop() {
                return Some(index);
            }
        }
        // Relaxed: only uniqueness counts.
        let fresh = self.fresh.fetch_add(1, Ordering::Relaxed);
        u32::try_from(fresh).ok().filter(|&index| index < u32::MAX)
    }
}

impl<T> Pool<T> {
    fn list(&self) -> &Mutex<Vec<u32>> {
        &self.free[own_list()]
    }
}

impl<T: Clear + Default> Default for Pool<T> {
    fn default() -> Self {
        Pool::new()
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// Which list is the calling thread's. Threads are numbered without end, and nothing is kept for one.
fn own_list() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static OWN: Cell<usize> = const { Cell::new(usize::MAX) });
    let number = OWN.try_with(|own| {
        if own.get() == usize::MAX {
            // Relaxed: only to spread threads.
            own.set(THREADS.fetch_add(1, Ordering::Relaxed) % LISTS);
        }
        own.get()
    });
    number.unwrap_or(0)
}

/// A value that is being read: it is not cleared meanwhile.
pub struct Ref<'a, T: Clear + Default> {
    pool: &'a Pool<T>,
    slot: &'a Slot<T>,
    key: usize,
}

impl<T: Clear + Default> Ref<'_, T> {
    /// Its key.
    pub fn key(&self) -> usize {
        self.key
    }
}

impl<T: Clear + Default> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: counted in, so that nobody writes.
        unsafe { self.slot.value() }
    }
}

impl<T: Clear + Default> Drop for Ref<'_, T> {
    fn drop(&mut self) {
        if self.slot.leave() {
            self.pool.free(self.slot, self.key);
        }
    }
}

impl<T: Clear + Default + fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests;
