//! Layer 0: the thin layer between the runtime and the machine.
//!
//! The runtime is written against this module. It has one backend per file, and each backend has the same
//! surface: `std_backend` ships, and with `loom_backend` and `shuttle_backend` the checkers decide what each
//! load returns and which thread runs next. Modules above name neither `std::sync`, `std::thread` and
//! `core::sync` nor the two features. `explore` and the log of a checked run are exceptions: they stand outside
//! of the model, and may name `std`'s synchronization too.
//!
//! | item | std | loom | shuttle |
//! |---|---|---|---|
//! | [`atomic`] | as the machine | C11 subset, SeqCst accesses as AcqRel | SeqCst |
//! | [`cell`] | free | every access race-checked | free |
//! | [`Mutex`], [`Condvar`] | std's, never poisoned | modelled | modelled |
//! | [`fence`] | `membarrier` where the kernel has it | `fence(SeqCst)` both sides | no-op |
//! | [`clock`] | monotonic | a counter | a counter |

mod counter;
mod cpu;
mod environment;
pub mod fence;
pub mod foreign;
pub mod fork;
pub mod hooks;
pub mod kernel_thread;
mod memory;
mod parker;
mod poll;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod seeds;
pub mod tour;

#[cfg(not(any(feature = "loom", feature = "shuttle")))]
mod std_backend;
#[cfg(not(any(feature = "loom", feature = "shuttle")))]
use std_backend as backend;

#[cfg(feature = "loom")]
mod loom_backend;
#[cfg(feature = "loom")]
use loom_backend as backend;

#[cfg(all(feature = "shuttle", not(feature = "loom")))]
mod shuttle_backend;
#[cfg(all(feature = "shuttle", not(feature = "loom")))]
use shuttle_backend as backend;

pub use backend::{
    Condvar, MODELLED, ModelOnly, Mutex, MutexGuard, atomic, cell, clock, seed, spin_hint, thread,
    tls,
};
pub(crate) use backend::{const_fn, shipping_or_model, thread_local};
pub use counter::Counter;
pub use cpu::{CpuClock, available_processors, prefetch, thread_id, thread_sleeps};
pub use environment::environment_took;
pub use fork::OfProcess;
pub use memory::{page_size, populate};
pub use parker::{Notifier, Parker};
pub use poll::ppoll;
pub use std::sync::{Arc, OnceLock, Weak};

/// Whether the scheduler tells the specification what it does. Without this, `crate::observe::specification` is
/// empty.
pub const SPEC: bool = MODELLED || cfg!(feature = "spec");

/// The message for a poisoned lock, that is, a lock whose holder panicked.
pub mod poison {
    pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
}

/// Atomics that no model explores, for registries of signal handlers and for kernel facts. A process has these once,
/// and they outlive every modelled execution.
pub mod unmodelled {
    #[cfg(selvedge_isolated)]
    pub use std::sync::atomic::AtomicU8;
    pub use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, compiler_fence, fence,
    };
    pub use std::sync::{Mutex, MutexGuard};
}

/// Returns whether the calling thread is unwinding. The count behind this belongs to the kernel thread, so no code
/// may switch goroutines while the function returns true.
#[inline]
pub fn panicking() -> bool {
    std::thread::panicking()
}
