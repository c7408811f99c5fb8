//! Budget: how many mappings of its own the guards of this process may take.
//!
//! A guard by `mprotect` splits the mapping that it lies in, so such a slot costs two mappings. A process
//! may have `vm.max_map_count` of them (65,530 by default), and code that has nothing to do with stacks
//! fails once they are used up: thread starts, large allocations, libraries. So all arenas of the process
//! count their split slots here, and `LEFT` mappings are left to everybody else.
//! Checked by: src/fiber/budget_tests.rs.
#![forbid(unsafe_code)]

use super::StackError;
use crate::platform::unmodelled::{AtomicUsize, Ordering};

/// Mappings that are left to threads (two to six each), libraries and the allocator.
const LEFT: usize = 3072;

/// Slots whose guard is a mapping of its own.
static SPLIT: AtomicUsize = AtomicUsize::new(0);

/// `vm.max_map_count` as it was last read; 0 before that.
static MAX_MAP_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Counts one more split slot.
pub(super) fn take() -> Result<(), StackError> {
    let most = slots_of(known_limit());
    if take_below(most).is_ok() {
        return Ok(());
    }
    // The limit may have been raised since it was read.
    let limit = read_limit();
    match take_below(slots_of(limit)) {
        Ok(_) => Ok(()),
        Err(stacks) => Err(StackError::Mappings { stacks, limit }),
    }
}

/// Counts so many split slots less.
pub(super) fn give_back(slots: usize) {
    // Relaxed: a count; no data rides on it.
    SPLIT.fetch_sub(slots, Ordering::Relaxed);
}

/// How many split slots the process may have in all.
pub(super) fn most() -> usize {
    slots_of(read_limit())
}

fn take_below(most: usize) -> Result<usize, usize> {
    // Relaxed: a count; no data rides on it.
    SPLIT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |split| {
        Some(split + 1).filter(|&split| split <= most)
    })
}

fn slots_of(limit: usize) -> usize {
    limit.saturating_sub(LEFT) / 2
}

fn known_limit() -> usize {
    // Relaxed: a figure; no data rides on it.
    match MAX_MAP_COUNT.load(Ordering::Relaxed) {
        0 => read_limit(),
        limit => limit,
    }
}

fn read_limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let limit = text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_530);
    // Relaxed: see `known_limit`.
    MAX_MAP_COUNT.store(limit, Ordering::Relaxed);
    limit
}
