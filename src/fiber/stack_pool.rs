//! Stack pool: records the state of each slot, and lends fibers to workers.
//! take: returns warm fibers, the most recently used first. If no fiber is warm, take makes one cold fiber on
//! a trimmed, bare or fresh slot.
//! give: makes fibers warm again.
//! trim: the least recently used fibers lose their memory and are forgotten.
//! release: gives segments without a slot in use back to the kernel.
//!
//! ```text
//!   fresh --take--> out --give--> warm --take--> out
//!     |guard refused                |trim
//!     v                             v
//!   bare ---take--> out          trimmed --take--> out     (trimmed: the guard is in place)
//! ```
//!
//! [C1] A slot is always in exactly one of these states: out, warm, trimmed, bare or fresh.
//! [C2] A fiber runs only on a slot that has its guard, unless the builder allowed stacks without guards.
//! [C3] A segment is unmapped only if none of its slots is out or warm.
//! [C5] In a strained pool, every goroutine cell that may be spawned has an open slot.
//! Costs: a cold fiber on a fresh slot takes 4.3 us. To take and give back a warm fiber takes 36 ns for a
//! single fiber, and 13 ns each in batches of 64 (measured by `measure.rs`).
//! The lock is taken once for a batch of fibers, and never held across a switch. The checkers do not see this
//! lock. A cold fiber (two page-table updates and a page fault) is made without the lock.
//! The code of trim and release is in `trim.rs`.
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

/// The largest address space that one pool may ask for, out of the 128 TiB of x86-64.
const MAX_BYTES: usize = 1 << 45;

/// Stacks of one size. Each slot that was used has a fiber, until the slot is trimmed.
pub struct StackPool {
    plan: StackPoolPlan,
    entry: Entry,
    /// `Some` if each fiber has thread-locals of its own.
    blocks: Option<&'static Blocks>,
    number: u32,
    /// True after the kernel has refused a guard or address space once (see `secure`).
    strained: AtomicBool,
    pub(super) state: Mutex<State>,
}

/// The properties of a stack pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackPoolPlan {
    /// How a slot is divided.
    pub layout: SlotLayout,
    /// The largest number of slots.
    pub slots: usize,
    /// The kind of guards to try first.
    pub guards: Guards,
    /// Whether a slot may be used without a guard if the kernel refuses the guard.
    pub may_lack_guards: bool,
    /// Whether stacks are painted, so that the used part of a stack can be measured.
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

/// The states of the slots. Each slot is in exactly one state. [C1]
pub(super) struct State {
    /// Fibers at rest, with the most recently used fiber last.
    pub(super) warm: VecDeque<Fiber>,
    /// The state of every slot. Trimmed, bare and fresh slots are recorded only here.
    pub(super) segments: Segments,
    /// The number of fibers that were taken and not given back.
    out: usize,
    /// The smallest number of warm fibers since the last call of `idle`.
    pub(super) fewest_warm: usize,
}

impl StackPool {
    /// Makes a pool of `slots` slots, with light guards if the kernel has them. Address space is reserved
    /// when it is needed, and memory is allocated when stacks are touched. Each fiber runs `entry`.
    ///
    /// # Errors
    /// Returns an error if a number is out of range, or if the kernel refuses even the first stack.
    pub fn new(
        layout: SlotLayout,
        slots: usize,
        entry: Entry,
    ) -> Result<Arc<StackPool>, StackError> {
        let guards = Guards::Light;
        let plan = StackPoolPlan { layout, slots, guards, may_lack_guards: false, painted: false };
        StackPool::of(plan, entry)
    }

    /// Does the same as [`of`](StackPool::of), for fibers that have thread-locals of their own above their
    /// frames. The plan's layout must reserve [`Blocks::bytes`] for the thread-locals.
    ///
    /// # Errors
    /// The errors are those of [`new`](StackPool::new).
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

