//! The join word is shared by a goroutine that ends and the holder of its join handle.
//! end: set DONE, or ABANDONED; take and wake the joiner if WAITED was set.
//! join: write the joiner, set WAITED.   withdraw: clear WAITED; the joiner slot belongs to the handle again
//!     unless the end came first.   detach: set DETACHED.
//!
//! | word | owner of the joiner slot | owner of the result |
//! |---|---|---|
//! | none of the below | the handle | the goroutine |
//! | `WAITED` | the side that ends the goroutine | the goroutine |
//! | `DONE` | the ending side, if WAITED was set before; otherwise the handle | the handle, once |
//! | `DONE`, `DETACHED` | as above | the side that set its bit last |
//! | `ABANDONED` | as with `DONE` | there is no result |
//!
//! [G2] The result is read once, by the joiner, or dropped by the side that comes last.
//! [G5] The joiner that is registered when the end comes is woken once. A joiner that was replaced or withdrawn
//! before the end is not woken.
//! Checked by: verification/loom/join.rs, verification/loom/future.rs.

use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::cell::UnsafeCell;

const OPEN: u32 = 0;
const WAITED: u32 = 1;
const DONE: u32 = 2;
const DETACHED: u32 = 4;
/// The runtime ended before the goroutine, so there is no result.
const ABANDONED: u32 = 8;

/// See the module. `W` is a handle by which the joiner is woken.
pub struct JoinWord<W> {
    word: AtomicU32,
    joiner: UnsafeCell<Option<W>>,
}

// SAFETY: the fields are atomic, except the joiner slot. The word says which of the two sides may use that slot.
// [G5]
unsafe impl<W: Send> Sync for JoinWord<W> {}

/// What a joiner finds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The goroutine has ended, and the caller owns the result.
    Done,
    /// There will be no result.
    Abandoned,
    /// The goroutine has not ended. The registered joiner will be woken.
    Waiting,
}

impl Joined {
    fn of(word: u32) -> Self {
        match word {
            word if word & ABANDONED != 0 => Joined::Abandoned,
            word if word & DONE != 0 => Joined::Done,
            _ => Joined::Waiting,
        }
    }
}

/// What the end finds.
#[must_use]
pub struct End<W> {
    /// The joiner that the caller must wake. [G5]
    pub joiner: Option<W>,
    /// The handle is gone, so the caller must drop the result. [G2]
    pub unclaimed: bool,
}

impl<W> JoinWord<W> {
    /// Makes the word of a cell that has no goroutine.
    pub fn vacant() -> Self {
        JoinWord { word: AtomicU32::new(DONE | DETACHED), joiner: UnsafeCell::new(None) }
    }

    /// Resets the word for a new goroutine.
    ///
    /// # Safety
    /// No other thread may use the word meanwhile, and the cell's last goroutine, if there was one, must have
    /// ended.
    pub unsafe fn reset(&self) {
        // Relaxed: the queue that takes the goroutine publishes the word.
        self.word.store(OPEN, Ordering::Relaxed);
    }

    /// Records that the body has stored its result.
    pub fn complete(&self) -> End<W> {
        self.end(DONE)
    }

    /// Records that the runtime has ended before this goroutine.
    pub fn abandon(&self) -> End<W> {
        self.end(ABANDONED)
    }

    fn end(&self, how: u32) -> End<W> {
        // Release: pairs with the Acquire in `joined`, `join`, `withdraw` and `detach`, so that the result is seen.
        // Acquire: pairs with the Release in `join`, so that the joiner is seen.
        let before = self.word.fetch_or(how, Ordering::AcqRel);
        let unclaimed = before & DETACHED != 0;
        // mutant: a second end wakes too: replace before & (DONE | ABANDONED) != 0 with false
        if before & (DONE | ABANDONED) != 0 || before & WAITED == 0 {
            return End { joiner: None, unclaimed };
        }
        // SAFETY: `before` contains WAITED, so the handle has written the joiner, and only this side may access it
        // now. [G5]
        let joiner = self.joiner.with_mut(|joiner| unsafe { (*joiner).take() });
        End { joiner, unclaimed }
    }

    /// Returns whether the goroutine has ended, without registering a joiner.
    pub fn joined(&self) -> Joined {
        // Acquire: pairs with the Release in `end`, so that the result is seen.
        Joined::of(self.word.load(Ordering::Acquire))
    }

    /// Registers the joiner that `who` returns, in place of an earlier one. Registers nothing if the goroutine has
    /// already ended.
    ///
    /// # Safety
    /// The caller must be the only join handle. No other call of `join` or `withdraw` may be under way, on another
    /// thread or around this call, and neither `who` nor the destructor of a `W` may make such a call.
    pub unsafe fn join(&self, who: impl FnOnce() -> W) -> Joined {
        // SAFETY: the caller guarantees what `withdraw` requires, because both functions have the same contract.
        // mutant: register over another: replace self.withdraw() with self.joined()
        match unsafe { self.withdraw() } {
            Joined::Waiting => {}
            ended => return ended,
        }
        let who = Some(who());
        // SAFETY: without WAITED the ending side does not use the joiner slot, and there is only one join handle.
        self.joiner.with_mut(|joiner| unsafe { *joiner = who });
        // Release: publishes the joiner. Acquire: as in `joined`, if the end came first.
        let found = Joined::of(self.word.fetch_or(WAITED, Ordering::AcqRel));
        if found != Joined::Waiting {
            self.forget_joiner();
        }
        found
    }

    /// Withdraws the registered joiner, if there is one. Returns the end state if the goroutine has already ended.
    ///
    /// # Safety
    /// The caller must do the same as for [`join`](Self::join).
    pub unsafe fn withdraw(&self) -> Joined {
        // Acquire: as in `joined`. WAITED itself is changed only by the join handle.
        let word = self.word.load(Ordering::Acquire);
        if word & WAITED == 0 {
            return Joined::of(word);
        }
        // Acquire: as in `joined`.
        let found = Joined::of(self.word.fetch_and(!WAITED, Ordering::Acquire));
        // mutant: touch a joiner that is the end's: replace found == Joined::Waiting with true
        if found == Joined::Waiting {
            self.forget_joiner();
        }
        found
    }

    /// Drops the registered joiner. Called by the handle, and only if the end did not find WAITED set.
    fn forget_joiner(&self) {
        // SAFETY: the end came before WAITED was set, or comes after WAITED was cleared. So the ending side does
        // not use the joiner slot. [G5]
        let joiner = self.joiner.with_mut(|joiner| unsafe { (*joiner).take() });
        drop(joiner);
    }

    /// Called by a join handle that is dropped. Returns true if there is a result, which the caller must drop. [G2]
    pub fn detach(&self) -> bool {
        // Acquire: pairs with the Release in `end`, so that the result is seen. No Release: dropping the result
        // needs nothing that the handle did, and the reference count orders the reuse of the cell.
        self.word.fetch_or(DETACHED, Ordering::Acquire) & DONE != 0
    }

    /// Returns true if the result is not there. It may still come.
    pub fn is_pending(&self) -> bool {
        // Relaxed: the result is not read.
        self.word.load(Ordering::Relaxed) & DONE == 0
    }
}
