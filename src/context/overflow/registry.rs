//! Registry: where the arenas lie, for a signal handler to read.
//! add: claim a free entry, write it, publish its address.   remove: withdraw the address, free it.
//! A fixed table, so that nothing a handler reads is ever freed. An arena that finds it full works
//! all the same: its overflows are then plain SIGSEGVs.
//! [O1] Readers take no lock. The one entry that matters to a thread, its own arena's, does not
//! change while the thread runs on it; of others it may see halves of two arenas, which the second
//! look at the address finds out, short of a third arena at the same place.
//! Checked by: src/context/overflow_tests.rs.
#![forbid(unsafe_code)]

use crate::platform::page_size;
use crate::platform::unmodelled::{AtomicUsize, Ordering};

const ARENAS: usize = 256;

/// `low` of an entry that nobody uses.
const FREE: usize = 0;
/// `low` of an entry that is being written.
const CLAIMED: usize = 1;

struct Area {
    low: AtomicUsize,
    bytes: AtomicUsize,
    stride: AtomicUsize,
    page: AtomicUsize,
}

static AREAS: [Area; ARENAS] = [const {
    Area {
        low: AtomicUsize::new(FREE),
        bytes: AtomicUsize::new(0),
        stride: AtomicUsize::new(0),
        page: AtomicUsize::new(0),
    }
}; ARENAS];

/// Enters an arena; `None` if the table is full.
pub(in crate::context) fn add(low: usize, bytes: usize, stride: usize) -> Option<usize> {
    let index = AREAS.iter().position(|area| {
        // Acquire: the fields are written after the claim.
        area.low.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })?;
    let area = &AREAS[index];
    // Relaxed: published by `low`.
    area.bytes.store(bytes, Ordering::Relaxed);
    area.stride.store(stride, Ordering::Relaxed);
    area.page.store(page_size(), Ordering::Relaxed);
    // Release: pairs with the Acquire in `overflowed`, so that the fields are seen.
    area.low.store(low, Ordering::Release);
    Some(index)
}

/// Removes what `add` entered.
pub(in crate::context) fn remove(index: usize) {
    // Release: pairs with the Acquire of the next claim.
    AREAS[index].low.store(FREE, Ordering::Release);
}

/// The slot size of the arena in one of whose guards `address` lies, if `stack` points into that
/// slot as well, or not further below it than one slot: else it is a stray pointer.
pub(super) fn overflowed(address: usize, stack: usize) -> Option<usize> {
    AREAS.iter().find_map(|area| {
        // Acquire: pairs with the Release in `add`.
        let low = area.low.load(Ordering::Acquire);
        // Relaxed: published by `low`; a change in between is found out below.
        let bytes = area.bytes.load(Ordering::Relaxed);
        let stride = area.stride.load(Ordering::Relaxed);
        let page = area.page.load(Ordering::Relaxed);
        // Relaxed: the second look; a torn entry at worst chooses the wrong message.
        if low <= CLAIMED || area.low.load(Ordering::Relaxed) != low {
            return None;
        }
        let offset = address.checked_sub(low).filter(|&offset| offset < bytes)?;
        let slot = address - offset % stride;
        let guarded = offset % stride < page;
        let near = slot.saturating_sub(stride)..=slot + stride;
        (guarded && near.contains(&stack)).then_some(stride)
    })
}
