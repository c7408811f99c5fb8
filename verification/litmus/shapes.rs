//! The classic shapes of two threads and two words, with what stands between as a parameter.

use crate::explore::spawn;
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::{AtomicUsize, Ordering, fence};
use selvedge::internals::platform::cell::UnsafeCell;

/// Two words that begin at 0.
pub fn words() -> [Arc<AtomicUsize>; 2] {
    [0, 0].map(|zero| Arc::new(AtomicUsize::new(zero)))
}

/// One side of store buffering.
#[derive(Clone, Copy)]
pub enum Side {
    /// Store and load with these orderings, nothing between.
    Plain(Ordering, Ordering),
    /// Relaxed accesses, this fence between.
    Fenced(Ordering),
    /// Relaxed store; then, for the load, an RMW that changes nothing.
    Rmw(Ordering),
    /// Relaxed accesses, an RMW on a third word between.
    RmwElsewhere(Ordering),
}

/// Store buffering: each of two threads stores to its own word, then looks at the other's. What both
/// saw; `(0, 0)`: neither saw the other.
pub fn store_buffering(sides: [Side; 2]) -> (usize, usize) {
    let [x, y] = words();
    let third = Arc::new(AtomicUsize::new(0));
    let other = {
        let (x, y, third) = (Arc::clone(&x), Arc::clone(&y), Arc::clone(&third));
        spawn(move || store_then_load(sides[1], &y, &x, &third))
    };
    let mine = store_then_load(sides[0], &x, &y, &third);
    (mine, other.join())
}

fn store_then_load(
    side: Side,
    own: &AtomicUsize,
    other: &AtomicUsize,
    third: &AtomicUsize,
) -> usize {
    match side {
        Side::Plain(store, load) => {
            own.store(1, store);
            other.load(load)
        }
        Side::Fenced(kind) => {
            own.store(1, Ordering::Relaxed);
            fence(kind);
            other.load(Ordering::Relaxed)
        }
        Side::Rmw(order) => {
            own.store(1, Ordering::Relaxed);
            other.fetch_add(0, order)
        }
        Side::RmwElsewhere(order) => {
            own.store(1, Ordering::Relaxed);
            third.fetch_add(1, order);
            other.load(Ordering::Relaxed)
        }
    }
}

/// Message passing by two words: what the reader saw, flag first; `(1, 0)`: the flag, not the data.
pub fn message_passing(publish: Ordering, observe: Ordering) -> (usize, usize) {
    let [data, flag] = words();
    let writer = {
        let (data, flag) = (Arc::clone(&data), Arc::clone(&flag));
        spawn(move || {
            data.store(1, Ordering::Relaxed);
            flag.store(1, publish);
        })
    };
    let seen = (flag.load(observe), data.load(Ordering::Relaxed));
    writer.join();
    seen
}

/// The same, by fences beside Relaxed accesses.
pub fn message_passing_by_fences(publish: Ordering, observe: Ordering) -> (usize, usize) {
    let [data, flag] = words();
    let writer = {
        let (data, flag) = (Arc::clone(&data), Arc::clone(&flag));
        spawn(move || {
            data.store(1, Ordering::Relaxed);
            fence(publish);
            flag.store(1, Ordering::Relaxed);
        })
    };
    let flag = flag.load(Ordering::Relaxed);
    fence(observe);
    let seen = (flag, data.load(Ordering::Relaxed));
    writer.join();
    seen
}

/// Plain data that one thread hands to another.
pub struct Slot(UnsafeCell<usize>);

// SAFETY: what the litmus tests are about: loom fails the execution in which two threads race.
unsafe impl Send for Slot {}
// SAFETY: as above.
unsafe impl Sync for Slot {}

impl Slot {
    pub fn new() -> Arc<Slot> {
        Arc::new(Slot(UnsafeCell::new(0)))
    }

    pub fn write(&self, value: usize) {
        // SAFETY: see the impl of `Sync`.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }

    pub fn read(&self) -> usize {
        // SAFETY: see the impl of `Sync`.
        self.0.with(|cell| unsafe { *cell })
    }
}

/// What loom says of a race for a [`Slot`].
pub const RACE: &str = "Causality violation";

/// The writer fills a slot, then does `publish` to the word; the reader looks at the word by `seen`,
/// and into the slot if it says so.
pub fn hand_over(
    publish: impl FnOnce(&AtomicUsize) + Send + 'static,
    seen: impl FnOnce(&AtomicUsize) -> bool,
) {
    let (slot, [word, _]) = (Slot::new(), words());
    let writer = {
        let (slot, word) = (Arc::clone(&slot), Arc::clone(&word));
        spawn(move || {
            slot.write(7);
            publish(&word);
        })
    };
    if seen(&word) {
        assert_eq!(slot.read(), 7);
    }
    writer.join();
}
