//! Bias: how a biased lock comes to belong to one worker, and how it is taken away from that worker.
//!
//! owner:  set `held`, light fence, read whether the worker still owns the lock. If it does not, clear `held`
//! and lock as other threads do. To unlock, clear `held`.
//! others: while holding `locked`, set the owner to `REVOKED`, heavy fence, wait until `held` is clear.
//!
//! At least one of the two sides sees the other. A lock has at most one owner in its life, so that only one
//! thread ever writes `held`. A worker becomes the owner after `GRANTED_AFTER` locks if that same worker made
//! each `ASKED_EVERY`th of them. If another thread made one of these, the lock never gets an owner. So the cost
//! of the revocation, which is some microseconds for a system call, is paid once, after as many
//! read-modify-writes were paid.
//! Source: Kawachiya, Koseki and Onodera, "Lock Reservation: Java Locks Can Mostly Do Without Atomic
//! Operations" (OOPSLA 2002). The fence by `membarrier` is that of `fence`.
//!
//! A worker is identified by its address, which one thread has at a time. The next thread with that address (a
//! new thread of the same worker slot, or a worker of another runtime in the same memory) has seen the end of
//! the last one.
//!
//! Where the light fence would be a full fence, no worker becomes an owner. If the light fence becomes a full
//! one later, because `membarrier` is taken away, an owner learns it at its next lock, and revokes its own
//! bias.
//! [K12] is an invariant of the biased lock.
//! Checked by: verification/loom/latch.rs, proptests/latch.rs.
#![allow(unsafe_code)]

use crate::platform::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::{MODELLED, fence};

/// One in so many locks looks which worker locks.
const ASKED_EVERY: u32 = if MODELLED { 1 } else { 64 };
/// After so many locks, all looked-at ones by the same worker, that worker becomes the owner.
const GRANTED_AFTER: u32 = if MODELLED { 1 } else { 1024 };

/// Set beside a worker's address, it means that this worker may become the owner. Alone, it means that no lock
/// has been looked at yet.
const CANDIDATE: usize = 1;
/// There is no owner, and there never will be.
const REVOKED: usize = 2;

/// See the module.
pub(crate) struct Bias {
    /// The owner's address, or one of the constants above. It is written while `locked` is held.
    owner: AtomicUsize,
    /// The owner holds the lock, or is about to check whether it may.
    held: AtomicBool,
    /// The holder holds the lock by `held`, not by `locked`. It is written by a thread that holds both.
    on: AtomicBool,
    /// How often the lock was taken, until it has an owner or never can have one. Accessed while `locked` is
    /// held.
    locks: UnsafeCell<u32>,
}

/// What a thread finds after it has flipped `locked`.
#[must_use]
pub(crate) enum Found {
    /// The lock has no owner.
    Nothing,
    /// The calling worker is the owner from here on, and holds the lock as the owner.
    Own,
    /// The caller has revoked the bias of the owner, which may still be in the critical section.
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

    /// Returns whether the calling worker owns the lock, unless it has just lost the bias.
    #[inline]
    pub(crate) fn belongs_to(&self, worker: usize) -> bool {
        // Relaxed: this reads what this worker has written, or that the bias has ended.
        self.owner.load(Ordering::Relaxed) == worker
    }

    /// Called by the owner, or by the worker that was the owner. Returns false if it is the owner no longer:
    /// then it must release `held`.
    #[inline]
    pub(crate) fn enter(&self, worker: usize) -> bool {
        // Relaxed, both: the first is this worker's own word, and the fence orders the second.
        debug_assert!(MODELLED || !self.held.load(Ordering::Relaxed), "the owner does not hold it");
        self.held.store(true, Ordering::Relaxed);
        // Pairs with the heavy fence in `revoke`: we see the revocation, or the revoker sees us. [K12]
        // mutant: drop light fence
        fence::light_if_asymmetric();
        // If the light fence has become a full one, `revoke` relies on this read: we then give up the bias
        // without a fence.
        fence::is_asymmetric() && self.belongs_to(worker)
    }

    /// Returns the word that a holder by bias clears.
    #[inline]
    pub(crate) fn held(&self) -> &AtomicBool {
        &self.held
    }

    /// Called by the holder: returns whether it holds the lock by `held`. For other threads the answer is a
    /// hint.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // Relaxed: this holder wrote it before.
        self.on.load(Ordering::Relaxed)
    }

    /// Called while `locked` is held.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        // Relaxed: it is written while `locked` is held.
        self.owner.load(Ordering::Relaxed) == REVOKED
    }

    /// Called while `locked` is held, unless the bias has ended.
    pub(crate) fn found_by(&self, worker: usize) -> Found {
        // Relaxed: it is written while `locked` is held.
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
            // Relaxed: it is accessed while `locked` is held.
            self.owner.store(next, Ordering::Relaxed);
            return Found::Nothing;
        }
        // Relaxed, all: a thread that revokes the bias does so while it holds `locked`, which is released after
        // this.
        self.held.store(true, Ordering::Relaxed);
        self.on.store(true, Ordering::Relaxed);
        self.owner.store(worker, Ordering::Relaxed);
        Found::Own
    }

    fn count(&self) -> u32 {
        self.locks.with_mut(|locks| {
            // SAFETY: the caller holds `locked`.
            let locks = unsafe { &mut *locks };
            *locks = locks.wrapping_add(1);
            *locks
        })
    }

    fn revoke(&self) {
        // Relaxed: the fence orders it.
        // mutant: the owner may enter still: replace self.owner.store(REVOKED, Ordering::Relaxed) with ()
        self.owner.store(REVOKED, Ordering::Relaxed);
        // Both sides must use the same kind of fence.
        fence::prepare();
        // Pairs with the light fence in `enter`. [K12]
        fence::heavy();
    }

    /// Called by the thread that has revoked the bias. Returns whether the owner has left the critical section
    /// for good.
    pub(crate) fn owner_is_out(&self) -> bool {
        // Acquire: pairs with the Release of the owner's unlock. [K12]
        !self.held.load(Ordering::Acquire)
    }

    /// Called by the thread that has revoked the bias, once the owner is out.
    pub(crate) fn end(&self) {
        // Relaxed: the next holder sees it through `locked`.
        // mutant: drop end of the bias
        self.on.store(false, Ordering::Relaxed);
    }
}