    /// Returns the blocks that [`Fiber::resume`] needs for the fibers of this pool.
    #[inline]
    pub fn blocks(&self) -> Option<&'static Blocks> {
        self.blocks
    }

    /// Does the same as [`new`](StackPool::new). The plan sets every property of the pool.
    ///
    /// # Errors
    /// The errors are those of [`new`](StackPool::new).
    pub fn of(plan: StackPoolPlan, entry: Entry) -> Result<Arc<StackPool>, StackError> {
        plan.check()?;
        if MODELLED {
            return cached(plan, entry);
        }
        StackPool::make(plan, entry).map(Arc::new)
    }

    fn make(plan: StackPoolPlan, entry: Entry) -> Result<StackPool, StackError> {
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only uniqueness matters.
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let segments = Segments::new(plan.layout, plan.slots as u32, plan.guards);
        let state = State { warm: VecDeque::new(), segments, out: 0, fewest_warm: 0 };
        let strained = AtomicBool::new(false);
        let state = Mutex::new(state);
        let arena = StackPool { plan, entry, blocks: None, number, strained, state };
        // If the kernel refuses every stack, the caller gets the error now. The opened slot is used first.
        arena.open_one()?;
        Ok(arena)
    }

    /// Returns the largest number of slots that the address space of a pool allows.
    pub fn max_slots(layout: SlotLayout) -> usize {
        MAX_SLOTS.min(MAX_BYTES / layout.stride())
    }

    /// Returns how many stacks with guards this kernel probably allows in one process.
    pub fn guarded_slots() -> usize {
        match stack_mapping::guards_of_this_kernel() {
            Guards::Light => usize::MAX,
            Guards::Protected => budget::most(),
        }
    }

    /// Returns the plan of this pool.
    pub fn plan(&self) -> StackPoolPlan {
        self.plan
    }

    /// Returns the function that the fibers run.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// Returns how the slots are divided.
    pub fn layout(&self) -> SlotLayout {
        self.plan.layout
    }

    /// Returns the largest number of slots.
    pub fn slots(&self) -> usize {
        self.plan.slots
    }

    /// Takes up to `max` warm fibers, the most recently used, in such an order that `into.pop()` returns the
    /// most recent. If no fiber is warm, makes one cold fiber.
    ///
    /// # Errors
    /// Returns an error, and takes no fiber, if every slot is in use, or if the kernel refuses a guard or address
    /// space.
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

    /// Gives fibers back, with the most recently used last. The fibers must be at rest, as [`Fiber::resume`]
    /// demands.
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

    /// Returns how many fibers were taken and not given back.
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
        // - The slot at `low` was opened, so it is writable above its guard. [C2] Its segment is not unmapped while
        //   the slot is out. [C3]
        // - The slot was claimed under the lock, so no other code uses its memory. [C1]
        Ok(unsafe {
            let (low, layout) = (claim.slot.low, self.plan.layout);
            Fiber::on(low, layout, claim.number, self.number, self.entry, self.blocks)
        })
    }

    /// Opens the slot of a claim. If that fails, cancels the claim.
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

    /// Returns true if guards or address space are scarce. Before a goroutine is accepted, the caller must
    /// then call [`secure`](StackPool::secure).
    #[inline]
    pub fn is_strained(&self) -> bool {
        // Relaxed: this flag is a hint. If a thread sees the flag too late, a goroutine only waits for its stack.
        self.strained.load(Ordering::Relaxed)
    }

    fn strain(&self) {
        // Relaxed: see `is_strained`.
        self.strained.store(true, Ordering::Relaxed);
    }

    /// Opens slots until the pool has `slots` open slots. Slots in use count too. [C5]
    ///
    /// # Errors
    /// Returns an error if the kernel refuses, or if the pool has fewer slots.
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
        // A poisoned lock is harmless, because no step of a critical section leaves the state half changed.
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

/// Returns a pool that an earlier execution has made, if no slot of the pool is in use any more. A checker runs
/// thousands of executions per second, and each execution needs a pool. New reservations and cold stacks would
/// cost more than everything else in an execution.
fn cached(plan: StackPoolPlan, entry: Entry) -> Result<Arc<StackPool>, StackError> {
    static CACHE: Mutex<Vec<Arc<StackPool>>> = Mutex::new(Vec::new());
    let mut cache = CACHE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // An execution that failed leaves suspended fibers in its pool, and only the cache owns that pool. The pool
    // is dropped here, which leaks its segments.
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
    /// Returns the address at which a slot that is in use begins.
    pub(super) fn low_of(&self, slot: usize) -> usize {
        self.lock().segments.slot(slot as u32).low
    }
}

#[cold]
fn foreign(fiber: &Fiber, arena: &StackPool) -> ! {
    eprintln!("selvedge: give: expected a fiber of arena {}, found {fiber:?}", arena.number);
    std::process::abort();
}
