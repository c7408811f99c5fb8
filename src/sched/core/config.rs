//! The configuration from which a runtime is built.
#![forbid(unsafe_code)]

use crate::fiber::{Blocks, SlotLayout};
use std::time::Duration;

/// Says which thread-locals a goroutine uses, and where it may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// A goroutine has its own thread-locals and resumes on any worker. In a model, a goroutine shares the
    /// thread-locals of its thread.
    Isolated,
    /// A goroutine uses the thread-locals of the worker that first ran it, and resumes only on that worker.
    Anchored,
    /// A goroutine uses the thread-locals of the worker that runs it, and resumes on any worker.
    Migrating,
}

/// The configuration of a runtime. The builder has validated it.
pub(crate) struct Config {
    pub(crate) placement: Placement,
    pub(crate) processors: u32,
    pub(crate) max_processors: u32,
    pub(crate) layout: SlotLayout,
    /// Makes thread-locals for goroutines. `None` if goroutines share the thread-locals of their kernel
    /// thread.
    pub(crate) blocks: Option<&'static Blocks>,
    /// Whether a stack may be used if the kernel refuses to guard it.
    pub(crate) may_lack_guards: bool,
    /// Whether the runtime measures how much of their stacks goroutines use.
    pub(crate) measure_stacks: bool,
    pub(crate) max_goroutines: usize,
    pub(crate) max_threads: usize,
    pub(crate) thread_name: String,
    pub(crate) seed: u64,
    pub(crate) abort_on_panic: bool,
    pub(crate) watchdog: Option<Watchdog>,
    /// Whether a monitor thread runs. False in models, which retake processors at points that they choose.
    pub(crate) monitor: bool,
    pub(crate) run_queue_capacity: usize,
    /// How long a worker keeps its processor while other workers queue for one.
    pub(crate) slice_nanos: u64,
    /// The seed of a simulation and its largest number of steps. `None` outside a simulation.
    pub(crate) simulated: Option<(u64, u64)>,
}

/// Describes a goroutine that delays others. The watchdog receives it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stall {
    /// The goroutine's id.
    pub id: u64,
    /// The goroutine's name, if it has one.
    pub name: Option<String>,
    /// How long the goroutine has neither suspended nor called the runtime.
    pub elapsed: Duration,
    /// The number of runnable goroutines that are bound to this goroutine's kernel thread and wait for it.
    pub waiting: usize,
    /// True if the goroutine sleeps in the kernel, false if it computes.
    pub in_kernel: bool,
}

/// The function that the watchdog calls.
pub(crate) type Watchdog = Box<dyn Fn(&Stall) + Send + Sync>;
