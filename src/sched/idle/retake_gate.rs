//! Claim: decides between a worker that enters the runtime and a monitor that takes its processor.
//! enter: store inside, light fence, read retaken.    leave: store not inside.
//! seize: store retaken, heavy fence, read inside; a worker inside keeps its processor.
//! [H1] A processor has one owner: a worker inside the runtime is never seized, and one that was
//! seized finds out before it touches the processor.
//! `retaken` is written only under the roster's lock, so a worker that reads it set takes that lock
//! to learn the outcome.
//! Checked by: verification/loom/retake.rs.

use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::fence;

/// One worker's half-open door.
#[derive(Debug)]
pub struct RetakeGate {
    /// Written by the worker alone.
    inside: AtomicBool,
    /// Written under the roster's lock alone.
    retaken: AtomicBool,
}

impl Default for RetakeGate {
    fn default() -> Self {
        RetakeGate::new()
    }
}

/// What a worker learns when it enters.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// The processor, if there was one, is still its own.
    Kept,
    /// Somebody is taking, or has taken, the processor: ask the roster.
    Disputed,
}

impl RetakeGate {
    /// The claim of a worker that is inside the runtime.
    pub fn new() -> Self {
        RetakeGate { inside: AtomicBool::new(true), retaken: AtomicBool::new(false) }
    }

    /// The worker leaves user code. [H1]
    #[inline(always)]
    pub fn enter_runtime(&self) -> Entry {
        // Relaxed: ordered before the read of `retaken` by the fence pair with `try_revoke`.
        // mutant: drop entry
        self.inside.store(true, Ordering::Relaxed);
        fence::light();
        // Acquire: pairs with the Release in `resolve`: what an observer looked at is changed only
        // after it has looked. True leads to the roster's lock, which publishes the outcome.
        // mutant: no look whether it was taken: replace self.retaken.load(Ordering::Acquire) with false
        if self.retaken.load(Ordering::Acquire) { Entry::Disputed } else { Entry::Kept }
    }

    /// The worker goes to user code; from here on its processor may be seized.
    #[inline(always)]
    pub fn exit_to_user(&self) {
        // Release: pairs with the Acquire in `try_revoke`, so that the new owner sees all that this
        // worker did to the processor. [H1]
        // mutant: drop departure
        self.inside.store(false, Ordering::Release);
    }

    /// Whether the worker is in user code, as a hint.
    pub fn is_outside(&self) -> bool {
        // Relaxed: a hint; `try_revoke` decides.
        !self.inside.load(Ordering::Relaxed)
    }

    /// Tries to take the processor of a worker in user code; the roster's lock is held. [H1]
    pub fn try_revoke(&self) -> bool {
        // Relaxed: ordered before the read of `inside` by the fence pair with `enter`.
        // mutant: drop claim
        self.retaken.store(true, Ordering::Relaxed);
        fence::heavy();
        // Acquire: pairs with the Release in `leave`.
        // mutant: claim who is inside: replace self.inside.load(Ordering::Acquire) with false
        if self.inside.load(Ordering::Acquire) {
            // Relaxed: a worker that saw it set waits for the lock that we hold.
            // mutant: drop claim given back
            self.retaken.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Whether the processor is taken; the roster's lock is held.
    pub fn is_taken(&self) -> bool {
        // Relaxed: under the roster's lock.
        self.retaken.load(Ordering::Relaxed)
    }

    /// Whether the processor was taken, and forgets it; the roster's lock is held.
    pub fn take_revocation(&self) -> bool {
        // Relaxed: under the roster's lock.
        let taken = self.retaken.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `enter`.
        // mutant: drop end of the claim
        self.retaken.store(false, Ordering::Release);
        taken
    }
}
