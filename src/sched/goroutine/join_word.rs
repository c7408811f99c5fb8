//! The join word: between a goroutine that ends and the one who holds its join handle.
//! end: set DONE, or ABANDONED; take and wake the joiner if WAITED was set.
//! join: write the joiner, set WAITED.   withdraw: clear WAITED; the joiner is the handle's again
//!     unless the end came first.   detach: set DETACHED.
//!
//! | word | whose is the joiner | whose is the result |
//! |---|---|---|
//! | none of the below | the handle's | the goroutine's |
//! | `WAITED` | whoever ends it | the goroutine's |
//! | `DONE` | whoever ended it, where WAITED came before; else the handle's | the handle's, once |
//! | `DONE`, `DETACHED` | the same | the later one's |
//! | `ABANDONED` | as with `DONE` | there is none |
//!
//! [G2] The result is read once: by the joiner, or dropped by whoever comes last.
//! [G5] Whoever is registered when the end comes is woken, once; one that was replaced, or withdrawn,
//! before it is not.
//! Checked by: verification/loom/join.rs, verification/loom/future.rs.

use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::cell::UnsafeCell;

const OPEN: u32 = 0;
const WAITED: u32 = 1;
const DONE: u32 = 2;
const DETACHED: u32 = 4;
/// The runtime ended first; there is no result.
const ABANDONED: u32 = 8;

/// See the module. `W` is whom to wake.
pub struct JoinWord<W> {
    word: AtomicU32,
    joiner: UnsafeCell<Option<W>>,
}

// SAFETY: the joiner passes between the two sides as the word says. [G5]
unsafe impl<W: Send> Sync for JoinWord<W> {}

/// What a joiner finds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The result is the caller's.
    Done,
    /// There will be no result.
    Abandoned,
    /// It goes on. Who is registered will be woken.
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
    /// Whom to wake. [G5]
    pub joiner: Option<W>,
    /// Nobody will ever ask for the result: who ends it drops it. [G2]
    pub unclaimed: bool,
}

impl<W> JoinWord<W> {
    /// The word of a cell that is no goroutine.
    pub fn vacant() -> Self {
        JoinWord { word: AtomicU32::new(DONE | DETACHED), joiner: UnsafeCell::new(None) }
    }

    /// A goroutine begins.
    ///
    /// # Safety
    /// Nobody else uses the word meanwhile, and its last goroutine, if there was one, has ended.
    pub unsafe fn reset(&self) {
        // Relaxed: the queue that takes the goroutine publishes.
        self.word.store(OPEN, Ordering::Relaxed);
    }

    /// The body has left its result.
    pub fn complete(&self) -> End<W> {
        self.end(DONE)
    }

    /// The runtime has ended and this goroutine has not.
    pub fn abandon(&self) -> End<W> {
        self.end(ABANDONED)
    }

    fn end(&self, how: u32) -> End<W> {
        // Release: pairs with the Acquire in `joined` and its like: the result is seen.
        // Acquire: pairs with the Release in `join`: the joiner is seen.
        let before = self.word.fetch_or(how, Ordering::AcqRel);
        let unclaimed = before & DETACHED != 0;
        // mutant: a second end wakes too: replace before & (DONE | ABANDONED) != 0 with false
        if before & (DONE | ABANDONED) != 0 || before & WAITED == 0 {
            return End { joiner: None, unclaimed };
        }
        // SAFETY: WAITED says that the joiner is written and ours to take. [G5]
        let joiner = self.joiner.with_mut(|joiner| unsafe { (*joiner).take() });
        End { joiner, unclaimed }
    }

    /// What a joiner finds now.
    pub fn joined(&self) -> Joined {
        // Acquire: pairs with the Release in `end`: the result is seen.
        Joined::of(self.word.load(Ordering::Acquire))
    }

    /// Registers whom to wake at the end, in place of who was registered before, unless the end has
    /// come.
    ///
    /// # Safety
    /// The caller is the one join handle: no other call of `join` or `withdraw` is under way, on another
    /// thread or around this one, and none is made by `who` or by the destructor of a `W`.
    pub unsafe fn join(&self, who: impl FnOnce() -> W) -> Joined {
        // SAFETY: the caller's duty.
        // mutant: register over another: replace self.withdraw() with self.joined()
        match unsafe { self.withdraw() } {
            Joined::Waiting => {}
            ended => return ended,
        }
        let who = Some(who());
        // SAFETY: without WAITED nobody else looks at the joiner, and there is one join handle.
        self.joiner.with_mut(|joiner| unsafe { *joiner = who });
        // Release: publishes the joiner. Acquire: as in `joined`, if the end came first.
        let found = Joined::of(self.word.fetch_or(WAITED, Ordering::AcqRel));
        if found != Joined::Waiting {
            self.forget_joiner();
        }
        found
    }

    /// Nobody is to be woken at the end, unless it has come.
    ///
    /// # Safety
    /// As for [`join`](Self::join).
    pub unsafe fn withdraw(&self) -> Joined {
        // Acquire: as in `joined`. WAITED itself is the join handle's own doing.
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

    /// The handle's, where WAITED and the end did not meet.
    fn forget_joiner(&self) {
        // SAFETY: the end came before WAITED was set, or comes after it was cleared: it doesn't look
        // at the joiner. [G5]
        let joiner = self.joiner.with_mut(|joiner| unsafe { (*joiner).take() });
        drop(joiner);
    }

    /// The join handle goes without asking. True if the result is there: the caller drops it. [G2]
    pub fn detach(&self) -> bool {
        // Acquire: pairs with the Release in `end`: the result is seen. No Release: what the handle did
        // is nothing to who drops the result, and the cell's reuse is the reference count's affair.
        self.word.fetch_or(DETACHED, Ordering::Acquire) & DONE != 0
    }

    /// Whether there is no result yet, though there may be one some day.
    pub fn is_pending(&self) -> bool {
        // Relaxed: the result is not looked at.
        self.word.load(Ordering::Relaxed) & DONE == 0
    }
}
