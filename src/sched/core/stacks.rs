//! Stacks: where a goroutine's stack comes from. Most have the runtime's stack size and come from its arena, by
//! way of the processors' caches. Others come from an arena for their size, which is made at first use.
//! Their goroutines, and all where stacks are measured, are *special*: a byte of the cell says so.
//! spawn of one with a size of its own: count it, and make sure that there is an open slot for it [C5].
//! begin: take a stack.   end: note what was used of it, give it back, count one less.
//! Checked by: proptests/runtime/stacks.rs.

use super::cell::Ptr;
use super::cell_pool;
use super::config::Config;
use super::processor::FIBER_CACHE;
use super::runtime::Shared;
use crate::fiber::{
    Entry, Fiber, Guards, MAX_STACK_SIZE, MIN_STACK_SIZE, SlotLayout, StackError, StackPool,
    StackPoolPlan, overflow,
};
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use crate::platform::{Arc, Mutex, OnceLock, thread};
use std::collections::HashMap;
use std::io;

/// Where a goroutine's stack comes from: the size, or 0 for the runtime's own size, and whether its use is
/// measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StackKind(u8);

/// In a `StackKind`: measured.
const MEASURED: u8 = 0x80;
/// The smallest size; each further one is four times as large.
const SMALLEST: usize = 64 << 10;
pub(crate) const SIZES: usize = 8;
/// Names beyond so many are counted as none.
const NAMES: usize = 10_000;

impl StackKind {
    /// The runtime's own size, not measured.
    pub(crate) const PLAIN: StackKind = StackKind(0);

    /// For stacks of at least so many bytes.
    pub(crate) fn of(bytes: usize) -> Result<StackKind, StackError> {
        if !(MIN_STACK_SIZE..=MAX_STACK_SIZE).contains(&bytes) {
            return Err(StackError::Size { asked: bytes });
        }
        let fourfold = bytes.div_ceil(SMALLEST).next_power_of_two().ilog2().div_ceil(2);
        Ok(StackKind(fourfold as u8 + 1))
    }

    /// The same, measured if `measured`.
    fn measured(self, measured: bool) -> StackKind {
        StackKind(self.0 | if measured { MEASURED } else { 0 })
    }

    #[inline]
    pub(crate) fn is_measured(self) -> bool {
        self.0 & MEASURED != 0
    }

    /// Which of the sizes, if it is not the runtime's own.
    #[inline]
    fn size(self) -> Option<usize> {
        usize::from(self.0 & !MEASURED).checked_sub(1)
    }
}

/// The bytes of a stack of this size.
fn bytes_of(size: usize) -> usize {
    (SMALLEST << (2 * size)).min(MAX_STACK_SIZE)
}

/// Arenas for stacks of other sizes, and what was measured.
pub(crate) struct Stacks {
    sized: [Sized; SIZES],
    uses: Mutex<HashMap<Option<Box<str>>, StackUse>>,
}

/// Stacks of one size.
struct Sized {
    stack_pool: OnceLock<Arc<StackPool>>,
    /// Goroutines that have such a stack, or will get one.
    alive: AtomicUsize,
}

/// How much of their stacks goroutines of one name have used. See
/// [`Runtime::stack_use`](crate::Runtime::stack_use).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackUse {
    /// The name; `None` for those without one, and for those of the 10,001st name and on.
    pub name: Option<String>,
    /// How many goroutines of this name have ended.
    pub goroutines: u64,
    /// The most bytes that one of them has used of its stack.
    pub most: usize,
    /// The bytes that the stack of that one had.
    pub size: usize,
}

impl Shared {
    /// How many stacks a runtime of these sizes can have in use or at hand.
    pub(crate) fn stacks(max_goroutines: usize, max_processors: u32) -> usize {
        max_goroutines + (2 * cell_pool::CHUNK + FIBER_CACHE + 1) * max_processors as usize
    }

