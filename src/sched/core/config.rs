//! Config: what a runtime is built from.
#![forbid(unsafe_code)]

use crate::fiber::{Blocks, SlotLayout};
use std::time::Duration;

/// Whose thread-locals goroutines have, and where they may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Their own; on any worker. In a model they share those of their thread.
    Isolated,
    /// Those of the worker that first ran them, on which alone they resume.
    Anchored,
    /// Those of the worker that runs them, which may be any.
    Migrating,
}

/// What a runtime is built from; validated by the builder.
pub(crate) struct Config {
    pub(crate) placement: Placement,
    pub(crate) processors: u32,
    pub(crate) max_processors: u32,
    pub(crate) layout: SlotLayout,
    /// How goroutines get thread-locals of their own; `None` if they share those of their thread.
    pub(crate) blocks: Option<&'static Blocks>,
    /// Whether a stack may be used for which the kernel refuses a guard.
    pub(crate) may_lack_guards: bool,
    /// Whether it is told how much of their stacks goroutines use.
    pub(crate) measure_stacks: bool,
    pub(crate) max_goroutines: usize,
    pub(crate) max_threads: usize,
    pub(crate) thread_name: String,
    pub(crate) seed: u64,
    pub(crate) abort_on_panic: bool,
    pub(crate) watchdog: Option<Watchdog>,
    /// False in models, which retake when they choose.
    pub(crate) monitor: bool,
    pub(crate) run_queue_capacity: usize,
    /// How long a worker keeps its processor while others queue for one.
    pub(crate) slice_nanos: u64,
    /// The seed of a simulation.
    pub(crate) simulated: Option<(u64, u64)>,
}

/// A goroutine that holds up others, as the watchdog reports it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The goroutine's id.
    pub id: u64,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// For how long it has neither suspended nor called the runtime.
    pub elapsed: Duration,
    /// Runnable goroutines that wait for its kernel thread, which is their home.
    pub waiting: usize,
    /// Whether it sleeps in the kernel, rather than computes.
    pub in_kernel: bool,
}

/// What the watchdog calls.
pub(crate) type Watchdog = Box<dyn Fn(&Stall) + Send + Sync>;
