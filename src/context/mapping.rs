//! Mapping: the one reservation that holds every slot of an arena, and its guard pages.
//! reserve: mmap without commitment, no huge pages.   guard: one page at a slot's low end, when the
//! slot is first used.   discard: a slot's pages back to the kernel; the guard stays.
//! Two kinds of guard. *Light* (`MADV_GUARD_INSTALL`, Linux 6.13): a mark in the page table, so a
//! million slots are one mapping. *Protected* (`mprotect`): each guard splits the mapping, two more
//! mappings a slot, of which a process may have `vm.max_map_count` (65,530 by default); all arenas
//! together take at most half of them.
//! Guards are installed one at a time: 1.1-1.3 us each, and batches of 32 by `process_madvise`
//! 0.7-0.9 us, beside a first touch of the stack's page of 2.5-19 us (measured).
//! Checked by: src/context/tests.rs.

use super::overflow::registry;
use super::{MAX_SLOTS, MAX_STACK_SIZE, MIN_STACK_SIZE, StackError};
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use crate::platform::{OnceLock, page_size};
use std::io;
use std::ptr;

// <linux/mman.h>, since 6.13; not in libc yet.
const MADV_GUARD_INSTALL: libc::c_int = 102;

/// Address space that one arena may ask for; of the 128 TiB of x86-64.
const MAX_BYTES: usize = 1 << 45;

/// Slots with protected guards, in all arenas of the process.
static PROTECTED_SLOTS: AtomicUsize = AtomicUsize::new(0);

/// How guard pages are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guards {
    /// A mark in the page table.
    Light,
    /// A page without access rights, in a mapping of its own.
    Protected,
}

impl Guards {
    /// What this kernel offers; asked once a process.
    pub fn of_this_kernel() -> Guards {
        static KIND: OnceLock<Guards> = OnceLock::new();
        *KIND.get_or_init(|| match try_light_guard() {
            Ok(()) => Guards::Light,
            Err(_) => Guards::Protected,
        })
    }

    /// How many slots of `stride` bytes a new arena may have.
    pub(super) fn allowed(self, stride: usize) -> usize {
        let by_addresses = MAX_SLOTS.min(MAX_BYTES / stride);
        match self {
            Guards::Light => by_addresses,
            // Relaxed: a count; `reserve_budget` decides.
            Guards::Protected => by_addresses
                .min(protected_budget().saturating_sub(PROTECTED_SLOTS.load(Ordering::Relaxed))),
        }
    }
}

/// Address space for `slots` slots, unmapped when dropped.
#[derive(Debug)]
pub(super) struct Mapping {
    low: usize,
    stride: usize,
    slots: usize,
    guards: Guards,
    registered: Option<usize>,
}

impl Mapping {
    /// Reserves the address space; no memory yet.
    pub(super) fn reserve(
        stride: usize,
        slots: usize,
        guards: Guards,
    ) -> Result<Mapping, StackError> {
        let allowed = Guards::Light.allowed(stride);
        if slots == 0 || slots > allowed {
            return Err(StackError::Slots { asked: slots, allowed });
        }
        if guards == Guards::Protected {
            reserve_budget(slots)?;
        }
        match map(stride * slots) {
            Ok(low) => {
                let registered = registry::add(low, stride * slots, stride);
                Ok(Mapping { low, stride, slots, guards, registered })
            }
            Err(errno) => {
                if guards == Guards::Protected {
                    return_budget(slots);
                }
                Err(StackError::Reserve { bytes: stride * slots, errno })
            }
        }
    }

    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    pub(super) fn guards(&self) -> Guards {
        self.guards
    }

    /// Where slot `index` begins.
    pub(super) fn low_of(&self, index: u32) -> usize {
        debug_assert!((index as usize) < self.slots);
        self.low + index as usize * self.stride
    }

