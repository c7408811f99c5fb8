//! Arena: which slot is whose.
//! take: warm fibers, the most recently used; if there is none, one cold fiber on a trimmed, a bare
//! or a fresh slot.   give: warm again.   trim: the least recently used lose fiber and memory.
//!
//! ```text
//!   fresh --take--> out --give--> warm --take--> out
//!     |guard refused                |trim
//!     v                             v
//!   bare ---take--> out          trimmed --take--> out     (trimmed: the guard is in place)
//! ```
//!
//! [C1] A slot is out, warm, trimmed, bare or fresh: exactly one of these.
//! [C2] A fiber runs only on a slot whose guard is in place.
//! [C3] A mapping is unmapped only if no fiber is out and nobody called `leak`.
//! Costs: a cold fiber 4.3 us on a fresh slot; a warm one 36 ns alone, 13 ns in batches of 64, taken
//! and given back (measured: `measure.rs`).
//! The lock is taken for a batch of fibers at a time and never across a switch; the checkers don't
//! see it. Making a cold fiber (two page-table updates and a page fault) happens outside it.
//! Checked by: src/context/tests.rs.

use super::mapping::{Guards, Mapping, stride_for};
use super::{Entry, Fiber, StackError};
use crate::platform::unmodelled::{AtomicU32, Mutex, Ordering};
use crate::platform::{Arc, MODELLED};
use std::collections::VecDeque;
use std::fmt;
use std::mem::ManuallyDrop;

/// Fibers that `trim` handles under one hold of the lock, so that `take` never waits for long.
const TRIM_BATCH: usize = 32;

/// Stacks of one size in one reserved mapping, with a fiber on each that was ever used.
pub struct Arena {
    mapping: ManuallyDrop<Mapping>,
    entry: Entry,
    number: u32,
    state: Mutex<State>,
}

/// Each slot is in one of these places. [C1]
#[derive(Default)]
struct State {
    /// Fibers at rest, the most recently used last.
    warm: VecDeque<Fiber>,
    /// Slots without fiber and memory; their guards are in place.
    trimmed: Vec<u32>,
    /// Slots whose guard the kernel refused, to be tried again.
    bare: Vec<u32>,
    /// Slots from here on were never used.
    fresh: u32,
    /// Fibers taken and not given back.
    out: usize,
    /// Never to be unmapped.
    leaked: bool,
}

/// A slot for a cold fiber.
enum Claim {
    Guarded(u32),
    Bare(u32),
}

impl Arena {
    /// Reserves `slots` slots of `stack_size` bytes each, guard page included, rounded up to an odd
    /// number of pages. Address space only: memory comes as stacks are touched. Each fiber runs `entry`.
    ///
    /// # Errors
    /// A size or a number out of range, or a kernel that refuses.
    pub fn new(stack_size: usize, slots: usize, entry: Entry) -> Result<Arc<Arena>, StackError> {
        Arena::with_guards(stack_size, slots, entry, Guards::of_this_kernel())
    }

    /// As [`new`](Arena::new), with the kind of guard chosen: for tests of the fallback.
    #[doc(hidden)]
    pub fn with_guards(
        stack_size: usize,
        slots: usize,
        entry: Entry,
        guards: Guards,
    ) -> Result<Arc<Arena>, StackError> {
        let stride = stride_for(stack_size)?;
        if MODELLED {
            return cached(stride, slots, entry, guards);
        }
        Arena::reserve(stride, slots, entry, guards).map(Arc::new)
    }

