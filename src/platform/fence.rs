//! An asymmetric store-load fence: the frequent side pays (almost) nothing, the rare side a system
//! call that makes every running thread of the process fence on its behalf.
//!
//! Dekker with it: one side does *store a; `light()`; load b*, the other *store b; `heavy()`; load
//! a*. At least one of them sees the other's store, as if both were `fence(SeqCst)`.
//! Source: Linux `membarrier(2)`, PRIVATE_EXPEDITED. Where the kernel refuses it, both sides are
//! `fence(SeqCst)`; in the models they always are.
//! Checked by: verification/litmus/twins.rs and verification/loom/retake.rs, as two fences; the
//! asymmetric kind by stress alone, above all by proptests/latch.rs.

use super::atomic::{Ordering, fence};
use super::unmodelled::{AtomicU32, Ordering as Plain};

// <linux/membarrier.h>
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

const UNKNOWN: u32 = 0;
const ASYMMETRIC: u32 = 1;
const SYMMETRIC: u32 = 2;

static KIND: AtomicU32 = AtomicU32::new(UNKNOWN);

/// The frequent side.
#[inline(always)]
pub fn light() {
    // Relaxed: the kind is settled by `prepare` before any thread that calls `heavy` starts.
    if KIND.load(Plain::Relaxed) == ASYMMETRIC {
        std::sync::atomic::compiler_fence(Plain::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// As [`light`], by who has learnt from [`is_asymmetric`] that it costs nothing.
#[inline(always)]
pub fn light_if_asymmetric() {
    // SeqCst, both: as in `light`.
    if super::MODELLED {
        fence(Ordering::SeqCst);
    } else {
        std::sync::atomic::compiler_fence(Plain::SeqCst);
    }
}

/// Whether the frequent side pays nothing; in models, where it does, as if.
pub fn is_asymmetric() -> bool {
    // Relaxed: see `light`.
    super::MODELLED || KIND.load(Plain::Relaxed) == ASYMMETRIC
}

/// The rare side: about a microsecond.
pub fn heavy() {
    // Relaxed: see `light`.
    if KIND.load(Plain::Relaxed) == ASYMMETRIC {
        // SAFETY: takes no pointer; the process registered in `prepare`.
        let rc = unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) };
        assert_eq!(rc, 0, "membarrier: registered, yet refused");
    } else {
        fence(Ordering::SeqCst);
    }
}

/// Registers the process with the kernel; called once before a runtime's first thread starts.
pub fn prepare() {
    // Relaxed: idempotent; a thread's start publishes the result to it.
    if KIND.load(Plain::Relaxed) != UNKNOWN {
        return;
    }
    let kind = if !super::MODELLED && !cfg!(miri) && register() { ASYMMETRIC } else { SYMMETRIC };
    // Relaxed: see above. The first answer stands, so that both sides always agree.
    let _ = KIND.compare_exchange(UNKNOWN, kind, Plain::Relaxed, Plain::Relaxed);
}

fn register() -> bool {
    // SAFETY: takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 }
}
