//! `crossbeam-epoch` and `arc-swap`: both keep a record for each thread, by which others see what it
//! still reads.

use super::{FEW, each, many_alive, pause};
use arc_swap::ArcSwap;
use crossbeam_epoch::{Atomic, Owned, Shared, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Says whether it was dropped.
struct Item(usize);

impl Item {
    fn new(number: usize) -> Item {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Item(number)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.0 = usize::MAX;
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

fn replace(place: &Atomic<Item>, number: usize, pause: impl Fn()) {
    let guard = pin();
    let seen = place.load(Ordering::Acquire, &guard);
    // Pinned, though others run here meanwhile: what was seen is not destroyed.
    pause();
    // SAFETY: seen since the guard was made; destroyed after all who may have seen it are gone.
    let item = unsafe { seen.as_ref() }.expect("never null");
    assert!(item.0 < usize::MAX, "destroyed while somebody reads it");
    let old = place.swap(Owned::new(Item::new(number)), Ordering::AcqRel, &guard);
    pause();
    // SAFETY: taken out, and so by this goroutine alone.
    unsafe { guard.defer_destroy(old) };
}

#[test]
fn what_is_read_is_not_destroyed() {
    let place = Arc::new(Atomic::new(Item::new(0)));
    each(FEW, move |number| {
        for turn in 0..30 {
            replace(&place, number, || pause(number + turn));
        }
        pin().flush();
    });
}

#[test]
fn very_many_have_records() {
    let place = Arc::new(Atomic::new(Item::new(0)));
    let last = Arc::clone(&place);
    many_alive(move |number| replace(&place, number, || ()));
    let guard = pin();
    let item = last.swap(Shared::null(), Ordering::AcqRel, &guard);
    // SAFETY: taken out; all others have ended.
    drop(unsafe { item.into_owned() });
}

fn swap(place: &ArcSwap<usize>, number: usize) {
    let seen = place.load();
    pause(number);
    let all = place.load_full();
    assert!(**seen <= 1_000_000 && *all <= 1_000_000);
    place.store(Arc::new(number));
    pause(number + 1);
    assert!(**seen <= 1_000_000, "a value that is still borrowed");
}

#[test]
fn swapped_values_are_whole() {
    let place = Arc::new(ArcSwap::from_pointee(0));
    each(FEW, move |number| (0..30).for_each(|turn| swap(&place, number + turn)));
}

#[test]
fn very_many_swap() {
    let place = Arc::new(ArcSwap::from_pointee(0));
    many_alive(move |number| swap(&place, number));
}
