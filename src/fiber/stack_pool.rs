//! Arena: which slot is whose.
//! take: warm fibers, the most recently used; if there is none, one cold fiber on a trimmed, a bare
//! or a fresh slot.   give: warm again.   trim: the least recently used lose fiber and memory.
//! release: segments without a slot in use go back to the kernel.
//!
//! ```text
//!   fresh --take--> out --give--> warm --take--> out
//!     |guard refused                |trim
//!     v                             v
//!   bare ---take--> out          trimmed --take--> out     (trimmed: the guard is in place)
//! ```
//!
//! [C1] A slot is out, warm, trimmed, bare or fresh: exactly one of these.
//! [C2] A fiber runs only on a slot whose guard is in place, unless the builder allowed stacks without.
//! [C3] A segment is unmapped only if no slot of it is out or warm.
//! [C5] In a strained arena, every cell of a goroutine that may be spawned has an open slot.
//! Costs: a cold fiber 4.3 us on a fresh slot; a warm one 36 ns alone, 13 ns in batches of 64, taken
//! and given back (measured: `measure.rs`).
//! The lock is taken for a batch of fibers at a time and never across a switch; the checkers don't
//! see it. Making a cold fiber (two page-table updates and a page fault) happens outside it.
//! trim and release: `trim.rs`.
//! Checked by: src/fiber/tests.rs, src/fiber/segment_tests.rs.

use super::segments::{Claim, Segments};
use super::stack_mapping;
use super::stack_mapping::Guards;
use super::thread_locals::Blocks;
use super::{Entry, Fiber, MAX_SLOTS, SlotLayout, StackError, budget};
use crate::platform::unmodelled::{AtomicBool, AtomicU32, Mutex, Ordering};
use crate::platform::{Arc, MODELLED};
use std::collections::VecDeque;
use std::fmt;

/// Address space that one arena may ask for; of the 128 TiB of x86-64.
const MAX_BYTES: usize = 1 << 45;

/// Stacks of one size, with a fiber on each that was ever used.
pub struct StackPool {
    plan: StackPoolPlan,
    entry: Entry,
    /// Each fiber has thread-locals of its own.
    blocks: Option<&'static Blocks>,
    number: u32,
    /// A guard or address space was refused once: see `secure`.
    strained: AtomicBool,
    pub(super) state: Mutex<State>,
}

/// What an arena is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackPoolPlan {
    /// How a slot is divided.
    pub layout: SlotLayout,
    /// The largest number of slots.
    pub slots: usize,
    /// The guards to try first.
    pub guards: Guards,
    /// Whether a slot may be used without a guard where the kernel refuses one.
    pub may_lack_guards: bool,
    /// Whether stacks are painted, so that what was used of them can be told.
    pub painted: bool,
}

impl StackPoolPlan {
    fn check(&self) -> Result<(), StackError> {
        let allowed = StackPool::max_slots(self.layout);
        if self.slots == 0 || self.slots > allowed {
            return Err(StackError::Slots { asked: self.slots, allowed });
        }
        Ok(())
    }
}

/// Each slot is in one of these places. [C1]
pub(super) struct State {
    /// Fibers at rest, the most recently used last.
    pub(super) warm: VecDeque<Fiber>,
    /// Where all slots are; those that are trimmed, bare or fresh are nowhere else.
    pub(super) segments: Segments,
    /// Fibers taken and not given back.
    out: usize,
    /// The fewest warm fibers since `idle` was asked.
    pub(super) fewest_warm: usize,
}

impl StackPool {
    /// An arena of `slots` slots with light guards, if the kernel has them. Address space is reserved as
    /// it is needed, and memory comes as stacks are touched. Each fiber runs `entry`.
    ///
    /// # Errors
    /// A number out of range, or a kernel that refuses even the first stacks.
    pub fn new(
        layout: SlotLayout,
        slots: usize,
        entry: Entry,
    ) -> Result<Arc<StackPool>, StackError> {
        let guards = Guards::Light;
        let plan = StackPoolPlan { layout, slots, guards, may_lack_guards: false, painted: false };
        StackPool::of(plan, entry)
    }

