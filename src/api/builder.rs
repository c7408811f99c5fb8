//! The builder of a runtime: its settings, their defaults, and the checks of their values.

use super::error::BuildError;
use super::runtime::Runtime;
use crate::fiber::{
    Blocks, DEFAULT_GUARD_SIZE, DEFAULT_STACK_SIZE, SlotLayout, StackError, StackPool,
};
use crate::in_model::runtime;
use crate::in_model::runtime::ModelRuntime;
use crate::platform::{Arc, MODELLED, Notifier, available_processors, seed};
use crate::sched::core::config::Config;
use crate::sched::core::config::Placement;
use crate::sched::core::config::{Stall, Watchdog};
use crate::sched::core::runtime::Shared;
use crate::sched::core::runtime::Sockets;
use crate::sched::poller::Source;
use crate::sched::worker::entry::fiber_main;
use std::fmt;
use std::time::Duration;

const MAX_PROCESSORS: usize = 1024;
const MAX_THREADS: usize = 1 << 16;
const DEFAULT_MAX_GOROUTINES: usize = 4 << 20;
const DEFAULT_MAX_THREADS: usize = 512;
const SLICE: Duration = Duration::from_millis(1);

/// The effect of a goroutine's panic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// The panic ends that goroutine. The goroutine's join returns the panic as an error.
    #[default]
    Carry,
    /// The panic aborts the process, after the panic hook has run.
    Abort,
}

/// Sets up a runtime.
///
/// ```
/// let runtime = selvedge::Runtime::builder()
///     .processors(2)
///     .stack_size(128 * 1024)
///     .watchdog(|stall| eprintln!("{stall:?}"))
///     .build()?;
/// assert_eq!(runtime.processors(), 2);
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[must_use = "nothing is built until `build` is called"]
pub struct Builder {
    processors: Option<usize>,
    max_processors: Option<usize>,
    stack_size: usize,
    guard_size: usize,
    may_lack_guards: bool,
    measure_stacks: bool,
    max_goroutines: Option<usize>,
    max_threads: Option<usize>,
    thread_name: String,
    seed: Option<u64>,
    panic_policy: PanicPolicy,
    watchdog: Option<Watchdog>,
    pub(crate) monitor: bool,
    pub(crate) run_queue_capacity: usize,
    simulated: Option<(u64, u64)>,
    pub(crate) kernel: Option<(Box<dyn Source>, Arc<dyn Notifier>)>,
}

impl Builder {
    /// Creates a builder with the default settings. Each method below names its default.
    pub fn new() -> Self {
        Builder {
            processors: None,
            max_processors: None,
            stack_size: DEFAULT_STACK_SIZE,
            guard_size: DEFAULT_GUARD_SIZE,
            may_lack_guards: false,
            measure_stacks: false,
            max_goroutines: None,
            max_threads: None,
            thread_name: String::from("selvedge"),
            seed: None,
            panic_policy: PanicPolicy::Carry,
            watchdog: None,
            monitor: !MODELLED,
            run_queue_capacity: if MODELLED { 4 } else { 256 },
            simulated: None,
            kernel: None,
        }
    }

    /// Sets how many goroutines may run at a time. Default: the number of processors that this process may use,
    /// which its affinity and its container's CPU limit restrict.
    pub fn processors(mut self, processors: usize) -> Self {
        self.processors = Some(processors);
        self
    }

    /// Sets the largest number that [`Runtime::set_processors`] accepts. Default: 64, or the number of
    /// [processors](Self::processors) if that is larger.
    pub fn max_processors(mut self, processors: usize) -> Self {
        self.max_processors = Some(processors);
        self
    }

    /// Sets the size of a goroutine's stack in bytes, rounded up to whole pages. Default: 320 KiB, which is enough
    /// for ordinary programs, also in debug builds. Only touched pages take memory. The rest takes address space,
    /// and page tables of some 2 bytes for each KiB.
    ///
    /// An overflow ends the process with a message that names the goroutine.
    /// [`Spawn::stack_size`](crate::Spawn::stack_size) gives one goroutine another size, and
    /// [`measure_stacks`](Self::measure_stacks) measures how much goroutines use.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Sets the size of the guard below each stack in bytes, rounded up to whole pages. Default: 96 KiB.
    ///
    /// An access to the guard is an overflow. Rust code touches each page of a large frame in turn, so it
    /// can't miss even a small guard. Foreign code may skip pages (C without `-fstack-clash-protection`). If its
    /// frame is larger than the guard, such code may step over the guard and write to another goroutine's stack. Make
    /// the guard larger than the largest such frame. A guard takes address space and page tables, but no memory.
    pub fn guard_size(mut self, bytes: usize) -> Self {
        self.guard_size = bytes;
        self
    }

