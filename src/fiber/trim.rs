//! Trim: gives the memory of stacks that are no longer needed back to the kernel, and later their address space.
//! idle: returns how many warm fibers were not needed recently.
//! trim: gives back the memory of warm fibers, in small batches.
//! release: unmaps segments in which no slot is in use, which also frees their page tables.
//! No lock is held during the kernel's work, because a slot counts as in use until its memory is given back.
//! [C1] [C3]
//! Checked by: src/fiber/segment_tests.rs.

use super::segments::Claim;
use super::stack_mapping::Mapping;
use super::stack_pool::State;
use super::thread_locals::Blocks;
use super::{Fiber, StackPool};
use std::collections::VecDeque;

/// The number of fibers that `trim` takes at a time. The number is small, so that these fibers are missing from
/// the warm fibers only for a short time.
const TRIM_BATCH: usize = 32;

/// Segments that no longer belong to the pool. They are unmapped when dropped.
#[derive(Debug)]
#[must_use = "dropping it takes a while"]
pub struct Released(Vec<Mapping>);

impl Released {
    /// Returns the number of segments.
    pub fn segments(&self) -> usize {
        self.0.len()
    }
}

impl StackPool {
    /// Returns how many warm fibers were never needed since the last call of this function.
    pub fn idle(&self) -> usize {
        let mut state = self.lock();
        let warm = state.warm.len();
        std::mem::replace(&mut state.fewest_warm, warm).min(warm)
    }

    /// Returns how many fibers are warm.
    pub fn warm(&self) -> usize {
        self.lock().warm.len()
    }

    /// Gives the memory of at most `most` warm fibers back to the kernel, the least recently used first,
    /// until `keep` warm fibers are left. Returns the number of trimmed fibers. Their guards stay. Their
    /// slots are used again before any fresh slot of their segment.
    pub fn trim(&self, keep: usize, most: usize) -> usize {
        let mut trimmed = 0;
        let mut batch = Vec::with_capacity(TRIM_BATCH);
        loop {
            let mut state = self.lock();
            let surplus = state.warm.len().saturating_sub(keep);
            let some = surplus.min(most - trimmed).min(TRIM_BATCH);
            state.cool(some, self.blocks(), &mut batch);
            drop(state);
            if batch.is_empty() {
                return trimmed;
            }
            trimmed += some;
            self.discard(&mut batch);
        }
    }

    /// Trims the warm fibers in segments in which nothing else is in use, so that these segments can be
    /// released. Leaves out the segments of the first `low` slots.
    pub fn gather(&self, low: usize) {
        let mut scattered = self.lock().scattered(low, self.blocks());
        self.discard(&mut scattered);
    }

    /// Removes the segments in which no slot is in use from the pool, except the lowest `kept` segments, and only
    /// while `least()` slots stay open. [C5] `least` is called under the pool's lock. The segments are unmapped
    /// when the returned value is dropped.
    pub fn release(&self, kept: usize, least: impl FnOnce() -> usize) -> Released {
        let mut state = self.lock();
        let least = least();
        Released(state.segments.release(kept, least))
    }

    /// Gives the memory of these slots, which the caller has taken, back to the kernel. Marks the slots as trimmed.
    fn discard(&self, batch: &mut Vec<Claim>) {
        batch.iter().for_each(|claim| claim.slot.discard());
        let mut state = self.lock();
        for claim in batch.drain(..) {
            state.segments.trimmed(claim.number);
        }
    }
}

impl State {
    /// Takes the slots of the `count` fibers that have been warm for the longest time. Each fiber is at rest,
    /// so it can be forgotten: nothing on its stack must be dropped (see [`Entry`](super::Entry)).
    fn cool(&mut self, count: usize, blocks: Option<&Blocks>, into: &mut Vec<Claim>) {
        let State { warm, segments, .. } = self;
        into.extend(warm.drain(..count).map(|fiber| {
            retire(&fiber, blocks);
            let number = fiber.slot() as u32;
            Claim { number, slot: segments.slot(number), is_open: true }
        }));
        self.fewest_warm = self.fewest_warm.min(self.warm.len());
    }

    /// Takes the slots of the fibers that `gather` trims.
    fn scattered(&mut self, low: usize, blocks: Option<&Blocks>) -> Vec<Claim> {
        let plan = self.segments.plan;
        let spared = plan.segment(low.saturating_sub(1) as u32);
        let mut others = self.segments.used();
        for fiber in &self.warm {
            others[plan.segment(fiber.slot() as u32)] -= 1;
        }
        let leaves = |fiber: &Fiber| {
            let segment = plan.segment(fiber.slot() as u32);
            segment > spared && others[segment] == 0
        };
        let (left, stay): (VecDeque<_>, _) = self.warm.drain(..).partition(leaves);
        self.warm = stay;
        let segments = &self.segments;
        let claim = |fiber: Fiber| {
            retire(&fiber, blocks);
            let number = fiber.slot() as u32;
            Claim { number, slot: segments.slot(number), is_open: true }
        };
        left.into_iter().map(claim).collect()
    }
}

/// Prepares a fiber for the loss of its memory.
fn retire(fiber: &Fiber, blocks: Option<&Blocks>) {
    // SAFETY: the fiber was warm, so it is at rest. The caller forgets it, so it is not resumed any more. Its slot
    // counts as in use until its memory is given back, so the slot is still mapped.
    unsafe { fiber.end() };
    if let Some(blocks) = blocks {
        // SAFETY: the fiber was warm, so it is at rest. The caller forgets it, so it is not resumed any more.
        unsafe { fiber.retire(blocks) };
    }
}

impl Drop for StackPool {
    fn drop(&mut self) {
        self.trim(0, usize::MAX);
        drop(self.release(0, || 0));
        // Each segment that is left has a stack in use, because a goroutine is suspended on that stack for
        // ever. [C3]
        let state = self.state.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        state.segments.forget();
    }
}
