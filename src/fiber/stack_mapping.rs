//! Mapping: one segment, which is contiguous address space for some slots.
//! reserve: calls `mmap` without access rights, and then grants access to everything if guards are light.
//! open: makes the guard of one slot, before the slot is first used.
//! discard: gives the memory of a slot back to the kernel. The guard stays.
//!
//! | guards | how | cost of one | mappings |
//! |---|---|---|---|
//! | light | `MADV_GUARD_INSTALL`, Linux 6.13: a mark in the page table | 1.1–1.3 us | none |
//! | protected | the segment stays without access, and `mprotect` opens the frames | about the same | two a slot |
//!
//! For each segment, this file tries to make a light guard. The attempt may fail, because a kernel before 6.13
//! has no marks, a sandbox may refuse the call at any time, and locked memory (`mlockall`) takes no marks. If
//! the kernel refuses one mark in a segment with marks, the guard of that slot is made by `mprotect`. Guards
//! made by `mprotect` are counted in `budget`. A protected segment does not count as committed memory under
//! `vm.overcommit_memory = 2` until its slots are opened, and `mlockall` makes only the frames of open slots
//! resident.
//! Checked by: src/fiber/tests.rs, src/fiber/segment_tests.rs.

use super::overflow::registry;
use super::{SlotLayout, StackError, budget, room};
use crate::platform::page_size;
use std::{io, ptr};

// <linux/mman.h> defines this number since Linux 6.13. The libc crate does not define it yet.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// How guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// A mark in the page table.
    Light,
    /// Pages without access rights, in a mapping of their own.
    Protected,
}

/// How the guard of a slot was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The guard costs no mapping.
    Light,
    /// The guard counts in the budget.
    Split,
    /// The slot has no guard, which the caller allowed.
    Unguarded,
}

/// Address space for some slots. The address space is unmapped when this value is dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    low: usize,
    layout: SlotLayout,
    slots: u32,
    guards: Guards,
    registered: registry::Registered,
    /// The number of slots that have guards counted in the budget.
    split: usize,
}

impl Mapping {
    /// Reserves the address space of `slots` slots, without memory. Guards are `Light` if `wanted` is `Light`
    /// and if the kernel makes such a guard on a trial.
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

    /// Returns slot number `index` of this mapping.
    pub(super) fn slot(&self, index: u32) -> Slot {
        debug_assert!(index < self.slots);
        let low = self.low + index as usize * self.layout.stride();
        Slot { low, layout: self.layout, guards: self.guards }
    }

    /// Returns the index of the slot that contains this address.
    pub(super) fn index_of(&self, address: usize) -> Option<u32> {
        let index = address.checked_sub(self.low)? / self.layout.stride();
        (index < self.slots as usize).then_some(index as u32)
    }

    /// Records how one of the slots was opened. The caller must call this function once for each opened slot.
    pub(super) fn count(&mut self, opened: Opened) {
        self.split += usize::from(opened == Opened::Split);
    }

    /// Asks the kernel to include this mapping in core files, or to leave the mapping out. The kernel may refuse.
    pub(super) fn dump(&self, wanted: bool) {
        let advice = if wanted { libc::MADV_DODUMP } else { libc::MADV_DONTDUMP };
        let low = ptr::without_provenance_mut(self.low);
        // SAFETY: the range is this `Mapping`'s own, and both hints leave its contents as they are.
        unsafe { libc::madvise(low, self.layout.stride() * self.slots as usize, advice) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.registered.remove();
        // No slot of this mapping is in use, because the pool drops only such mappings. [C3]
        if unmap(self.low, self.layout.stride() * self.slots as usize) {
            budget::give_back(self.split);
        }
    }
}

/// The address and the properties of a slot. They are valid until the slot's mapping is dropped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) low: usize,
    layout: SlotLayout,
    guards: Guards,
}

impl Slot {
    /// Makes the guard. If the kernel refuses, opens the slot without a guard if `may_lack` is true, and otherwise
    /// returns an error. The slot must not be in use, and must be opened only once. [C2]
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

