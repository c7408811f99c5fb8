//! Room: how much address space may be reserved for stacks, so that enough is left to everybody else.
//!
//! Where address space is limited, a process that uses all of it for stacks dies at its next `malloc`, far
//! from any stack. So each of these limits is used up to seven eighths by a reservation, and no further:
//! `RLIMIT_AS` (`ulimit -v`), `RLIMIT_DATA` (`ulimit -d`), and what the kernel may promise in all under
//! `vm.overcommit_memory = 2`. Asked once a segment.
//! Checked by: src/fiber/segment_tests.rs.

use crate::platform::page_size;
use std::fs::read_to_string;

/// This part of each limit is left to others.
const PART_LEFT: u64 = 8;

/// Whether a reservation of so many bytes leaves others enough.
pub(super) fn has(bytes: usize) -> bool {
    // SAFETY: `limit` gives a place for the answer.
    let all = limit(|place| unsafe { libc::getrlimit(libc::RLIMIT_AS, place) });
    // SAFETY: as above.
    let data = limit(|place| unsafe { libc::getrlimit(libc::RLIMIT_DATA, place) });
    let limits = [all, data];
    let by_process = limits == [None, None] || {
        // Pages: all, resident, shared, text, 0, data and stack.
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

/// A limit of the process, if it has the one that `ask` asks for.
fn limit(ask: impl FnOnce(*mut libc::rlimit) -> libc::c_int) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: 0 };
    let answered = ask(&mut limit) == 0;
    (answered && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

/// What the kernel has promised, and may promise at most, where it counts strictly.
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
