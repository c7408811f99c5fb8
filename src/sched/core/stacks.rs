//! Decides where a goroutine's stack comes from. Most stacks have the runtime's stack size. They come from
//! the runtime's stack pool, through the processors' caches. For each other size, a stack pool is made at
//! first use. A goroutine is *special* if its stack has another size, or if stacks are measured. A byte of
//! its cell says so.
//!
//! - Spawn with a size: count the goroutine, and make sure that there is an open slot for it [C5].
//! - First run: take a stack.
//! - End: note how much of the stack was used, give it back, and count one goroutine less.
//!
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

/// Says where a goroutine's stack comes from: one of the sizes, or 0 for the runtime's own size. Also says
/// whether its use is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StackKind(u8);

/// The bit of a `StackKind` that says that the stack's use is measured.
const MEASURED: u8 = 0x80;
/// The smallest size. Each further size is four times as large.
const SMALLEST: usize = 64 << 10;
pub(crate) const SIZES: usize = 8;
/// If more names than this are known, goroutines with further names are counted as goroutines without a
/// name.
const NAMES: usize = 10_000;

impl StackKind {
    /// The runtime's own size, not measured.
    pub(crate) const PLAIN: StackKind = StackKind(0);

    /// Returns the kind for stacks of at least this number of bytes.
    pub(crate) fn of(bytes: usize) -> Result<StackKind, StackError> {
        if !(MIN_STACK_SIZE..=MAX_STACK_SIZE).contains(&bytes) {
            return Err(StackError::Size { asked: bytes });
        }
        let fourfold = bytes.div_ceil(SMALLEST).next_power_of_two().ilog2().div_ceil(2);
        Ok(StackKind(fourfold as u8 + 1))
    }

    /// Returns the same kind, with measuring if `measured` is set.
    fn measured(self, measured: bool) -> StackKind {
        StackKind(self.0 | if measured { MEASURED } else { 0 })
    }

    #[inline]
    pub(crate) fn is_measured(self) -> bool {
        self.0 & MEASURED != 0
    }

    /// Returns the index of the size, or `None` for the runtime's own size.
    #[inline]
    fn size(self) -> Option<usize> {
        usize::from(self.0 & !MEASURED).checked_sub(1)
    }
}

/// Returns the number of bytes of a stack of this size.
fn bytes_of(size: usize) -> usize {
    (SMALLEST << (2 * size)).min(MAX_STACK_SIZE)
}

/// The stack pools for other sizes, and the measured uses.
pub(crate) struct Stacks {
    sized: [Sized; SIZES],
    uses: Mutex<HashMap<Option<Box<str>>, StackUse>>,
}

/// The stack pool of one size.
struct Sized {
    stack_pool: OnceLock<Arc<StackPool>>,
    /// The number of goroutines that have a stack of this size or will get one.
    alive: AtomicUsize,
}

/// Says how much of their stacks goroutines of one name have used. See
/// [`Runtime::stack_use`](crate::Runtime::stack_use).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StackUse {
    /// The name. `None` for goroutines without a name, and for goroutines with any name after the first
    /// 10,000 names.
    pub name: Option<String>,
    /// The number of goroutines of this name that have ended.
    pub goroutines: u64,
    /// The largest number of bytes that one of these goroutines has used of its stack.
    pub most: usize,
    /// The size in bytes of that goroutine's stack.
    pub size: usize,
}

impl Shared {
    /// Returns how many stacks a runtime of this size can have in use or in caches.
    pub(crate) fn stacks(max_goroutines: usize, max_processors: u32) -> usize {
        max_goroutines + (2 * cell_pool::CHUNK + FIBER_CACHE + 1) * max_processors as usize
    }

    /// Makes a stack pool that is large enough for every goroutine's stack.
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