    /// Makes the guard by `mprotect`, if the budget allows it.
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
        // The whole slot gets access rights, so that the kernel can merge the slot with its neighbours.
        protect(self.low, self.layout.stride(), libc::PROT_READ | libc::PROT_WRITE)
            .map(|()| Opened::Unguarded)
            .map_err(|errno| StackError::Guard { errno })
    }

    /// Gives the slot's memory back to the kernel. The guard stays. The slot must not be in use.
    pub(super) fn discard(self) {
        let frames = ptr::without_provenance_mut(self.low + self.layout.guard());
        let bytes = self.layout.stride() - self.layout.guard();
        // SAFETY: the frames lie in the slot's mapping. The caller guarantees that the slot is not in use, so no code
        // needs their contents.
        // If the kernel refuses (locked memory), the memory stays allocated, which is harmless.
        unsafe { libc::madvise(frames, bytes, libc::MADV_DONTNEED) };
    }
}

/// Returns the kind of guards that this kernel grants now. Only the choice of a message depends on the result.
pub(super) fn guards_of_this_kernel() -> Guards {
    let page = page_size();
    let Ok(low) = map(page) else { return Guards::Protected };
    // SAFETY: `low` is a page that `map` has just mapped. The page is unlocked, because memory that `mlockall` has
    // locked would not take a mark.
    unsafe { libc::munlock(ptr::without_provenance(low), page) };
    let marked = mark(low, page);
    unmap(low, page);
    if marked.is_ok() { Guards::Light } else { Guards::Protected }
}

/// Reserves address space without access rights.
fn map(bytes: usize) -> Result<usize, i32> {
    // NORESERVE: memory that is never touched does not count as committed.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    // SAFETY: this makes a new mapping at an address that the kernel chooses.
    let low = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_NONE, flags, -1, 0) };
    if low == libc::MAP_FAILED {
        return Err(errno());
    }
    // A huge page would make a 4 KiB goroutine take 2 MiB. The kernel refuses this only if it has no huge
    // pages.
    // SAFETY: `low` and `bytes` are the mapping that `mmap` has just made.
    unsafe { libc::madvise(low, bytes, libc::MADV_NOHUGEPAGE) };
    // The address is exposed, because the switch makes stack pointers from plain addresses.
    Ok(low.expose_provenance())
}

/// Marks pages as a guard. The pages must lie in a mapping of this file, and no code may use them.
fn mark(low: usize, bytes: usize) -> Result<(), i32> {
    // SAFETY: all callers in this file pass pages of a mapping of their own that are not in use, so no data is lost.
    let rc = unsafe { libc::madvise(ptr::without_provenance_mut(low), bytes, MADV_GUARD_INSTALL) };
    if rc == 0 { Ok(()) } else { Err(errno()) }
}

/// Sets the access rights of pages. The pages must lie in a mapping of this file, and no code may use them.
fn protect(low: usize, bytes: usize, rights: libc::c_int) -> Result<(), i32> {
    // SAFETY: all callers in this file pass pages of a mapping of their own that are not in use.
    let rc = unsafe { libc::mprotect(ptr::without_provenance_mut(low), bytes, rights) };
    if rc == 0 { Ok(()) } else { Err(errno()) }
}

/// Unmaps address space that `map` has returned. The kernel refuses if the call would split a mapping and no more
/// mappings are allowed. In that case this function returns false, and the mapping stays, without memory.
fn unmap(low: usize, bytes: usize) -> bool {
    let place = ptr::without_provenance_mut(low);
    // SAFETY: all callers in this file pass a whole mapping of their own, which no code uses any more.
    let done = unsafe { libc::munmap(place, bytes) } == 0;
    if !done {
        // SAFETY: `munmap` has failed, so the mapping is still there, and no code uses it any more.
        unsafe { libc::madvise(place, bytes, libc::MADV_DONTNEED) };
    }
    done
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
