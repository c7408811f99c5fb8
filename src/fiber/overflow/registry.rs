//! Registry: where segments of stacks lie, for a signal handler to read.
//! add: claim a free entry, write it, publish its address.   remove: withdraw the address, free it.
//! Tables are added as they are needed and never freed, so nothing that a handler reads goes away.
//! [O1] Readers take no lock. The one entry that matters to a thread, its own stack's, does not change
//! while the thread runs on that stack. Of others a reader may see halves of two segments; the second look
//! at the address finds that out, unless a third segment lies at the first one's place by then.
//! Checked by: src/fiber/overflow_tests.rs.
#![forbid(unsafe_code)]

use crate::fiber::SlotLayout;
use crate::platform::OnceLock;
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use std::fmt;

const AREAS: usize = 256;

/// `low` of an entry that nobody uses.
const FREE: usize = 0;
/// `low` of an entry that is being written.
const CLAIMED: usize = 1;

struct Area {
    low: AtomicUsize,
    bytes: AtomicUsize,
    stride: AtomicUsize,
    guard: AtomicUsize,
    usable: AtomicUsize,
}

struct Table {
    areas: [Area; AREAS],
    next: OnceLock<Box<Table>>,
}

static FIRST: Table = Table::new();

impl Table {
    const fn new() -> Table {
        let areas = [const {
            Area {
                low: AtomicUsize::new(FREE),
                bytes: AtomicUsize::new(0),
                stride: AtomicUsize::new(0),
                guard: AtomicUsize::new(0),
                usable: AtomicUsize::new(0),
            }
        }; AREAS];
        Table { areas, next: OnceLock::new() }
    }

    fn claim(&self) -> Option<&Area> {
        self.areas.iter().find(|area| {
            // Acquire: pairs with the Release in `remove`; the fields are written after the claim.
            area.low.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })
    }
}

/// An entry that was made by `add`.
pub(in crate::fiber) struct Registered(&'static Area);

/// Enters a segment.
pub(in crate::fiber) fn add(low: usize, bytes: usize, layout: &SlotLayout) -> Registered {
    let mut table = &FIRST;
    let area = loop {
        match table.claim() {
            Some(area) => break area,
            None => table = table.next.get_or_init(|| Box::new(Table::new())),
        }
    };
    // Relaxed: published by `low`.
    area.bytes.store(bytes, Ordering::Relaxed);
    area.stride.store(layout.stride(), Ordering::Relaxed);
    area.guard.store(layout.guard(), Ordering::Relaxed);
    area.usable.store(layout.usable(), Ordering::Relaxed);
    // Release: pairs with the Acquire in `overflowed`, so that the fields are seen.
    area.low.store(low, Ordering::Release);
    Registered(area)
}

impl Registered {
    /// Removes what `add` entered. To be called once.
    pub(in crate::fiber) fn remove(&self) {
        // Release: pairs with the Acquire of the next claim.
        self.0.low.store(FREE, Ordering::Release);
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").finish_non_exhaustive()
    }
}

/// If `address` lies in a guard, and `stack` points into that slot as well, or not further below it than
/// one slot: the bytes that the stack has. Otherwise the access was by a stray pointer.
pub(super) fn overflowed(address: usize, stack: usize) -> Option<usize> {
    let tables = std::iter::successors(Some(&FIRST), |table| table.next.get().map(Box::as_ref));
    tables.flat_map(|table| &table.areas).find_map(|area| area.overflowed(address, stack))
}

impl Area {
    fn overflowed(&self, address: usize, stack: usize) -> Option<usize> {
        // Acquire: pairs with the Release in `add`.
        let low = self.low.load(Ordering::Acquire);
        // Relaxed: published by `low`; a change in between is found out below.
        let bytes = self.bytes.load(Ordering::Relaxed);
        let stride = self.stride.load(Ordering::Relaxed);
        let guard = self.guard.load(Ordering::Relaxed);
        let usable = self.usable.load(Ordering::Relaxed);
        // Relaxed: the second look; a torn entry at worst chooses the wrong message.
        if low <= CLAIMED || self.low.load(Ordering::Relaxed) != low {
            return None;
        }
        let offset = address.checked_sub(low).filter(|&offset| offset < bytes)?;
        let slot = address - offset % stride;
        let near = slot.saturating_sub(stride)..=slot + stride;
        (offset % stride < guard && near.contains(&stack)).then_some(usable)
    }
}