    /// Returns the stack pool for this kind, and makes it if needed.
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
        // If another thread made the pool first, this one is dropped. None of its stacks was used.
        Ok(place.get_or_init(|| stack_pool))
    }

    /// Returns all stack pools that were made, with their numbers. The runtime's own pool is the first.
    pub(crate) fn stack_pools(&self) -> impl Iterator<Item = (usize, &Arc<StackPool>)> {
        let sized = self.stacks.sized.iter().map(|sized| sized.stack_pool.get());
        let all = std::iter::once(Some(&self.stack_pool)).chain(sized);
        all.enumerate().filter_map(|(number, stack_pool)| Some((number, stack_pool?)))
    }

    /// Assigns a stack size of its own to the goroutine that is about to be spawned in this cell. If there
    /// is no stack for it, returns the error and gives the cell back to the pool.
    #[cold]
    pub(crate) fn admit(&self, cell: Ptr, kind: StackKind) -> Result<(), StackError> {
        let admitted = self.pool_of(kind).and_then(|stack_pool| {
            let Some(size) = kind.size() else { return Ok(()) };
            // Relaxed: `secure` takes the stack pool's lock, and `release` reads this count under the same
            // lock.
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

    /// Uncounts a goroutine that was admitted and has ended.
    fn renounce_stack(&self, kind: StackKind) {
        if let Some(size) = kind.size() {
            // Relaxed: no code relies on this count to order other memory accesses.
            self.stacks.sized[size].alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Returns how many goroutines have a stack of this size or rely on getting one.
    pub(crate) fn alive_on(&self, size: usize) -> usize {
        // Relaxed: read under the stack pool's lock, which a spawn takes after it has counted itself.
        self.stacks.sized[size].alive.load(Ordering::Relaxed)
    }

    /// Returns how many goroutines need no stack of the runtime's own size.
    pub(crate) fn alive_elsewhere(&self) -> usize {
        (0..SIZES).map(|size| self.alive_on(size)).sum()
    }

    /// Takes at least one stack of the runtime's own size. If stacks are measured, the caches stay empty.
    /// So each goroutine gets its stack here, and is special from now on.
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

    /// Takes a stack for a special goroutine.
    #[cold]
    pub(crate) fn take_special(&self, goroutine: Ptr) -> Result<Fiber, StackError> {
        let mut one = Vec::with_capacity(1);
        let kind = goroutine.own.stack.get().measured(self.config.measure_stacks);
        goroutine.own.stack.set(kind);
        self.pool_of(kind)?.take(&mut one, 1)?;
        Ok(one.pop().expect("the arena gave one"))
    }

    /// Gives the stack of a goroutine that has ended back to its pool.
    ///
    /// # Safety
    /// The fiber must be suspended, and must have been this goroutine's fiber.
    #[cold]
    pub(crate) unsafe fn give_stack(&self, goroutine: Ptr, fiber: Fiber) {
        let kind = goroutine.own.stack.get();
        let stack_pool = self.pool_of(kind).expect("the stack came from there");
        if kind.is_measured() {
            // SAFETY: the caller guarantees that `fiber` is suspended and was this goroutine's. So no code
            // runs on its stack.
            let used = unsafe { stack_pool.repaint(&fiber) };
            self.stacks.note(goroutine.name(), used, stack_pool.layout().usable(), 0);
        }
        stack_pool.give(std::iter::once(fiber));
        self.renounce_stack(kind);
        // Each vacant cell has this kind.
        goroutine.own.stack.set(StackKind::PLAIN);
    }

    /// Measures the calling goroutine's stack. Called before its end is published, so that its joiner finds
    /// the result.
    #[cold]
    pub(crate) fn measure_caller(&self, goroutine: Ptr) {
        let stack_pool =
            self.pool_of(goroutine.own.stack.get()).expect("the stack came from there");
        if let Some(used) = stack_pool.used_by_caller() {
            self.stacks.note(goroutine.name(), used, stack_pool.layout().usable(), 1);
        }
    }

    /// Returns whether a helper's stack is large enough for a call by a goroutine with this kind of stack.
    pub(crate) fn fits_helper(&self, kind: StackKind) -> bool {
        kind.size().is_none_or(|size| bytes_of(size) <= self.config.layout.usable())
    }

    /// Starts the helper with this number. Its stack is as large as a goroutine's, so that a call does not
    /// depend on the thread on which it runs.
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

    /// Records that `count` more goroutines of this name have used `used` bytes of stacks of `size` bytes.
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

    /// Returns the measured uses. The largest is the first.
    pub(crate) fn uses(&self) -> Vec<StackUse> {
        let mut all: Vec<_> = self.uses.lock().values().cloned().collect();
        all.sort_by(|one, other| other.most.cmp(&one.most).then_with(|| one.name.cmp(&other.name)));
        all
    }
}