    fn reserve(
        stride: usize,
        slots: usize,
        entry: Entry,
        guards: Guards,
    ) -> Result<Arena, StackError> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        let mapping = ManuallyDrop::new(Mapping::reserve(stride, slots, guards)?);
        // Relaxed: only uniqueness counts.
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Ok(Arena { mapping, entry, number, state: Mutex::default() })
    }

    /// How many slots of `stack_size` bytes a new arena may have on this kernel: what a default
    /// should be clamped to. 0 for a size that is out of range.
    pub fn max_slots(stack_size: usize) -> usize {
        stride_for(stack_size).map_or(0, |stride| Guards::of_this_kernel().allowed(stride))
    }

    /// The size of a slot in bytes, guard page included.
    pub fn stack_size(&self) -> usize {
        self.mapping.stride()
    }

    /// The number of slots.
    pub fn slots(&self) -> usize {
        self.mapping.slots()
    }

    /// Takes fibers off the arena: up to `max` warm ones, the most recently used, put so that
    /// `into.pop()` is the most recent of all; if none is warm, one cold fiber.
    ///
    /// # Errors
    /// Every slot is in use, or the kernel refuses a guard page. Nothing was taken then.
    pub fn take(&self, into: &mut Vec<Fiber>, max: usize) -> Result<(), StackError> {
        let mut state = self.lock();
        let warm = state.warm.len();
        let taken = warm.min(max);
        if taken > 0 {
            into.extend(state.warm.drain(warm - taken..));
            state.out += taken;
            return Ok(());
        }
        let claim = state.claim(self.slots());
        drop(state);
        into.push(self.cold(claim?)?);
        Ok(())
    }

    /// Gives fibers back, the most recently used last. They are at rest (a duty of
    /// [`Fiber::resume`]).
    pub fn give(&self, fibers: impl Iterator<Item = Fiber>) {
        let mut state = self.lock();
        for fiber in fibers {
            if fiber.arena() != self.number {
                foreign(&fiber, self);
            }
            state.out -= 1;
            state.warm.push_back(fiber);
        }
    }

    /// Gives the memory of warm fibers back to the kernel, the least recently used first, until
    /// `keep` are left, at most `most` of them; returns how many it were. Their guards stay, and
    /// their slots are used again before any fresh one.
    pub fn trim(&self, keep: usize, most: usize) -> usize {
        let mut trimmed = 0;
        loop {
            let mut state = self.lock();
            let surplus = state.warm.len().saturating_sub(keep);
            let batch = surplus.min(most - trimmed).min(TRIM_BATCH);
            if batch == 0 {
                return trimmed;
            }
            let State { warm, trimmed: slots, .. } = &mut *state;
            // A fiber at rest is forgotten: nothing on its stack must be dropped (duty of entry).
            for fiber in warm.drain(..batch) {
                let slot = fiber.slot() as u32;
                self.mapping.discard(slot);
                slots.push(slot);
            }
            trimmed += batch;
        }
    }

    /// How many slots have their fiber out.
    pub fn in_use(&self) -> usize {
        self.lock().out
    }

    /// The mapping will never be unmapped: for a shutdown that leaves goroutines suspended. (While
    /// a fiber is out it would not be either.)
    pub fn leak(&self) {
        self.lock().leaked = true;
    }

    #[cold]
    fn cold(&self, claim: Claim) -> Result<Fiber, StackError> {
        let index = match claim {
            Claim::Guarded(index) => index,
            Claim::Bare(index) => {
                if let Err(error) = self.mapping.guard(index) {
                    self.lock().unclaim(index);
                    return Err(error);
                }
                index
            }
        };
        let (low, stride) = (self.mapping.low_of(index), self.mapping.stride());
        // SAFETY:
        // - the guard is in place [C2], and the mapping stays while this fiber is out [C3];
        // - the slot was claimed, so it is in no other place. [C1]
        Ok(unsafe { Fiber::on(low, stride, index, self.number, self.entry) })
    }

    fn lock(&self) -> impl std::ops::DerefMut<Target = State> + '_ {
        // No step of a critical section leaves the state half changed.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl State {
    fn claim(&mut self, slots: usize) -> Result<Claim, StackError> {
        let claim = if let Some(index) = self.trimmed.pop() {
            Claim::Guarded(index)
        } else if let Some(index) = self.bare.pop() {
            Claim::Bare(index)
        } else if (self.fresh as usize) < slots {
            self.fresh += 1;
            Claim::Bare(self.fresh - 1)
        } else {
            return Err(StackError::Exhausted { slots });
        };
        self.out += 1;
        Ok(claim)
    }

    fn unclaim(&mut self, index: u32) {
        self.out -= 1;
        self.bare.push(index);
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        if state.out == 0 && !state.leaked {
            // SAFETY: dropped here once, and used by nobody: no fiber is out. [C3]
            unsafe { ManuallyDrop::drop(&mut self.mapping) };
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Arena")
            .field("stack_size", &self.stack_size())
            .field("slots", &self.slots())
            .field("guards", &self.mapping.guards())
            .field("out", &state.out)
            .field("warm", &state.warm.len())
            .field("trimmed", &state.trimmed.len())
            .finish_non_exhaustive()
    }
}

/// A checker runs thousands of executions a second, and each makes its arena: reservation and cold
/// stacks would cost more than all else. So arenas are kept, and used again by the next execution
/// if nothing of them is in use any more.
fn cached(
    stride: usize,
    slots: usize,
    entry: Entry,
    guards: Guards,
) -> Result<Arc<Arena>, StackError> {
    static CACHE: Mutex<Vec<Arc<Arena>>> = Mutex::new(Vec::new());
    let mut cache = CACHE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // An execution that failed leaves suspended fibers, and that arena to nobody: drop it (which
    // leaks its mapping).
    cache.retain(|arena| Arc::strong_count(arena) > 1 || !arena.is_spoiled());
    let found = cache.iter().find(|arena| {
        Arc::strong_count(arena) == 1
            && (arena.stack_size(), arena.slots()) == (stride, slots)
            && arena.mapping.guards() == guards
            && std::ptr::fn_addr_eq(arena.entry, entry)
    });
    if let Some(arena) = found {
        return Ok(Arc::clone(arena));
    }
    let arena = Arc::new(Arena::reserve(stride, slots, entry, guards)?);
    cache.push(Arc::clone(&arena));
    Ok(arena)
}

impl Arena {
    /// Where a slot begins.
    #[cfg(test)]
    pub(super) fn low_of(&self, slot: usize) -> usize {
        self.mapping.low_of(slot as u32)
    }

    fn is_spoiled(&self) -> bool {
        let state = self.lock();
        state.out > 0 || state.leaked
    }
}

#[cold]
fn foreign(fiber: &Fiber, arena: &Arena) -> ! {
    eprintln!("selvedge: give: expected a fiber of arena {}, found {fiber:?}", arena.number);
    std::process::abort();
}
