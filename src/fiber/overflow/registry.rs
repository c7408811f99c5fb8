//! Registry: records the addresses of stack segments for a signal handler.
//! add: claims a free entry, writes its fields, and publishes its address.
//! remove: withdraws the address, which frees the entry.
//! Tables are added when they are needed and never freed, so no memory that a handler reads is freed.
//! [O1] Readers take no lock. The entry of a thread's own stack is the only entry that matters to the thread,
//! and this entry does not change while the thread runs on that stack. If another entry changes meanwhile, a
//! reader may see the fields of two segments. A second load of the address detects this case, unless a third
//! segment has been mapped at the first segment's address in between.
//! Checked by: src/fiber/overflow_tests.rs.
#![forbid(unsafe_code)]

use crate::fiber::SlotLayout;
use crate::platform::OnceLock;
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use std::fmt;

const AREAS: usize = 256;

/// The `low` of an entry that is not in use.
const FREE: usize = 0;
/// The `low` of an entry that is being written.
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
            // Acquire: pairs with the Release in `remove`, so that the fields are written after the claim.
            area.low.compare_exchange(FREE, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })
    }
}

/// An entry that `add` made.
pub(in crate::fiber) struct Registered(&'static Area);

/// Adds a segment to the registry.
pub(in crate::fiber) fn add(low: usize, bytes: usize, layout: &SlotLayout) -> Registered {
    let mut table = &FIRST;
    let area = loop {
        match table.claim() {
            Some(area) => break area,
            None => table = table.next.get_or_init(|| Box::new(Table::new())),
        }
    };
    // Relaxed: the Release store of `low` publishes these fields.
    area.bytes.store(bytes, Ordering::Relaxed);
    area.stride.store(layout.stride(), Ordering::Relaxed);
    area.guard.store(layout.guard(), Ordering::Relaxed);
    area.usable.store(layout.usable(), Ordering::Relaxed);
    // Release: pairs with the Acquire in `overflowed`, so that a reader sees the fields.
    area.low.store(low, Ordering::Release);
    Registered(area)
}

impl Registered {
    /// Removes the entry that `add` made. The caller must call this function at most once.
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

/// Returns the usable bytes of the stack, if `address` lies in a guard and `stack` is at most one slot away
/// from the start of that slot. Otherwise a stray pointer caused the access, and the result is `None`.
pub(super) fn overflowed(address: usize, stack: usize) -> Option<usize> {
    let tables = std::iter::successors(Some(&FIRST), |table| table.next.get().map(Box::as_ref));
    tables.flat_map(|table| &table.areas).find_map(|area| area.overflowed(address, stack))
}

impl Area {
    fn overflowed(&self, address: usize, stack: usize) -> Option<usize> {
        // Acquire: pairs with the Release in `add`.
        let low = self.low.load(Ordering::Acquire);
        // Relaxed: `low` publishes these fields, and the check below detects a change in between.
        let bytes = self.bytes.load(Ordering::Relaxed);
        let stride = self.stride.load(Ordering::Relaxed);
        let guard = self.guard.load(Ordering::Relaxed);
        let usable = self.usable.load(Ordering::Relaxed);
        // Relaxed: this is the second load. If it misses a change, the only effect is the wrong message.
        if low <= CLAIMED || self.low.load(Ordering::Relaxed) != low {
            return None;
        }
        let offset = address.checked_sub(low).filter(|&offset| offset < bytes)?;
        let slot = address - offset % stride;
        let near = slot.saturating_sub(stride)..=slot + stride;
        (offset % stride < guard && near.contains(&stack)).then_some(usable)
    }
}
