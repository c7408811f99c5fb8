//! The retake gate decides between a worker that enters the runtime and a thread that takes its processor.
//! enter_runtime: store `inside`, light fence, read `retaken`.   exit_to_user: clear `inside`.
//! try_revoke: store `retaken`, heavy fence, read `inside`; a worker inside keeps its processor.
//! [H1] A processor has one owner: the processor of a worker inside the runtime is never revoked, and a worker that
//! has lost its processor learns this before it touches the processor.
//! `retaken` is written only under the registry's lock. So a worker that reads it set takes that lock to learn the
//! outcome.
//! Checked by: verification/loom/retake.rs.

use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::fence;

/// The gate between one worker and the threads that may take its processor.
#[derive(Debug)]
pub struct RetakeGate {
    /// True while the worker is inside the runtime. Written only by the worker.
    inside: AtomicBool,
    /// True while the processor is taken, or a thread tries to take it. Written only under the registry's lock.
    retaken: AtomicBool,
}

impl Default for RetakeGate {
    fn default() -> Self {
        RetakeGate::new()
    }
}

/// What a worker learns when it enters the runtime.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum Entry {
    /// The processor, if the worker had one, is still its own.
    Kept,
    /// A thread takes, or has taken, the processor. The worker must ask the registry.
    Disputed,
}

impl RetakeGate {
    /// Makes the gate of a worker that is inside the runtime.
    pub fn new() -> Self {
        RetakeGate { inside: AtomicBool::new(true), retaken: AtomicBool::new(false) }
    }

    /// Called by the worker when it leaves user code. [H1]
    #[inline(always)]
    pub fn enter_runtime(&self) -> Entry {
        // Relaxed: ordered before the read of `retaken` by the fence pair with `try_revoke`.
        // mutant: drop entry
        self.inside.store(true, Ordering::Relaxed);
        fence::light();
        // Acquire: pairs with the Release in `take_revocation`, so that this worker changes what `observe` has
        // looked at only afterwards. If true, the worker takes the registry's lock, which publishes the outcome.
        // mutant: no look whether it was taken: replace self.retaken.load(Ordering::Acquire) with false
        if self.retaken.load(Ordering::Acquire) { Entry::Disputed } else { Entry::Kept }
    }

    /// Called by the worker when it goes to user code. From here on its processor may be taken.
    #[inline(always)]
    pub fn exit_to_user(&self) {
        // Release: pairs with the Acquire in `try_revoke`, so that the new owner sees all that this worker did to
        // the processor. [H1]
        // mutant: drop departure
        self.inside.store(false, Ordering::Release);
    }

    /// Returns true if the worker is in user code, as a hint.
    pub fn is_outside(&self) -> bool {
        // Relaxed: a hint; `try_revoke` decides.
        !self.inside.load(Ordering::Relaxed)
    }

    /// Takes the processor if the worker is in user code, and returns true if so. The caller must hold the
    /// registry's lock. [H1]
    pub fn try_revoke(&self) -> bool {
        // Relaxed: ordered before the read of `inside` by the fence pair with `enter_runtime`.
        // mutant: drop claim
        self.retaken.store(true, Ordering::Relaxed);
        fence::heavy();
        // Acquire: pairs with the Release in `exit_to_user`.
        // mutant: claim who is inside: replace self.inside.load(Ordering::Acquire) with false
        if self.inside.load(Ordering::Acquire) {
            // Relaxed: a worker that has seen it set waits for the lock that we hold.
            // mutant: drop claim given back
            self.retaken.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// Returns true if the processor is taken. The caller must hold the registry's lock.
    pub fn is_taken(&self) -> bool {
        // Relaxed: `retaken` is written only under the registry's lock, which the caller holds.
        self.retaken.load(Ordering::Relaxed)
    }

    /// Resets the gate, and returns true if the processor was taken. The caller must hold the registry's lock.
    pub fn take_revocation(&self) -> bool {
        // Relaxed: `retaken` is written only under the registry's lock, which the caller holds.
        let taken = self.retaken.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `enter_runtime`.
        // mutant: drop end of the claim
        self.retaken.store(false, Ordering::Release);
        taken
    }
}
