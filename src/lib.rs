// Under a checker no doctest is collected: each builds a runtime, which only works in a model.
#![cfg(not(all(doctest, any(feature = "loom", feature = "shuttle"))))]
#![doc = include_str!("../README.md")]
// What only the checks use: see `internals`.
#![cfg_attr(not(feature = "internals"), allow(dead_code))]

pub mod alloc;
// The chapters for users, whose code is run as doctests.
#[cfg(doctest)]
mod book;
#[cfg(test)]
mod book_tests;
mod builder;
mod cancel;
pub mod chan;
mod context;
mod error;
pub mod fs;
mod future;
mod go;
mod handle;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod io;
mod join;
mod local;
mod lockfree;
pub mod model;
pub mod net;
mod platform;
pub mod process;
mod runtime;
mod sched;
mod scope;
pub mod signal;
mod spec;
pub mod sync;
pub mod time;
mod unwind;
mod wait;

pub use builder::{Builder, PanicPolicy};
pub use cancel::{CancelGuard, CancelReason, CancelToken, Cancelled, CancelledAsync};
pub use context::{StackError, ThreadLocalsError};
pub use error::{
    BuildError, JoinError, ResizeError, ShutdownError, SpawnError, SpawnErrorKind, StillRunning,
};
pub use future::block_on;
pub use go::{
    Spawn, blocking, go, no_suspend, park, park_cancel, park_timeout, pinned, try_go, yield_now,
};
pub use handle::{Goroutine, current};
pub use join::{JoinFuture, JoinHandle};
pub use local::{AccessError, LocalKey};
pub use runtime::Runtime;
pub use sched::metrics::Metrics;
pub use sched::monitor::Stall;
pub use sched::shutdown::{Remaining, RemainingState};
pub use sched::stacks::StackUse;
pub use scope::{Scope, ScopedJoinFuture, ScopedJoinHandle, scope};

/// What the macros expand to. No part of the API.
#[doc(hidden)]
pub mod __macro_support {
    pub use crate::chan::written::{
        AnyArm, AsReceiver, AsSender, CancelArm, Chosen, DEFAULT, RecvArm, SendArm, select,
        select_timeout, try_select,
    };
}
