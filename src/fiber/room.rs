//! Room: limits how much address space may be reserved for stacks, so that enough is left for other code.
//!
//! If address space is limited, a process that uses all of it for stacks dies at its next `malloc`, in code
//! that has nothing to do with stacks. A reservation of stacks is refused if more than seven eighths of a limit
//! would then be in use. The limits are `RLIMIT_AS` (`ulimit -v`), `RLIMIT_DATA` (`ulimit -d`), and the memory
//! that the kernel may commit in all under `vm.overcommit_memory = 2`. They are read once for each segment.
//! Checked by: src/fiber/segment_tests.rs.

use crate::platform::page_size;
use std::fs::read_to_string;

/// The part of each limit that is left for other code is one divided by this number.
const PART_LEFT: u64 = 8;

/// Returns true if a reservation of `bytes` leaves enough for other code.
pub(super) fn has(bytes: usize) -> bool {
    // SAFETY: `limit` passes a pointer to a local variable, and the call writes the limit only to that variable.
    let all = limit(|place| unsafe { libc::getrlimit(libc::RLIMIT_AS, place) });
    // SAFETY: `limit` passes a pointer to a local variable, as for `RLIMIT_AS`.
    let data = limit(|place| unsafe { libc::getrlimit(libc::RLIMIT_DATA, place) });
    let limits = [all, data];
    let by_process = limits == [None, None] || {
        // The fields, in pages: all, resident, shared, text, 0, data and stack.
        let statm = read_to_string("/proc/self/statm").unwrap_or_default();
        let field = |n| statm.split(' ').nth(n).and_then(|pages| pages.parse::<u64>().ok());
        [0, 5].iter().zip(limits).all(|(&n, limit)| {
            let used = field(n).unwrap_or(0) * page_size() as u64;
            limit.is_none_or(|limit| fits(bytes, used, limit))
        })
    };
    by_process && promised().is_none_or(|(used, limit)| fits(bytes, used, limit))
}

pub(super) fn fits(bytes: usize, used: u64, limit: u64) -> bool {
    used.saturating_add(bytes as u64) <= limit - limit / PART_LEFT
}

/// Returns the limit that `ask` reads, or `None` if the process has no such limit.
fn limit(ask: impl FnOnce(*mut libc::rlimit) -> libc::c_int) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    let answered = ask(&mut limit) == 0;
    (answered && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// Returns the memory that the kernel has committed, and the largest amount that it may commit. Returns
/// `None` unless the kernel enforces that limit.
fn promised() -> Option<(u64, u64)> {
    let mode = read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
    if mode.trim() != "2" {
        return None;
    }
    let text = read_to_string("/proc/meminfo").ok()?;
    let kib = |name| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().split(' ').next()?.parse::<u64>().ok()
    };
    Some((kib("Committed_AS:")? << 10, kib("CommitLimit:")? << 10))
}
