//! Mapping: one segment, that is address space for some slots, in one piece.
//! reserve: mmap without access, then access for all of it where guards are light.
//! open: the guard of one slot, before its first use.   discard: a slot's memory to the kernel; its guard
//! stays.
//!
//! | guards | how | cost of one | mappings |
//! |---|---|---|---|
//! | light | `MADV_GUARD_INSTALL`, Linux 6.13: a mark in the page table | 1.1–1.3 us | none |
//! | protected | the segment stays without access, and `mprotect` opens the frames | about the same | two a slot |
//!
//! Which kind a segment has is found out by trying, each time: a kernel before 6.13 knows no marks, a
//! sandbox may refuse the call at any time, and locked memory (`mlockall`) takes none. Where one mark is
//! refused in a segment with marks, that slot's guard is made by `mprotect`. `mprotect` guards are counted
//! (`budget`). Protected segments cost nothing under `vm.overcommit_memory = 2` until slots are opened, and
//! `mlockall` makes the frames of open slots resident, not the rest.
//! Checked by: src/fiber/tests.rs, src/fiber/segment_tests.rs.

use super::overflow::registry;
use super::{SlotLayout, StackError, budget, room};
use crate::platform::page_size;
use std::{io, ptr};

// <linux/mman.h>, since 6.13; not in libc yet.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// How guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// A mark in the page table.
    Light,
    /// Pages without access rights, in a mapping of their own.
    Protected,
}

/// What a slot was opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Its guard costs no mapping.
    Light,
    /// Its guard counts in the budget.
    Split,
    /// It has none: the caller has allowed that.
    Unguarded,
}

/// Address space for some slots, unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    low: usize,
    layout: SlotLayout,
    slots: u32,
    guards: Guards,
    registered: registry::Registered,
    /// Slots whose guards count in the budget.
    split: usize,
}

impl Mapping {
    /// Reserves the address space of `slots` slots; no memory yet. Guards are `Light` if `wanted` are, and
    /// the kernel makes one here and now.
    pub(super) fn reserve(
        layout: SlotLayout,
        slots: u32,
        wanted: Guards,
    ) -> Result<Mapping, StackError> {
        let bytes = layout.stride() * slots as usize;
        let failed = |errno| StackError::Reserve { bytes, errno };
        if !room::has(bytes) {
            return Err(failed(libc::ENOMEM));
        }
        let low = map(bytes).map_err(failed)?;
        let light = wanted == Guards::Light && mark(low, layout.guard()).is_ok();
        if light && let Err(errno) = protect(low, bytes, libc::PROT_READ | libc::PROT_WRITE) {
            unmap(low, bytes);
            return Err(failed(errno));
        }
        let guards = if light { Guards::Light } else { Guards::Protected };
        let registered = registry::add(low, bytes, &layout);
        Ok(Mapping { low, layout, slots, guards, registered, split: 0 })
    }

    pub(super) fn slots(&self) -> u32 {
        self.slots
    }

    /// The slot number `index` of this mapping.
    pub(super) fn slot(&self, index: u32) -> Slot {
        debug_assert!(index < self.slots);
        let low = self.low + index as usize * self.layout.stride();
        Slot { low, layout: self.layout, guards: self.guards }
    }

    /// Which of its slots has this address.
    pub(super) fn index_of(&self, address: usize) -> Option<u32> {
        let index = address.checked_sub(self.low)? / self.layout.stride();
        (index < self.slots as usize).then_some(index as u32)
    }

    /// One of its slots was opened so; to be told once a slot.
    pub(super) fn count(&mut self, opened: Opened) {
        self.split += usize::from(opened == Opened::Split);
    }

    /// Whether core files shall have it. A hint.
    pub(super) fn dump(&self, wanted: bool) {
        let advice = if wanted { libc::MADV_DODUMP } else { libc::MADV_DONTDUMP };
        let low = ptr::without_provenance_mut(self.low);
        // SAFETY: our own mapping, whose contents stay.
        unsafe { libc::madvise(low, self.layout.stride() * self.slots as usize, advice) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.registered.remove();
        // No slot is in use. [C3]
        if unmap(self.low, self.layout.stride() * self.slots as usize) {
            budget::give_back(self.split);
        }
    }
}

/// Where a slot is. Valid while its mapping is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) low: usize,
    layout: SlotLayout,
    guards: Guards,
}

