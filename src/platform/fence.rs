//! An asymmetric store-load fence: the frequent side pays (almost) nothing, and the rare side pays a system
//! call that makes every running thread of the process execute a fence.
//!
//! Dekker's pattern with it: one side does *store a; `light()`; load b*, and the other does *store b;
//! `heavy()`; load a*. At least one of them sees the other's store, as if both were `fence(SeqCst)`.
//! Source: Linux `membarrier(2)`, PRIVATE_EXPEDITED. Where the kernel refuses it, both sides are
//! `fence(SeqCst)`; in the models they always are.
//!
//! A sandbox that the process enters later may refuse the system call from then on, while threads run that have
//! relied on it. The first heavy side that learns this changes the kind for good, in this order:
//!   the kind is CHANGING: a light side that reads this is a full fence;
//!   a fence on every thread (`tour`): all threads see a light side that came before, and a light side that
//!   comes after reads CHANGING;
//!   the kind is CHANGED: heavy sides need not do so again.
//! The light side reads the kind after its store, so it is before that fence or after it: docs/handoff.md.
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
/// ASYMMETRIC is no longer used, but light sides may be in progress that have not read this yet.
const CHANGING: u32 = 3;
/// Both sides are full fences, as in SYMMETRIC, after a change.
const CHANGED: u32 = 4;

static KIND: AtomicU32 = AtomicU32::new(UNKNOWN);

/// Executes the fence of the frequent side.
#[inline(always)]
pub fn light() {
    // SeqCst, as a compiler fence: the kind must be read after the caller's store. The module's documentation says
    // why.
    compiler_fence(Plain::SeqCst);
    // Relaxed: `prepare` has set the kind before any thread that calls `heavy` starts, and `change` waits until
    // every thread has seen the change.
    if KIND.load(Plain::Relaxed) == ASYMMETRIC {
        compiler_fence(Plain::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// Works like [`light`], for a caller that calls [`is_asymmetric`] before this, or right after it. The caller must
/// not rely on the fence if the result is false.
#[inline(always)]
pub fn light_if_asymmetric() {
    // SeqCst, both: `light` says why.
    if crate::platform::MODELLED {
        fence(Ordering::SeqCst);
    } else {
        compiler_fence(Plain::SeqCst);
    }
}

/// Returns whether the frequent side pays nothing. In models it returns false, because both sides are full fences
/// there.
#[inline(always)]
pub fn is_asymmetric() -> bool {
    // Relaxed: see `light`.
    crate::platform::MODELLED || KIND.load(Plain::Relaxed) == ASYMMETRIC
}

/// Returns whether the kind has changed: the frequent side paid nothing at first, and pays for a full fence now.
pub fn has_changed() -> bool {
    // Relaxed: the caller has returned from `heavy`.
    KIND.load(Plain::Relaxed) == CHANGED
}

/// Executes the fence of the rare side, which takes about a microsecond.
pub fn heavy() {
    // Relaxed: the kind is never ASYMMETRIC again, and `change` reads it once more, in its turn.
    // Relaxed: see `light`; a change is made under its own lock.
    match KIND.load(Plain::Relaxed) {
        ASYMMETRIC => {
            if let Err(refusal) = membarrier() {
                change(&refusal);
            }
        }
        // The kernel has refused the call to another thread.
        CHANGING => change(&io::ErrorKind::PermissionDenied.into()),
        // SeqCst: a full fence, as on the light side.
        _ => fence(Ordering::SeqCst),
    }
}

fn membarrier() -> io::Result<()> {
    // SAFETY: `membarrier` takes no pointer, and `prepare` has registered the process for this command.
    let rc = unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) };
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Registers the process with the kernel. Must be called once before a runtime's first thread starts.
pub fn prepare() {
    // Relaxed: the call is idempotent, and the start of a thread publishes the result to that thread.
    if KIND.load(Plain::Relaxed) != UNKNOWN {
        return;
    }
    let kind = if !crate::platform::MODELLED && !cfg!(miri) && register() {
        ASYMMETRIC
    } else {
        SYMMETRIC
    };
    // Relaxed: see above. The first result is kept, so that both sides always use the same kind of fence.
    let _ = KIND.compare_exchange(UNKNOWN, kind, Plain::Relaxed, Plain::Relaxed);
}

fn register() -> bool {
    // SAFETY: `membarrier` takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 }
}

/// Changes the kind after `membarrier` was taken away, unless another thread has changed it. The heavy side calls
/// this. When the function returns, it has also executed the caller's fence.
#[cold]
fn change(refusal: &io::Error) {
    // The lock belongs to this process alone. A thread that held the parent's lock when the parent forked is not
    // running in the child, and would never unlock it.
    static TURN: OfProcess<Mutex<()>> = OfProcess::new();
    let turn = TURN.get_or_init(Mutex::default);
    let _turn = turn.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // Relaxed, here and below: the kind is written under the lock, and `tour` makes it visible to light sides.
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
        // Relaxed: the store is under the lock.
        KIND.store(CHANGED, Plain::Relaxed);
    }
    // SeqCst: this is the caller's own fence, because both sides are full fences now.
    fence(Ordering::SeqCst);
}