    /// Room for every goroutine's stack.
    pub(crate) fn make_stack_pool(
        config: &Config,
        entry: Entry,
    ) -> Result<Arc<StackPool>, StackError> {
        let plan = StackPoolPlan {
            layout: config.layout,
            slots: Shared::stacks(config.max_goroutines, config.max_processors),
            guards: Guards::Light,
            may_lack_guards: config.may_lack_guards,
            painted: config.measure_stacks,
        };
        match config.blocks {
            Some(blocks) => StackPool::isolated(plan, entry, blocks),
            None => StackPool::of(plan, entry),
        }
    }

    /// The arena of stacks of this kind.
    fn pool_of(&self, kind: StackKind) -> Result<&Arc<StackPool>, StackError> {
        let Some(size) = kind.size() else { return Ok(&self.stack_pool) };
        let place = &self.stacks.sized[size].stack_pool;
        if let Some(stack_pool) = place.get() {
            return Ok(stack_pool);
        }
        let plan = self.stack_pool.plan();
        let layout = SlotLayout::new(bytes_of(size), plan.layout.guard(), plan.layout.top())?;
        let slots = plan.slots.min(StackPool::max_slots(layout));
        let plan = StackPoolPlan { layout, slots, ..plan };
        let stack_pool = match self.stack_pool.blocks() {
            Some(blocks) => StackPool::isolated(plan, self.stack_pool.entry(), blocks)?,
            None => StackPool::of(plan, self.stack_pool.entry())?,
        };
        // Another thread may have been quicker: then this one, of which nothing was used, goes.
        Ok(place.get_or_init(|| stack_pool))
    }

    /// All arenas that there are, by number, the runtime's own first.
    pub(crate) fn stack_pools(&self) -> impl Iterator<Item = (usize, &Arc<StackPool>)> {
        let sized = self.stacks.sized.iter().map(|sized| sized.stack_pool.get());
        let all = std::iter::once(Some(&self.stack_pool)).chain(sized);
        all.enumerate().filter_map(|(number, stack_pool)| Some((number, stack_pool?)))
    }

    /// The goroutine that is about to be spawned in this cell shall have a stack of its own size. If there is
    /// none, the cell goes back to the pool.
    #[cold]
    pub(crate) fn admit(&self, cell: Ptr, kind: StackKind) -> Result<(), StackError> {
        let admitted = self.pool_of(kind).and_then(|stack_pool| {
            let Some(size) = kind.size() else { return Ok(()) };
            // Relaxed: `secure` takes the arena's lock, under which `release` reads this.
            let alive = self.stacks.sized[size].alive.fetch_add(1, Ordering::Relaxed) + 1;
            let admitted = if alive > stack_pool.slots() {
                Err(StackError::Exhausted { slots: stack_pool.slots() })
            } else if stack_pool.is_strained() {
                stack_pool.secure(alive)
            } else {
                Ok(())
            };
            admitted.inspect_err(|_| self.renounce_stack(kind))
        });
        match admitted {
            Ok(()) => cell.own.stack.set(kind),
            Err(_) => {
                self.pool.note_ending();
                Shared::give_cells(self, std::iter::once(cell));
            }
        }
        admitted
    }

