//! Pool: the cells of a runtime's goroutines, taken and given back in batches.
//! Cells come in chunks that are freed only with the runtime; a processor keeps some at hand.
//! [G3] No more goroutines are alive than the limit; where the limit is large enough for processors
//! to keep cells at hand, up to two chunks a processor more.
//! Checked by: proptests/runtime/lifecycle.rs.

use super::cell::{Goroutine, Ptr};
use super::current::RuntimeGuard;
use super::ready::SpawnRefusal;
use crate::fiber::StackPool;
use crate::platform;
use crate::platform::{MODELLED, Mutex};
use crate::sched::core::runtime::Shared;
use std::ptr::NonNull;

/// Cells that a processor keeps at hand, up to twice as many; and the least by which the pool grows.
pub(crate) const CHUNK: usize = if MODELLED { 4 } else { 64 };
/// The pool grows by this part of itself,
const GROWTH: usize = 8;
/// but by no more than this, since memory is asked for under the lock.
const MOST: usize = if MODELLED { 4 } else { 1024 };
/// Below this limit no processor keeps cells at hand, so that the limit is exact.
const CACHED_FROM: usize = 4096;

pub(crate) struct Pool {
    inner: Mutex<Inner>,
    limit: usize,
}

struct Inner {
    free: Vec<Ptr>,
    chunks: Vec<Box<[Goroutine]>>,
    total: usize,
    /// Goroutines spawned and not ended, where the limit is exact.
    alive: usize,
    /// Once the runtime has ended: how many cells are still out.
    closed: Option<usize>,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        let inner =
            Inner { free: Vec::new(), chunks: Vec::new(), total: 0, alive: 0, closed: None };
        Pool { inner: Mutex::new(inner), limit }
    }

    /// How many cells a processor keeps at hand. None where stacks are scarce: each of them could be
    /// spawned, so each would need one. [C5]
    pub(crate) fn cache(&self, stack_pool: &StackPool) -> usize {
        if self.is_exact() || stack_pool.is_strained() { 0 } else { CHUNK }
    }

    fn is_exact(&self) -> bool {
        self.limit < CACHED_FROM
    }

    /// A free cell, and up to a cache's worth more for `cache`. Refused at the limit [G3], or where stacks
    /// are scarce and there is none for one more [C5].
    pub(crate) fn take(
        &self,
        shared: &Shared,
        cache: Option<&mut Vec<Ptr>>,
    ) -> Result<Ptr, SpawnRefusal> {
        let mut inner = self.inner.lock();
        let alive = if self.is_exact() { inner.alive } else { shared.surely_live() };
        if alive >= self.limit {
            return Err(SpawnRefusal::Limit);
        }
        if shared.stack_pool.is_strained() {
            // A cell that is out is counted here until its goroutine is admitted there.
            let need = (inner.out() + 1).saturating_sub(shared.alive_elsewhere());
            shared.stack_pool.secure(need).map_err(SpawnRefusal::Stack)?;
        }
        inner.alive += 1;
        if inner.free.is_empty() {
            inner.grow(shared);
        }
        let first = inner.free.pop().expect("just grown");
        if let Some(cache) = cache {
            let more = self.cache(&shared.stack_pool).saturating_sub(1).min(inner.free.len());
            let kept = inner.free.len() - more;
            cache.extend(inner.free.drain(kept..));
        }
        Ok(first)
    }

    /// Calls `f` with the number of cells that are out, and lets none out meanwhile.
    pub(crate) fn with_out<R>(&self, f: impl FnOnce(usize) -> R) -> R {
        let inner = self.inner.lock();
        f(inner.out())
    }

    /// A goroutine is about to end: its joiner may count on there being room for another. [G3]
    pub(crate) fn note_ending(&self) {
        if self.is_exact() {
            self.inner.lock().alive -= 1;
        }
    }

    /// It has not ended yet, after all.
    pub(crate) fn note_going_on(&self) {
        if self.is_exact() {
            self.inner.lock().alive += 1;
        }
    }

    /// Takes cells back. True if the runtime has ended and these were the last.
    #[must_use]
    pub(crate) fn give(&self, cells: impl Iterator<Item = Ptr>) -> bool {
        let mut inner = self.inner.lock();
        let before = inner.free.len();
        inner.free.extend(cells);
        let given = inner.free.len() - before;
        match &mut inner.closed {
            Some(out) => {
                *out -= given;
                *out == 0 && given > 0
            }
            None => false,
        }
    }

    /// The runtime has ended, and all caches were given back. The number of cells still out.
    pub(crate) fn close(&self) -> usize {
        let mut inner = self.inner.lock();
        let out = inner.out();
        inner.closed = Some(out);
        out
    }

    /// Visits every cell. The caller says which of them mean something.
    pub(crate) fn each(&self, mut visit: impl FnMut(Ptr)) {
        let inner = self.inner.lock();
        for cell in inner.chunks.iter().flat_map(|chunk| chunk.iter()) {
            visit(Ptr::from_raw(NonNull::from(cell)));
        }
    }
}

impl Inner {
    /// Cells that are a goroutine's, or that a processor keeps at hand.
    fn out(&self) -> usize {
        self.total - self.free.len()
    }

    fn grow(&mut self, shared: *const Shared) {
        let more = (self.total / GROWTH).clamp(CHUNK, MOST);
        let mut chunk = Vec::with_capacity(more);
        platform::populate(chunk.spare_capacity_mut());
        chunk.extend((0..more).map(|_| Goroutine::vacant(shared)));
        let chunk: Box<[Goroutine]> = chunk.into();
        let cells = chunk.iter().rev().map(|cell| Ptr::from_raw(NonNull::from(cell)));
        self.free.extend(cells);
        self.total += more;
        self.chunks.push(chunk);
    }
}

/// Gives up one reference; the last one recycles the cell. [G1]
pub(crate) fn drop_reference(goroutine: Ptr) {
    if !goroutine.drop_reference() {
        return;
    }
    // SAFETY: that was the last reference, and ours.
    unsafe { goroutine.recycle() };
    let shared = goroutine.shared;
    if let Some(inside) = RuntimeGuard::enter_runtime(shared)
        && inside.recycle(goroutine)
    {
        return;
    }
    Shared::give_cells(shared, std::iter::once(goroutine));
}

/// As [`drop_reference`], by a worker that is inside the runtime, and not in user code.
pub(crate) fn drop_reference_inside(goroutine: Ptr) {
    if goroutine.drop_reference() {
        // SAFETY: that was the last reference, and ours.
        unsafe { goroutine.recycle() };
        Shared::give_cells(goroutine.shared, std::iter::once(goroutine));
    }
}
