//! The pool of a runtime's goroutine cells. Cells are taken and given back in batches. The pool allocates
//! cells in chunks, which are freed only with the runtime. Each processor caches some cells.
//!
//! [G3] No more goroutines are alive than the limit. If the limit is large enough for processors to cache
//! cells, up to two chunks more for each processor may be alive.
//! Checked by: proptests/runtime/lifecycle.rs.

use super::cell::{Goroutine, Ptr};
use super::current::RuntimeGuard;
use super::ready::SpawnRefusal;
use crate::fiber::StackPool;
use crate::platform;
use crate::platform::{MODELLED, Mutex};
use crate::sched::core::runtime::Shared;
use std::ptr::NonNull;

/// The number of cells that a processor caches (it may hold up to twice as many), and the smallest number
/// by which the pool grows.
pub(crate) const CHUNK: usize = if MODELLED { 4 } else { 64 };
/// The pool grows by its size divided by this number, but by no more than `MOST`.
const GROWTH: usize = 8;
/// The largest number of cells by which the pool grows at a time. It is limited because the allocation runs
/// under the lock.
const MOST: usize = if MODELLED { 4 } else { 1024 };
/// If the limit is below this number, processors cache no cells, so that the limit is exact.
const CACHED_FROM: usize = 4096;

pub(crate) struct Pool {
    inner: Mutex<Inner>,
    limit: usize,
}

struct Inner {
    free: Vec<Ptr>,
    chunks: Vec<Box<[Goroutine]>>,
    total: usize,
    /// Goroutines that were spawned and have not ended. Counted only if the limit is exact.
    alive: usize,
    /// The number of cells that are still in use after the runtime has ended. `None` before that.
    closed: Option<usize>,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        let inner =
            Inner { free: Vec::new(), chunks: Vec::new(), total: 0, alive: 0, closed: None };
        Pool { inner: Mutex::new(inner), limit }
    }

    /// Returns how many cells a processor caches. Returns 0 if stacks are scarce, because each cached cell
    /// could be spawned and would then need a stack. [C5]
    pub(crate) fn cache(&self, stack_pool: &StackPool) -> usize {
        if self.is_exact() || stack_pool.is_strained() { 0 } else { CHUNK }
    }

    fn is_exact(&self) -> bool {
        self.limit < CACHED_FROM
    }

    /// Takes a free cell, and fills `cache` with more cells if there is a cache. Fails at the limit [G3],
    /// or if stacks are scarce and there is none for one more goroutine [C5].
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
            // A cell that is in use is counted here until `admit` counts its goroutine among those with
            // other stacks.
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

    /// Calls `f` with the number of cells that are in use or cached. No cell is taken during the call.
    pub(crate) fn with_out<R>(&self, f: impl FnOnce(usize) -> R) -> R {
        let inner = self.inner.lock();
        f(inner.out())
    }

    /// Counts one live goroutine less, because a goroutine is about to end. After that, its joiner can
    /// spawn another goroutine without reaching the limit. [G3]
    pub(crate) fn note_ending(&self) {
        if self.is_exact() {
            self.inner.lock().alive -= 1;
        }
    }

    /// Undoes `note_ending`, because the goroutine has not ended yet.
    pub(crate) fn note_going_on(&self) {
        if self.is_exact() {
            self.inner.lock().alive += 1;
        }
    }

    /// Takes cells back. Returns true if the runtime has ended and no cell is in use any more.
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

    /// Closes the pool after the runtime has ended and all caches were given back. Returns the number of
    /// cells that are still in use.
    pub(crate) fn close(&self) -> usize {
        let mut inner = self.inner.lock();
        let out = inner.out();
        inner.closed = Some(out);
        out
    }

    /// Calls `visit` for every cell. The caller must find out which cells are in use.
    pub(crate) fn each(&self, mut visit: impl FnMut(Ptr)) {
        let inner = self.inner.lock();
        for cell in inner.chunks.iter().flat_map(|chunk| chunk.iter()) {
            visit(Ptr::from_raw(NonNull::from(cell)));
        }
    }
}

impl Inner {
    /// Returns the number of cells that goroutines use or processors cache.
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

/// Drops one reference. Recycles the cell if it was the last. [G1]
pub(crate) fn drop_reference(goroutine: Ptr) {
    if !goroutine.drop_reference() {
        return;
    }
    // SAFETY: the last reference is gone, and this thread dropped it.
    unsafe { goroutine.recycle() };
    let shared = goroutine.shared;
    if let Some(inside) = RuntimeGuard::enter_runtime(shared)
        && inside.recycle(goroutine)
    {
        return;
    }
    Shared::give_cells(shared, std::iter::once(goroutine));
}

/// Like [`drop_reference`], for a worker that is inside the runtime and not in user code.
pub(crate) fn drop_reference_inside(goroutine: Ptr) {
    if goroutine.drop_reference() {
        // SAFETY: the last reference is gone, and this thread dropped it.
        unsafe { goroutine.recycle() };
        Shared::give_cells(goroutine.shared, std::iter::once(goroutine));
    }
}