    /// As [`of`](Arena::of), for fibers with thread-locals of their own, above their frames: the plan's layout
    /// leaves [`Blocks::bytes`] for them.
    ///
    /// # Errors
    /// As [`new`](Arena::new).
    pub fn isolated(
        plan: StackPoolPlan,
        entry: Entry,
        blocks: &'static Blocks,
    ) -> Result<Arc<StackPool>, StackError> {
        plan.check()?;
        let mut arena = StackPool::make(plan, entry)?;
        arena.blocks = Some(blocks);
        Ok(Arc::new(arena))
    }

    /// What [`Fiber::resume`] must be told for the fibers of this arena.
    #[inline]
    pub fn blocks(&self) -> Option<&'static Blocks> {
        self.blocks
    }

    /// As [`new`](Arena::new), with every choice.
    ///
    /// # Errors
    /// As [`new`](Arena::new).
    pub fn of(plan: StackPoolPlan, entry: Entry) -> Result<Arc<StackPool>, StackError> {
        plan.check()?;
        if MODELLED {
            return cached(plan, entry);
        }
        StackPool::make(plan, entry).map(Arc::new)
    }

    fn make(plan: StackPoolPlan, entry: Entry) -> Result<StackPool, StackError> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only uniqueness counts.
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let segments = Segments::new(plan.layout, plan.slots as u32, plan.guards);
        let state = State { warm: VecDeque::new(), segments, out: 0, fewest_warm: 0 };
        let strained = AtomicBool::new(false);
        let state = Mutex::new(state);
        let arena = StackPool { plan, entry, blocks: None, number, strained, state };
        // Whoever asked is told now if there is no stack at all. One that is open is used first.
        arena.open_one()?;
        Ok(arena)
    }

    /// How many slots an arena may have, by address space.
    pub fn max_slots(layout: SlotLayout) -> usize {
        MAX_SLOTS.min(MAX_BYTES / layout.stride())
    }

    /// How many stacks this kernel guards in a process, as far as can be said beforehand.
    pub fn guarded_slots() -> usize {
        match stack_mapping::guards_of_this_kernel() {
            Guards::Light => usize::MAX,
            Guards::Protected => budget::most(),
        }
    }

    /// What it is made of.
    pub fn plan(&self) -> StackPoolPlan {
        self.plan
    }

    /// What its fibers run.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// How its slots are divided.
    pub fn layout(&self) -> SlotLayout {
        self.plan.layout
    }

    /// The largest number of slots.
    pub fn slots(&self) -> usize {
        self.plan.slots
    }

    /// Takes fibers off the arena: up to `max` warm ones, the most recently used, put so that
    /// `into.pop()` is the most recent of all; if none is warm, one cold fiber.
    ///
    /// # Errors
    /// Every slot is in use, or the kernel refuses a guard or address space. Nothing was taken then.
    pub fn take(&self, into: &mut Vec<Fiber>, max: usize) -> Result<(), StackError> {
        let mut state = self.lock();
        let warm = state.warm.len();
        let taken = warm.min(max);
        if taken > 0 {
            into.extend(state.warm.drain(warm - taken..));
            state.out += taken;
            state.fewest_warm = state.fewest_warm.min(warm - taken);
            return Ok(());
        }
        state.fewest_warm = 0;
        let claim = state.segments.claim(false);
        state.out += usize::from(claim.is_ok());
        drop(state);
        into.push(self.cold(claim)?);
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

    /// How many slots have their fiber out.
    pub fn in_use(&self) -> usize {
        self.lock().out
    }

    #[cold]
    fn cold(&self, claim: Result<Claim, StackError>) -> Result<Fiber, StackError> {
        let claim = claim.inspect_err(|_| self.strain())?;
        if !claim.is_open
            && let Err(error) = self.open(claim)
        {
            self.lock().out -= 1;
            return Err(error);
        }
        if self.plan.painted {
            self.paint(claim);
        }
        // SAFETY:
        // - the guard is in place [C2], and the segment stays while this slot is out [C3];
        // - the slot was claimed, so it is in no other place. [C1]
        Ok(unsafe {
            let (low, layout) = (claim.slot.low, self.plan.layout);
            Fiber::on(low, layout, claim.number, self.number, self.entry, self.blocks)
        })
    }

    /// Opens the slot of a claim, or gives the claim up.
    fn open(&self, claim: Claim) -> Result<(), StackError> {
        let opened = claim.slot.open(self.plan.may_lack_guards);
        let mut state = self.lock();
        match opened {
            Ok(opened) => {
                state.segments.opened_as(claim.number, opened);
                drop(state);
                if opened != stack_mapping::Opened::Light {
                    self.strain();
                }
                Ok(())
            }
            Err(error) => {
                state.segments.unclaim(claim.number);
                drop(state);
                self.strain();
                Err(error)
            }
        }
    }

    /// Whether guards or address space are scarce, so that whoever accepts a goroutine calls
    /// [`secure`](Arena::secure) first.
    #[inline]
    pub fn is_strained(&self) -> bool {
        // Relaxed: a hint. Where it is seen late, a goroutine waits for its stack.
        self.strained.load(Ordering::Relaxed)
    }

    fn strain(&self) {
        // Relaxed: see `is_strained`.
        self.strained.store(true, Ordering::Relaxed);
    }

    /// Sees to it that `slots` slots are open, in use or not. [C5]
    ///
    /// # Errors
    /// The kernel refuses, or the arena has fewer.
    pub fn secure(&self, slots: usize) -> Result<(), StackError> {
        while self.lock().segments.opened() < slots {
            self.open_one()?;
        }
        Ok(())
    }

    fn open_one(&self) -> Result<(), StackError> {
        let claim = self.lock().segments.claim(true)?;
        self.open(claim)?;
        self.lock().segments.trimmed(claim.number);
        Ok(())
    }

    pub(super) fn lock(&self) -> impl std::ops::DerefMut<Target = State> + '_ {
        // No step of a critical section leaves the state half changed.
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for StackPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Arena")
            .field("layout", &self.plan.layout)
            .field("slots", &self.plan.slots)
            .field("out", &state.out)
            .field("warm", &state.warm.len())
            .field("opened", &state.segments.opened())
            .finish_non_exhaustive()
    }
}

