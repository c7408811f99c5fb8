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
//! A worker is identified by its address. Only one thread has that address at a time. The next thread with the same
//! address is a new thread of the same worker slot, or a worker of another runtime in the same memory. What the last
//! thread did happened before.
//!
//! Where the light fence would be a full fence, no worker becomes an owner. The light fence may become a full fence
//! later, because `membarrier` is taken away. Then an owner learns of the change at its next lock, and revokes its
//! own bias.
//! [K12] is an invariant of the biased lock.
//! Checked by: verification/loom/latch.rs, proptests/latch.rs.
#![allow(unsafe_code)]

use crate::platform::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::{MODELLED, fence};

/// Every so many locks, the lock checks which worker takes it.
const ASKED_EVERY: u32 = if MODELLED { 1 } else { 64 };
/// After so many locks, if every check found the same worker, that worker becomes the owner.
const GRANTED_AFTER: u32 = if MODELLED { 1 } else { 1024 };

/// Together with a worker's address, this bit means that the worker may become the owner. Alone, it means that no
/// check was made yet.
const CANDIDATE: usize = 1;
/// The lock has no owner, and never will have one.
const REVOKED: usize = 2;

/// The bias of a lock; see the module's documentation.
pub(crate) struct Bias {
    /// The owner's address, or one of the constants above. It is written while `locked` is held.
    owner: AtomicUsize,
    /// True if the owner holds the lock, or is about to check whether it may.
    held: AtomicBool,
    /// True if the holder holds the lock by `held`, not by `locked`. Only a thread that holds both writes it.
    on: AtomicBool,
    /// The number of times that the lock was taken, until it has an owner or never can have one. Accessed only while
    /// `locked` is held.
    locks: UnsafeCell<u32>,
}

/// What a thread finds after it has set `locked`.
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
        // Relaxed: this load returns what this worker has written, or that the bias has ended.
        self.owner.load(Ordering::Relaxed) == worker
    }

    /// Enters the critical section for the owner, or for the worker that was the owner. Returns false if the worker
    /// is no longer the owner; then the worker must release `held`.
    #[inline]
    pub(crate) fn enter(&self, worker: usize) -> bool {
        // Relaxed, both: the first word is this worker's own, and the fence makes the first access visible before the
        // second.
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

    /// Returns whether the holder holds the lock by `held`. The holder calls this. For other threads the result is a
    /// hint.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // Relaxed: only a thread that holds the lock writes the word, so the next holder sees it.
        self.on.load(Ordering::Relaxed)
    }

    /// Returns whether the lock never has an owner again. Must be called while `locked` is held.
    #[inline]
    pub(crate) fn is_spent(&self) -> bool {
        // Relaxed: the owner is written only while `locked` is held.
        self.owner.load(Ordering::Relaxed) == REVOKED
    }

    /// Returns what `worker` has found after it set `locked`. Must be called while `locked` is held, unless the bias
    /// has ended.
    pub(crate) fn found_by(&self, worker: usize) -> Found {
        // Relaxed: the owner is written only while `locked` is held.
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
        // Relaxed, all: a thread that revokes the bias does so while it holds `locked`. The caller releases `locked`
        // after these stores, so that thread sees them.
        self.held.store(true, Ordering::Relaxed);
        self.on.store(true, Ordering::Relaxed);
        self.owner.store(worker, Ordering::Relaxed);
        Found::Own
    }

    fn count(&self) -> u32 {
        self.locks.with_mut(|locks| {
            // SAFETY: the caller holds `locked`, and the counter is accessed only while `locked` is held.
            let locks = unsafe { &mut *locks };
            *locks = locks.wrapping_add(1);
            *locks
        })
    }

    fn revoke(&self) {
        // Relaxed: the heavy fence below makes the store visible before the next load.
        // mutant: the owner may enter still: replace self.owner.store(REVOKED, Ordering::Relaxed) with ()
        self.owner.store(REVOKED, Ordering::Relaxed);
        // Both sides must use the same kind of fence.
        fence::prepare();
        // Pairs with the light fence in `enter`. [K12]
        fence::heavy();
    }

    /// Returns whether the owner has left the critical section for good. Only the thread that has revoked the bias
    /// calls this.
    pub(crate) fn owner_is_out(&self) -> bool {
        // Acquire: pairs with the Release of the owner's unlock. [K12]
        !self.held.load(Ordering::Acquire)
    }

    /// Ends the bias. The thread that has revoked it calls this once the owner has left the critical section.
    pub(crate) fn end(&self) {
        // Relaxed: the next holder sees the store, because the Release of `locked` follows it.
        // mutant: drop end of the bias
        self.on.store(false, Ordering::Relaxed);
    }
}
