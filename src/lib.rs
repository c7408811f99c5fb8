// Under a checker no doctest is collected: each builds a runtime, which only works in a model.
#![cfg(not(all(doctest, any(feature = "loom", feature = "shuttle"))))]
#![doc = include_str!("../README.md")]
// What only the checks use: see `internals`.
#![cfg_attr(not(feature = "internals"), allow(dead_code))]

pub mod alloc;
mod api;
mod cancel;
pub mod chan;
mod explore;
mod fiber;
pub mod fs;
mod future;
mod in_model;
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals;
pub mod io;
mod local;
pub mod model;
pub mod net;
mod observe;
mod platform;
pub mod process;
mod sched;
pub mod signal;
mod structures;
pub mod sync;
pub mod time;
mod wait;

pub use api::builder::{Builder, PanicPolicy};
pub use api::error::{
    BuildError, JoinError, ResizeError, ShutdownError, SpawnError, SpawnErrorKind, StillRunning,
};
pub use api::go::{
    Spawn, blocking, go, no_suspend, park, park_cancel, park_timeout, pinned, try_go, yield_now,
};
pub use api::handle::{Goroutine, current};
pub use api::join::JoinHandle;
pub use api::join_future::JoinFuture;
pub use api::runtime::Runtime;
pub use api::scope::{Scope, ScopedJoinFuture, ScopedJoinHandle, scope};
pub use cancel::{CancelGuard, CancelReason, CancelToken, Cancelled};
pub use chan::cancelled::CancelledAsync;
pub use fiber::{StackError, ThreadLocalsError};
pub use future::block_on;
pub use local::{AccessError, LocalKey};
pub use sched::core::config::Stall;
pub use sched::core::stacks::StackUse;
pub use sched::lifecycle::metrics::Metrics;
pub use sched::lifecycle::shutdown::{Remaining, RemainingState};

/// What the macros expand to. No part of the API.
#[doc(hidden)]
pub mod __macro_support {
    pub use crate::chan::written::{
        AnyArm, AsReceiver, AsSender, CancelArm, Chosen, DEFAULT, RecvArm, SendArm, select,
        select_timeout, try_select,
    };
}