/// A checker runs thousands of executions a second, and each makes its arena: reservation and cold
/// stacks would cost more than all else. So arenas are kept, and used again by the next execution
/// if nothing of them is in use any more.
fn cached(plan: StackPoolPlan, entry: Entry) -> Result<Arc<StackPool>, StackError> {
    static CACHE: Mutex<Vec<Arc<StackPool>>> = Mutex::new(Vec::new());
    let mut cache = CACHE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // An execution that failed leaves suspended fibers, and that arena to nobody: drop it (which
    // leaks its segments).
    cache.retain(|arena| Arc::strong_count(arena) > 1 || arena.in_use() == 0);
    let found = cache.iter().find(|arena| {
        Arc::strong_count(arena) == 1
            && arena.plan == plan
            && std::ptr::fn_addr_eq(arena.entry, entry)
    });
    if let Some(arena) = found {
        return Ok(Arc::clone(arena));
    }
    let arena = Arc::new(StackPool::make(plan, entry)?);
    cache.push(Arc::clone(&arena));
    Ok(arena)
}

#[cfg(test)]
impl StackPool {
    /// Where a slot begins that is in use.
    pub(super) fn low_of(&self, slot: usize) -> usize {
        self.lock().segments.slot(slot as u32).low
    }
}

#[cold]
fn foreign(fiber: &Fiber, arena: &StackPool) -> ! {
    eprintln!("selvedge: give: expected a fiber of arena {}, found {fiber:?}", arena.number);
    std::process::abort();
}
