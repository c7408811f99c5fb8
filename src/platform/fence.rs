//! An asymmetric store-load fence: the frequent side pays (almost) nothing, the rare side a system
//! call that makes every running thread of the process fence on its behalf.
//!
//! Dekker with it: one side does *store a; `light()`; load b*, the other *store b; `heavy()`; load
//! a*. At least one of them sees the other's store, as if both were `fence(SeqCst)`.
//! Source: Linux `membarrier(2)`, PRIVATE_EXPEDITED. Where the kernel refuses it, both sides are
//! `fence(SeqCst)`; in the models they always are.
//!
//! A sandbox that the process enters later may refuse it from then on, while threads run that have
//! counted on it. The first heavy side to learn that changes the kind for good, in this order:
//!   the kind is CHANGING: a light side that reads this is a full fence;
//!   a fence on every thread (`tour`): a light side that came before is seen by all, one that comes
//!     after reads CHANGING;
//!   the kind is CHANGED: heavy sides need not do so again.
//! The light side reads the kind after its store, so it is on one side of that fence or on the other:
//! docs/handoff.md.
//! Checked by: verification/litmus/twins.rs and verification/loom/retake.rs, as two fences; the
//! asymmetric kind by stress alone, above all by proptests/latch.rs, and its end by proptests/fence.rs.

use super::atomic::{Ordering, fence};
use super::unmodelled::{AtomicU32, Mutex, Ordering as Plain, compiler_fence};
use super::{OfProcess, environment_took, tour};
use std::io;

// <linux/membarrier.h>
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

const UNKNOWN: u32 = 0;
const ASYMMETRIC: u32 = 1;
const SYMMETRIC: u32 = 2;
/// ASYMMETRIC has come to its end; light sides may be under way that don't know.
const CHANGING: u32 = 3;
/// As SYMMETRIC, after that.
const CHANGED: u32 = 4;

static KIND: AtomicU32 = AtomicU32::new(UNKNOWN);

/// The frequent side.
#[inline(always)]
pub fn light() {
    // SeqCst, of the compiler alone: the kind is read after the caller's store. See the module.
    compiler_fence(Plain::SeqCst);
    // Relaxed: `prepare` has settled the kind before any thread that calls `heavy` starts, and `change`
    // waits until every thread has seen that it changed.
    if KIND.load(Plain::Relaxed) == ASYMMETRIC {
        compiler_fence(Plain::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// As [`light`], by who asks [`is_asymmetric`] before, or right after it, and does without if it is not.
#[inline(always)]
pub fn light_if_asymmetric() {
    // SeqCst, both: as in `light`.
    if crate::platform::MODELLED {
        fence(Ordering::SeqCst);
    } else {
        compiler_fence(Plain::SeqCst);
    }
}

/// Whether the frequent side pays nothing; in models, where it does, as if.
#[inline(always)]
pub fn is_asymmetric() -> bool {
    // Relaxed: see `light`.
    crate::platform::MODELLED || KIND.load(Plain::Relaxed) == ASYMMETRIC
}

/// Whether the frequent side paid nothing once, and does now.
pub fn has_changed() -> bool {
    // Relaxed: by who has come from `heavy`.
    KIND.load(Plain::Relaxed) == CHANGED
}

/// The rare side: about a microsecond.
pub fn heavy() {
    // Relaxed: the kind is never ASYMMETRIC again, and `change` looks at it once more, in its turn.
    // Relaxed: see `light`; a change is made under its own lock.
    match KIND.load(Plain::Relaxed) {
        ASYMMETRIC => {
            if let Err(refusal) = membarrier() {
                change(&refusal);
            }
        }
        // It was refused to another thread.
        CHANGING => change(&io::ErrorKind::PermissionDenied.into()),
        // SeqCst: as the light side's.
        _ => fence(Ordering::SeqCst),
    }
}

fn membarrier() -> io::Result<()> {
    // SAFETY: takes no pointer; the process registered in `prepare`.
    let rc = unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Registers the process with the kernel; called once before a runtime's first thread starts.
pub fn prepare() {
    // Relaxed: idempotent; a thread's start publishes the result to it.
    if KIND.load(Plain::Relaxed) != UNKNOWN {
        return;
    }
    let kind = if !crate::platform::MODELLED && !cfg!(miri) && register() {
        ASYMMETRIC
    } else {
        SYMMETRIC
    };
    // Relaxed: see above. The first answer stands, so that both sides always agree.
    let _ = KIND.compare_exchange(UNKNOWN, kind, Plain::Relaxed, Plain::Relaxed);
}

fn register() -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 }
}

/// The heavy side's turn where `membarrier` was taken away: changes the kind, unless somebody has. When
/// it returns the caller has had its fence.
#[cold]
fn change(refusal: &io::Error) {
    // Of this process: the thread that was at it when the parent forked does not exist here.
    static TURN: OfProcess<Mutex<()>> = OfProcess::new();
    let turn = TURN.get_or_init(Mutex::default);
    let _turn = turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // Relaxed, here and below: written in turn; light sides see it as the tour says.
    if KIND.load(Plain::Relaxed) != CHANGED {
        KIND.store(CHANGING, Plain::Relaxed);
        if let Err(error) = tour::everywhere() {
            environment_took(
                "membarrier(2)",
                &format_args!("{refusal}; and what would replace it failed: {error}"),
                "have the sandbox allow membarrier, or sched_setaffinity, sched_getaffinity and \
                 /proc/self/task, or enter it before the first runtime is built",
            );
        }
        // Relaxed: as above.
        KIND.store(CHANGED, Plain::Relaxed);
    }
    // SeqCst: the caller's side, now that both are full fences.
    fence(Ordering::SeqCst);
}