    /// Allows stacks without a guard. If the kernel refuses a guard, the goroutine then runs without a guard.
    ///
    /// This setting matters on kernels before 6.13, in sandboxes that deny `madvise(MADV_GUARD_INSTALL)`, and
    /// after `mlockall`. There a guard needs two of the process's mappings, and `vm.max_map_count`, by default
    /// 65,530, is enough for some 31,000 stacks. Further goroutines are refused
    /// ([`SpawnErrorKind::Stack`](crate::SpawnErrorKind::Stack)), unless this method is called.
    /// If possible, raise `vm.max_map_count` instead.
    ///
    /// # Safety
    /// The caller must ensure that no goroutine overflows its stack, also not in foreign code that it calls. On a
    /// stack without a guard, an overflow is not noticed, and overwrites another goroutine's stack.
    pub unsafe fn allow_unguarded_stacks(mut self) -> Self {
        self.may_lack_guards = true;
        self
    }

    /// Measures how much of its stack each goroutine uses, for [`Runtime::stack_use`]. By default, stacks are not
    /// measured.
    ///
    /// Each stack is filled with a pattern first, so it takes all of its memory, 320 KiB by default, and a
    /// goroutine costs some 30 µs more of processor time. Use this setting to measure a program, not in production.
    pub fn measure_stacks(mut self, measure: bool) -> Self {
        self.measure_stacks = measure;
        self
    }

    /// Sets how many goroutines may be alive. Default: 4,194,304. Above 4096 the limit is exact to within 128 for
    /// each processor. Address space for stacks is reserved when it is needed, so a large limit costs nothing.
    ///
    /// On a kernel that needs mappings for guards (see
    /// [`allow_unguarded_stacks`](Self::allow_unguarded_stacks)) fewer may be possible. Then
    /// [`build`](Self::build) refuses a larger number that is set here. If no number is set, all runtimes of the
    /// process together may have as many goroutines as are possible.
    pub fn max_goroutines(mut self, goroutines: usize) -> Self {
        self.max_goroutines = Some(goroutines);
        self
    }