    /// Puts the guard of slot `index` in place. The slot is not in use.
    pub(super) fn guard(&self, index: u32) -> Result<(), StackError> {
        let page = ptr::without_provenance_mut(self.low_of(index));
        // SAFETY: the page is in our mapping, and nobody uses the slot yet.
        let rc = unsafe {
            match self.guards {
                Guards::Light => libc::madvise(page, page_size(), MADV_GUARD_INSTALL),
                Guards::Protected => libc::mprotect(page, page_size(), libc::PROT_NONE),
            }
        };
        if rc == 0 { Ok(()) } else { Err(StackError::Guard { errno: errno() }) }
    }

    /// Gives the memory of slot `index` back to the kernel; its guard stays. The slot is not in use.
    pub(super) fn discard(&self, index: u32) {
        let slot = ptr::without_provenance_mut(self.low_of(index));
        // SAFETY: the slot is in our mapping, and what is on it is needed no more.
        // A refusal (locked memory) is no harm: the memory then stays ours.
        unsafe { libc::madvise(slot, self.stride, libc::MADV_DONTNEED) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if let Some(index) = self.registered {
            registry::remove(index);
        }
        let low = ptr::without_provenance_mut(self.low);
        // SAFETY: the whole mapping is ours, and no fiber is out. [C3]
        unsafe { libc::munmap(low, self.stride * self.slots) };
        if self.guards == Guards::Protected {
            return_budget(self.slots);
        }
    }
}

/// The distance of two slots for stacks of `stack_size` bytes: whole pages, so that guards can be
/// pages, and an odd number of them. With an even one the hot pages of all stacks would differ in few of
/// the bits by which second-level caches and TLBs find their sets.
pub(super) fn stride_for(stack_size: usize) -> Result<usize, StackError> {
    if !(MIN_STACK_SIZE..=MAX_STACK_SIZE).contains(&stack_size) {
        return Err(StackError::Size { asked: stack_size });
    }
    // Pages may be as large as 64 KiB: leave what the least stack has beside a page of 4 KiB.
    let page = page_size();
    let least = page + MIN_STACK_SIZE - 4096;
    let pages = stack_size.max(least).div_ceil(page);
    Ok((pages | 1) * page)
}

/// Slots that protected guards may have in this process: half of the mappings, two each.
fn protected_budget() -> usize {
    let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
    let limit = text.ok().and_then(|text| text.trim().parse::<usize>().ok());
    limit.unwrap_or(65_530) / 4
}

fn reserve_budget(slots: usize) -> Result<(), StackError> {
    let budget = protected_budget();
    PROTECTED_SLOTS
        // Relaxed: a count; no data rides on it.
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            used.checked_add(slots).filter(|&sum| sum <= budget)
        })
        .map(|_| ())
        .map_err(|used| StackError::Guards { asked: slots, allowed: budget.saturating_sub(used) })
}

fn return_budget(slots: usize) {
    // Relaxed: a count; no data rides on it.
    PROTECTED_SLOTS.fetch_sub(slots, Ordering::Relaxed);
}

fn map(bytes: usize) -> Result<usize, i32> {
    // NORESERVE: what is never touched is not counted as promised memory.
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, wherever the kernel likes.
    let low = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) };
    if low == libc::MAP_FAILED {
        return Err(errno());
    }
    // A huge page would turn a 4 KiB goroutine into 2 MiB. Refused only where there are none.
    // SAFETY: our own mapping.
    unsafe { libc::madvise(low, bytes, libc::MADV_NOHUGEPAGE) };
    // Exposed: the switch makes stack pointers from plain addresses.
    Ok(low.expose_provenance())
}

fn try_light_guard() -> Result<(), i32> {
    let page = page_size();
    let low = map(page)?;
    let place = ptr::without_provenance_mut(low);
    // SAFETY: our own mapping.
    let rc = unsafe { libc::madvise(place, page, MADV_GUARD_INSTALL) };
    let answer = if rc == 0 { Ok(()) } else { Err(errno()) };
    // SAFETY: ours, and not used any more.
    unsafe { libc::munmap(place, page) };
    answer
}

fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