    /// A goroutine that was admitted has ended.
    fn renounce_stack(&self, kind: StackKind) {
        if let Some(size) = kind.size() {
            // Relaxed: a count.
            self.stacks.sized[size].alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// How many goroutines have a stack of this one of the sizes, or count on one.
    pub(crate) fn alive_on(&self, size: usize) -> usize {
        // Relaxed: read under the arena's lock, which a spawn takes after it has counted itself.
        self.stacks.sized[size].alive.load(Ordering::Relaxed)
    }

    /// How many goroutines need no stack of the runtime's own size.
    pub(crate) fn alive_elsewhere(&self) -> usize {
        (0..SIZES).map(|size| self.alive_on(size)).sum()
    }

    /// Stacks of the runtime's own size, at least one. Where stacks are measured, there is never one at hand, so
    /// each goroutine comes here, and is special from now on.
    #[cold]
    pub(crate) fn take_plain(
        &self,
        goroutine: Ptr,
        into: &mut Vec<Fiber>,
    ) -> Result<(), StackError> {
        let is_measured = self.config.measure_stacks;
        self.stack_pool.take(into, if is_measured { 1 } else { FIBER_CACHE / 2 })?;
        goroutine.own.stack.set(StackKind::PLAIN.measured(is_measured));
        Ok(())
    }

    /// A stack for a special goroutine.
    #[cold]
    pub(crate) fn take_special(&self, goroutine: Ptr) -> Result<Fiber, StackError> {
        let mut one = Vec::with_capacity(1);
        let kind = goroutine.own.stack.get().measured(self.config.measure_stacks);
        goroutine.own.stack.set(kind);
        self.pool_of(kind)?.take(&mut one, 1)?;
        Ok(one.pop().expect("the arena gave one"))
    }

    /// The stack of a goroutine that has ended goes back to its arena.
    ///
    /// # Safety
    /// The fiber is at rest, and was this goroutine's.
    #[cold]
    pub(crate) unsafe fn give_stack(&self, goroutine: Ptr, fiber: Fiber) {
        let kind = goroutine.own.stack.get();
        let stack_pool = self.pool_of(kind).expect("the stack came from there");
        if kind.is_measured() {
            // SAFETY: the caller's promise.
            let used = unsafe { stack_pool.repaint(&fiber) };
            self.stacks.note(goroutine.name(), used, stack_pool.layout().usable(), 0);
        }
        stack_pool.give(std::iter::once(fiber));
        self.renounce_stack(kind);
        // As in each vacant cell.
        goroutine.own.stack.set(StackKind::PLAIN);
    }

    /// Called by a measured goroutine before its end is told, so that its joiner finds what it has used.
    #[cold]
    pub(crate) fn measure_caller(&self, goroutine: Ptr) {
        let stack_pool =
            self.pool_of(goroutine.own.stack.get()).expect("the stack came from there");
        if let Some(used) = stack_pool.used_by_caller() {
            self.stacks.note(goroutine.name(), used, stack_pool.layout().usable(), 1);
        }
    }

    /// Whether what a goroutine with such a stack may call fits a helper's stack as well.
    pub(crate) fn fits_helper(&self, kind: StackKind) -> bool {
        kind.size().is_none_or(|size| bytes_of(size) <= self.config.layout.usable())
    }

    /// Starts the helper of this number. Its stack is as large as a goroutine's, so that a call succeeds or
    /// fails the same wherever it runs.
    pub(crate) fn start_helper(&self, number: usize) -> io::Result<thread::JoinHandle> {
        let this = self.counted();
        let name = format!("{}-helper", self.config.thread_name);
        thread::spawn_on(self.config.layout.usable(), name, move || {
            overflow::ensure_alternate_stack();
            this.helpers.main(&this, number);
        })
    }
}

impl Stacks {
    pub(crate) fn new() -> Self {
        let sized = || Sized { stack_pool: OnceLock::new(), alive: AtomicUsize::new(0) };
        Stacks { sized: std::array::from_fn(|_| sized()), uses: Mutex::new(HashMap::new()) }
    }

    /// `count` more goroutines of this name have used so much of stacks of this size.
    fn note(&self, name: Option<&str>, used: usize, size: usize, count: u64) {
        let mut uses = self.uses.lock();
        let is_known = |name: &str| uses.contains_key(&Some(Box::from(name)));
        let name = name.filter(|name| uses.len() < NAMES || is_known(name));
        let known = uses.entry(name.map(Box::from)).or_insert_with(|| {
            let name = name.map(str::to_owned);
            StackUse { name, goroutines: 0, most: 0, size }
        });
        known.goroutines += count;
        if used > known.most {
            (known.most, known.size) = (used, size);
        }
    }

    /// What was measured; the largest first.
    pub(crate) fn uses(&self) -> Vec<StackUse> {
        let mut all: Vec<_> = self.uses.lock().values().cloned().collect();
        all.sort_by(|one, other| other.most.cmp(&one.most).then_with(|| one.name.cmp(&other.name)));
        all
    }
}