    /// Sets the cap on kernel threads: workers and helpers, but not the monitor and the timekeeper. Default: 512,
    /// or four for each processor if that is more. At the cap, goroutines wait until a thread becomes free.
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.max_threads = Some(threads);
        self
    }

    /// Sets the prefix of the kernel threads' names. Default: `selvedge`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// Sets the seed of the random order in which a worker tries other workers to steal from. Default: a random seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets what a goroutine's panic does. Default: [`PanicPolicy::Carry`].
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.panic_policy = policy;
        self
    }

    /// Sets a hook that the monitor's thread calls when a goroutine holds up other goroutines that are bound to
    /// the same kernel thread. The first call comes after 10 ms, and a further call each time that duration has
    /// doubled. Default: no hook. [`Metrics::stalls`](crate::Metrics::stalls) counts stalls also without a hook.
    ///
    /// While the hook runs, the monitor takes no processor from goroutines that block or compute, so the hook must
    /// return soon. If the hook panics, it is called again the next time. The hook may end the runtime. A thread
    /// that ends the runtime while the hook runs does not wait for the hook. The hook is dropped on the monitor's
    /// thread, before the runtime has ended.
    pub fn watchdog(mut self, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.watchdog = Some(Box::new(hook));
        self
    }

    /// Sets up a simulated runtime: a single worker in virtual time. The random choices come from `seed`, and the run
    /// has at most `most_steps` steps.
    pub(crate) fn simulated(self, seed: u64, most_steps: u64) -> Self {
        let one = self.processors(1).max_processors(1).max_threads(1).seed(seed);
        Builder { simulated: Some((seed, most_steps)), monitor: false, ..one }
    }

    /// Builds an isolated runtime; see [`Runtime::new`].
    ///
    /// In a program under [`model`](crate::model) the runtime has no scheduler: the goroutines that it runs and
    /// spawns are goroutines of that program. There the runtime has two processors by default, keeps no limits, and
    /// calls no watchdog. A migrating runtime does not differ from others there. Dropping a runtime there ends no
    /// goroutine.
    ///
    /// # Errors
    /// Fails if a number is out of range, or if the machine grants no thread or no memory.
    pub fn build(self) -> Result<Runtime, BuildError> {
        self.build_as(Placement::Isolated)
    }

    /// Builds an anchored runtime.
    ///
    /// # Safety
    /// The caller must do what [`Runtime::anchored`] requires.
    ///
    /// # Errors
    /// Returns the same errors as [`build`](Self::build), except [`BuildError::ThreadLocals`].
    pub unsafe fn build_anchored(self) -> Result<Runtime, BuildError> {
        self.build_as(Placement::Anchored)
    }

    /// Builds a migrating runtime.
    ///
    /// # Safety
    /// The caller must do what [`Runtime::migrating`] requires.
    ///
    /// # Errors
    /// Returns the same errors as [`build`](Self::build), except [`BuildError::ThreadLocals`].
    pub unsafe fn build_migrating(self) -> Result<Runtime, BuildError> {
        self.build_as(Placement::Migrating)
    }

    fn build_as(mut self, placement: Placement) -> Result<Runtime, BuildError> {
        let kernel = self.kernel.take();
        let is_hosted = self.simulated.is_none() && runtime::is_here();
        let config = self.validate(placement, is_hosted)?;
        if is_hosted {
            return Ok(Runtime::hosted(ModelRuntime::new(&config)));
        }
        crate::sched::worker::overflow_report::install();
        let arena = Shared::make_stack_pool(&config, fiber_main).map_err(BuildError::Stack)?;
        let shared = Shared::new(config, arena);
        if let Some((source, notifier)) = kernel {
            let _ = shared.sockets.set(Arc::new(Sockets::modelled(source, notifier)));
        }
        let started = shared.start();
        // If an error is returned from here on, the drop of `runtime` ends the threads that were started.
        let runtime = Runtime::of(shared);
        started.map_err(BuildError::Thread)?;
        Ok(runtime)
    }

    fn validate(self, placement: Placement, is_hosted: bool) -> Result<Config, BuildError> {
        let processors = self.processors.unwrap_or_else(|| match is_hosted {
            true => runtime::PROCESSORS,
            false => available_processors().min(MAX_PROCESSORS),
        });
        let default_most = if MODELLED { processors } else { processors.max(64) };
        let max_processors = self.max_processors.unwrap_or(default_most);
        if max_processors > MAX_PROCESSORS {
            return Err(BuildError::Processors { asked: max_processors, most: MAX_PROCESSORS });
        }
        if processors == 0 || processors > max_processors {
            let most = if self.max_processors.is_some() { max_processors } else { MAX_PROCESSORS };
            return Err(BuildError::Processors { asked: processors, most });
        }
        let default_threads =
            if MODELLED { 2 * processors } else { DEFAULT_MAX_THREADS.max(4 * processors) };
        let max_threads = self.max_threads.unwrap_or(default_threads);
        if max_threads < processors || max_threads > MAX_THREADS {
            let (asked, least) = (max_threads, processors);
            return Err(BuildError::Threads { asked, least, most: MAX_THREADS });
        }
        let blocks = match placement {
            Placement::Isolated if !MODELLED && !is_hosted => Some(Blocks::of_this_process()),
            _ => None,
        };
        let blocks = blocks.transpose().map_err(BuildError::thread_locals)?;
        let reserved = blocks.map_or(0, Blocks::bytes);
        let layout = SlotLayout::new(self.stack_size, self.guard_size, reserved);
        let layout = layout.map_err(BuildError::Stack)?;
        let max_goroutines = self.goroutines(layout, processors, max_processors)?;
        if self.thread_name.contains('\0') {
            return Err(BuildError::ThreadName);
        }
        Ok(Config {
            placement,
            processors: processors as u32,
            max_processors: max_processors as u32,
            layout,
            blocks,
            may_lack_guards: self.may_lack_guards,
            measure_stacks: self.measure_stacks,
            max_goroutines,
            max_threads,
            thread_name: self.thread_name,
            seed: self.seed.unwrap_or_else(seed),
            abort_on_panic: self.panic_policy == PanicPolicy::Abort,
            watchdog: self.watchdog,
            monitor: self.monitor,
            run_queue_capacity: self.run_queue_capacity,
            simulated: self.simulated,
            slice_nanos: if MODELLED { 0 } else { SLICE.as_nanos() as u64 },
        })
    }
}

impl Builder {
    /// Returns the limit on goroutines, or an error if the limit that was set is impossible.
    fn goroutines(
        &self,
        layout: SlotLayout,
        processors: usize,
        max_processors: usize,
    ) -> Result<usize, BuildError> {
        let slack = Shared::stacks(0, max_processors as u32);
        let most = StackPool::max_slots(layout).saturating_sub(slack);
        let Some(asked) = self.max_goroutines else { return Ok(DEFAULT_MAX_GOROUTINES.min(most)) };
        if asked == 0 || asked > most {
            return Err(BuildError::Goroutines { asked, most });
        }
        let slack = Shared::stacks(0, processors as u32);
        let allowed = StackPool::guarded_slots().saturating_sub(slack);
        if asked > allowed && !self.may_lack_guards {
            return Err(BuildError::Stack(StackError::Guards { asked, allowed }));
        }
        Ok(asked)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("processors", &self.processors)
            .field("stack_size", &self.stack_size)
            .field("guard_size", &self.guard_size)
            .field("max_goroutines", &self.max_goroutines)
            .field("max_threads", &self.max_threads)
            .finish_non_exhaustive()
    }
}
