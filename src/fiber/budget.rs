//! Budget: limits how many mappings the guards of this process may take.
//!
//! A guard made by `mprotect` splits the mapping around it, so a slot with such a guard costs two mappings. A
//! process may have at most `vm.max_map_count` mappings (65,530 by default). If stacks used them all, code
//! that has nothing to do with stacks would fail: thread starts, large allocations, libraries. So all stack
//! pools of the process count their split slots here, and `LEFT` mappings stay free for other code.
//! Checked by: src/fiber/budget_tests.rs.
#![forbid(unsafe_code)]

use super::StackError;
use crate::platform::unmodelled::{AtomicUsize, Ordering};

/// The number of mappings that stacks leave for threads (two to six each), libraries and the allocator.
const LEFT: usize = 3072;

/// The number of slots that have a guard with a mapping of its own.
static SPLIT: AtomicUsize = AtomicUsize::new(0);

/// `vm.max_map_count` at the last reading; 0 before the first reading.
static MAX_MAP_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Counts one more split slot, or returns an error if the budget is used up.
pub(super) fn take() -> Result<(), StackError> {
    let most = slots_of(known_limit());
    if take_below(most).is_ok() {
        return Ok(());
    }
    // The limit may have been raised since the last reading.
    let limit = read_limit();
    match take_below(slots_of(limit)) {
        Ok(_) => Ok(()),
        Err(stacks) => Err(StackError::Mappings { stacks, limit }),
    }
}

/// Subtracts `slots` split slots.
pub(super) fn give_back(slots: usize) {
    // Relaxed: the counter publishes no other data.
    SPLIT.fetch_sub(slots, Ordering::Relaxed);
}

/// Returns how many split slots the process may have in all.
pub(super) fn most() -> usize {
    slots_of(read_limit())
}

fn take_below(most: usize) -> Result<usize, usize> {
    // Relaxed: the counter publishes no other data.
    SPLIT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |split| {
        Some(split + 1).filter(|&split| split <= most)
    })
}

fn slots_of(limit: usize) -> usize {
    limit.saturating_sub(LEFT) / 2
}

fn known_limit() -> usize {
    // Relaxed: the number publishes no other data.
    match MAX_MAP_COUNT.load(Ordering::Relaxed) {
        0 => read_limit(),
        limit => limit,
    }
}

fn read_limit() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let limit = text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(65_530);
    // Relaxed: the number publishes no other data, as in `known_limit`.
    MAX_MAP_COUNT.store(limit, Ordering::Relaxed);
    limit
}
