//! Bias: how a latch comes to be one worker's own, and how it is taken away again.
//!
//! owner:  set `held`, light fence, look whether it owns the latch still; if not, clear `held`, and lock
//!     as others do. To unlock: clear `held`.
//! others: under `locked`: the owner becomes `REVOKED`, heavy fence; wait until `held` is clear.
//!
//! At least one of them sees the other. A latch has one owner in its life, so that `held` is one
//! thread's to write. It is granted after `GRANTED_AFTER` locks, if each `ASKED_EVERY`th was by the same
//! worker; one by anybody else spends the bias. So what the taking away costs, some microseconds for a
//! system call, is paid once, and after as many read-modify-writes were paid.
//! Source: Kawachiya, Koseki and Onodera, "Lock Reservation: Java Locks Can Mostly Do Without Atomic
//! Operations" (OOPSLA 2002); the fence by `membarrier`, as in `fence`.
//!
//! A worker is known by its address, which one thread has at a time: whoever has it next, a new thread of
//! the same seat, or a worker of another runtime in the same memory, has seen the end of the last one.
//!
//! Where the light fence would be a full one, nobody is granted anything. Where it comes to be one later,
//! as `membarrier` is taken away, an owner learns so at its next lock, and takes the latch from itself.
//! [K12] of the latch.
//! Checked by: verification/loom/latch.rs, proptests/latch.rs.
#![allow(unsafe_code)]

use crate::platform::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::{MODELLED, fence};

/// Every so many locks it is looked at who locks.
const ASKED_EVERY: u32 = if MODELLED { 1 } else { 64 };
/// After so many, always by the same worker, that becomes the owner.
const GRANTED_AFTER: u32 = if MODELLED { 1 } else { 1024 };

/// Set beside a worker's address: it may become the owner. Alone: nobody has been looked at yet.
const CANDIDATE: usize = 1;
/// There is no owner, and there will be none.
const REVOKED: usize = 2;

/// See the module.
pub(crate) struct Bias {
    /// The owner's address, or one of the above. Written under `locked`.
    owner: AtomicUsize,
    /// The owner holds the latch, or is about to look whether it may.
    held: AtomicBool,
    /// Whoever holds the latch does so by `held`, not by `locked`. Written by who holds it by both.
    on: AtomicBool,
    /// How often it was locked, until somebody owns it or it is spent. Under `locked`.
    locks: UnsafeCell<u32>,
}

/// What who has flipped `locked` finds.
#[must_use]
pub(crate) enum Found {
    /// Nobody owns the latch.
    Nothing,
    /// It owns the latch from here on, and holds it so.
    Own,
    /// It has taken the latch from its owner, who may still be in the critical section.
    Revoked,
}

impl Bias {
    pub(crate) fn new() -> Self {
        Bias {
            owner: AtomicUsize::new(CANDIDATE),
            held: AtomicBool::new(false),
            on: AtomicBool::new(false),
            locks: UnsafeCell::new(0),
        }
    }

    /// Whether the calling worker owns the latch, unless it has just lost it.
    #[inline]
    pub(crate) fn belongs_to(&self, worker: usize) -> bool {
        // Relaxed: what this worker has written, or the end of it.
        self.owner.load(Ordering::Relaxed) == worker
    }

    /// By its owner, or who was. False: it is not, and must release `held`.
    #[inline]
    pub(crate) fn enter(&self, worker: usize) -> bool {
        // Relaxed, both: this worker's own; and ordered by the fence.
        debug_assert!(MODELLED || !self.held.load(Ordering::Relaxed), "the owner does not hold it");
        self.held.store(true, Ordering::Relaxed);
        // Pairs with the heavy one in `revoke`: we see it spent, or are seen. [K12]
        // mutant: drop light fence
        fence::light_if_asymmetric();
        // Where it has come to be a full one, `revoke` relies on that: we give the latch up unfenced.
        fence::is_asymmetric() && self.belongs_to(worker)
    }

    /// What a holder by bias clears.
    #[inline]
    pub(crate) fn held(&self) -> &AtomicBool {
        &self.held
    }

    /// By the holder: whether it holds the latch by `held`. For others a hint.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // Relaxed: written by a holder before.
        self.on.load(Ordering::Relaxed)
    }

    /// Under `locked`.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        // Relaxed: written under `locked`.
        self.owner.load(Ordering::Relaxed) == REVOKED
    }

    /// Under `locked`, and unless it is spent.
    pub(crate) fn found_by(&self, worker: usize) -> Found {
        // Relaxed: written under `locked`.
        let owner = self.owner.load(Ordering::Relaxed);
        if owner & CANDIDATE == 0 {
            self.revoke();
            return Found::Revoked;
        }
        let locks = self.count();
        if !locks.is_multiple_of(ASKED_EVERY) {
            return Found::Nothing;
        }
        let is_first = locks == ASKED_EVERY && fence::is_asymmetric();
        let is_candidate = is_first || owner == worker | CANDIDATE;
        if worker == 0 || !is_candidate || locks < GRANTED_AFTER {
            let next = if worker == 0 || !is_candidate { REVOKED } else { worker | CANDIDATE };
            // Relaxed: under `locked`.
            self.owner.store(next, Ordering::Relaxed);
            return Found::Nothing;
        }
        // Relaxed, all: whoever takes it away does so under `locked`, which is released after this.
        self.held.store(true, Ordering::Relaxed);
        self.on.store(true, Ordering::Relaxed);
        self.owner.store(worker, Ordering::Relaxed);
        Found::Own
    }

    fn count(&self) -> u32 {
        self.locks.with_mut(|locks| {
            // SAFETY: under `locked`.
            let locks = unsafe { &mut *locks };
            *locks = locks.wrapping_add(1);
            *locks
        })
    }

    fn revoke(&self) {
        // Relaxed: ordered by the fence.
        // mutant: the owner may enter still: replace self.owner.store(REVOKED, Ordering::Relaxed) with ()
        self.owner.store(REVOKED, Ordering::Relaxed);
        // Both sides are to know the same kind of fence.
        fence::prepare();
        // Pairs with the light one in `enter`. [K12]
        fence::heavy();
    }

    /// By who has revoked it: whether the owner is out, for good.
    pub(crate) fn owner_is_out(&self) -> bool {
        // Acquire: pairs with the Release of the owner's unlock. [K12]
        !self.held.load(Ordering::Acquire)
    }

    /// By who has revoked it, once the owner is out.
    pub(crate) fn end(&self) {
        // Relaxed: the next holder learns it by `locked`.
        // mutant: drop end of the bias
        self.on.store(false, Ordering::Relaxed);
    }
}