impl Slot {
    /// Puts the guard in place; without one only if `may_lack` it. The slot is not in use, and is opened
    /// once. [C2]
    pub(super) fn open(self, may_lack: bool) -> Result<Opened, StackError> {
        let guard = self.layout.guard();
        if self.guards == Guards::Light && mark(self.low, guard).is_ok() {
            return Ok(Opened::Light);
        }
        match self.split() {
            Err(_) if may_lack => self.unguarded(),
            Err(error) => Err(error),
            Ok(()) => Ok(Opened::Split),
        }
    }

    /// The guard by `mprotect`, which the budget must allow.
    fn split(self) -> Result<(), StackError> {
        budget::take()?;
        let guard = self.layout.guard();
        let done = match self.guards {
            Guards::Light => protect(self.low, guard, libc::PROT_NONE),
            Guards::Protected => {
                let frames = self.layout.stride() - guard;
                protect(self.low + guard, frames, libc::PROT_READ | libc::PROT_WRITE)
            }
        };
        done.map_err(|errno| {
            budget::give_back(1);
            StackError::Guard { errno }
        })
    }

    fn unguarded(self) -> Result<Opened, StackError> {
        // With access to all of it, the slot and its neighbours are one mapping.
        protect(self.low, self.layout.stride(), libc::PROT_READ | libc::PROT_WRITE)
            .map(|()| Opened::Unguarded)
            .map_err(|errno| StackError::Guard { errno })
    }

    /// Gives the slot's memory back to the kernel; its guard stays. The slot is not in use.
    pub(super) fn discard(self) {
        let frames = ptr::without_provenance_mut(self.low + self.layout.guard());
        let bytes = self.layout.stride() - self.layout.guard();
        // SAFETY: the slot is in our mapping, and what is on it is needed no more.
        // A refusal (locked memory) is no harm: the memory then stays ours.
        unsafe { libc::madvise(frames, bytes, libc::MADV_DONTNEED) };
    }
}

/// What this kernel grants here and now: what a message is chosen by, no more.
pub(super) fn guards_of_this_kernel() -> Guards {
    let page = page_size();
    let Ok(low) = map(page) else { return Guards::Protected };
    // SAFETY: our own mapping. Locked memory, as `mlockall` makes it, would take no mark.
    unsafe { libc::munlock(ptr::without_provenance(low), page) };
    let marked = mark(low, page);
    unmap(low, page);
    if marked.is_ok() { Guards::Light } else { Guards::Protected }
}

/// Reserves address space without access rights.
fn map(bytes: usize) -> Result<usize, i32> {
    // NORESERVE: what is never touched is not counted as promised memory.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: a new mapping, wherever the kernel likes.
    let low = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if low == libc::MAP_FAILED {
        return Err(errno());
    }
    // A huge page would turn a 4 KiB goroutine into 2 MiB. Refused only where there are none.
    // SAFETY: our own mapping.
    unsafe { libc::madvise(low, bytes, libc::MADV_NOHUGEPAGE) };
    // Exposed: the switch makes stack pointers from plain addresses.
    Ok(low.expose_provenance())
}

/// Marks pages of ours, which nobody uses, as a guard.
fn mark(low: usize, bytes: usize) -> Result<(), i32> {
    // SAFETY: the callers' own mapping; the pages are not in use, so nothing is lost with them.
    let rc = unsafe { libc::madvise(ptr::without_provenance_mut(low), bytes, MADV_GUARD_INSTALL) };
    if rc == 0 { Ok(()) } else { Err(errno()) }
}

/// Sets the access rights of pages of ours, which nobody uses.
fn protect(low: usize, bytes: usize, rights: libc::c_int) -> Result<(), i32> {
    // SAFETY: the callers' own mapping; the pages are not in use.
    let rc = unsafe { libc::mprotect(ptr::without_provenance_mut(low), bytes, rights) };
    if rc == 0 { Ok(()) } else { Err(errno()) }
}

/// Unmaps what is ours. False if the kernel refuses, because that would split a mapping and there may be
/// no more of them: then it stays, without memory.
fn unmap(low: usize, bytes: usize) -> bool {
    let place = ptr::without_provenance_mut(low);
    // SAFETY: the callers' own mapping, which nobody uses any more.
    let done = unsafe { libc::munmap(place, bytes) } == 0;
    if !done {
        // SAFETY: as above.
        unsafe { libc::madvise(place, bytes, libc::MADV_DONTNEED) };
    }
    done
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
