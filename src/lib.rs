// Under a checker no doctest is collected: each builds a runtime, which only works in a model.
#![cfg(not(all(doctest, any(feature = "loom", feature = "shuttle"))))]
#![doc = include_str!("../README.md")]

mod builder;
mod cancel;
pub mod chan;
#[doc(hidden)]
pub mod context;
mod error;
pub mod fs;
mod future;
mod go;
mod handle;
pub mod io;
mod join;
mod local;
#[doc(hidden)]
pub mod lockfree;
pub mod model;
pub mod net;
#[doc(hidden)]
pub mod platform;
pub mod process;
mod runtime;
#[doc(hidden)]
pub mod sched;
mod scope;
pub mod signal;
#[doc(hidden)]
pub mod spec;
pub mod sync;
pub mod time;
#[doc(hidden)]
pub mod wait;

pub use builder::{Builder, PanicPolicy};
pub use cancel::{CancelGuard, CancelReason, CancelToken, Cancelled, CancelledAsync};
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
pub use scope::{Scope, ScopedJoinFuture, ScopedJoinHandle, scope};

/// The parts that the project's own checks look into. No part of the API.
#[doc(hidden)]
pub mod internals {
    pub use crate::future::alarm;
    pub use crate::net::cell;
    pub use crate::{context, lockfree, platform, sched, wait};
}
