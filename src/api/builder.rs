//! How a runtime is built, and the defaults.

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

/// What a goroutine's panic does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PanicPolicy {
    /// The panic ends that goroutine. The goroutine's join returns the panic as an error.
    #[default]
    Carry,
    /// It aborts the process, after the panic hook.
    Abort,
}

/// Sets a runtime up.
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
    /// The defaults, which each method names.
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

    /// How many goroutines may run at a time. Default: the processors that this process may use,
    /// its affinity and its container's CPU limit counted in.
    pub fn processors(mut self, processors: usize) -> Self {
        self.processors = Some(processors);
        self
    }

    /// How far [`Runtime::set_processors`] may go. Default: 64, or more if there are more.
    pub fn max_processors(mut self, processors: usize) -> Self {
        self.max_processors = Some(processors);
        self
    }

    /// The bytes of a goroutine's stack, rounded up to whole pages. Default: 320 KiB, which is enough for
    /// what ordinary programs do, debug builds included. Only touched pages take memory; the rest is
    /// address space, and page tables: some 2 bytes for each KiB.
    ///
    /// An overflow ends the process with a message that names the goroutine. For one goroutine with another
    /// size: [`Spawn::stack_size`](crate::Spawn::stack_size). How much goroutines use:
    /// [`measure_stacks`](Self::measure_stacks).
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// The bytes of the guard below each stack, rounded up to whole pages. Default: 96 KiB.
    ///
    /// An access to the guard is an overflow. Rust code touches each page of a large frame in turn, so it
    /// can't miss even a small guard. Foreign code that does not (C without `-fstack-clash-protection`)
    /// may step over a guard that is smaller than its frame, and write to another goroutine's stack: make
    /// the guard larger than the largest such frame. It takes address space and page tables, no memory.
    pub fn guard_size(mut self, bytes: usize) -> Self {
        self.guard_size = bytes;
        self
    }

    /// Where the kernel refuses a guard, runs the goroutine on a stack without one.
    ///
    /// It matters on kernels before 6.13, in sandboxes that deny `madvise(MADV_GUARD_INSTALL)`, and after
    /// `mlockall`. There a guard takes two of the process's mappings, and `vm.max_map_count`, by default
    /// 65,530, is enough for some 31,000 stacks. Further goroutines are refused
    /// ([`SpawnErrorKind::Stack`](crate::SpawnErrorKind::Stack)), unless this is called.
    /// The better remedy is to raise `vm.max_map_count`.
    ///
    /// # Safety
    /// No goroutine overflows its stack, foreign code that it calls included: on a stack without a guard,
    /// an overflow is not noticed, and overwrites another goroutine's stack.
    pub unsafe fn allow_unguarded_stacks(mut self) -> Self {
        self.may_lack_guards = true;
        self
    }

    /// Measures how much of its stack each goroutine uses, for [`Runtime::stack_use`]. Default: no.
    ///
    /// Each stack is filled with a pattern first, so it takes all of its memory, 320 KiB by default, and a
    /// goroutine costs some 30 µs more of processor time. For a program that is being measured, not for one at
    /// work.
    pub fn measure_stacks(mut self, measure: bool) -> Self {
        self.measure_stacks = measure;
        self
    }

    /// How many goroutines may be alive. Default: 4,194,304. Above 4096 the limit is exact to within 128 a
    /// processor. Address space for stacks is reserved as it is needed, so a large limit costs nothing.
    ///
    /// On a kernel that needs mappings for guards (see
    /// [`allow_unguarded_stacks`](Self::allow_unguarded_stacks)) fewer may be possible. Then a number that
    /// is asked for here is refused by [`build`](Self::build), and the default is what the runtimes of the
    /// process together can have.
    pub fn max_goroutines(mut self, goroutines: usize) -> Self {
        self.max_goroutines = Some(goroutines);
        self
    }

    /// The cap on kernel threads, workers and helpers, without monitor and timekeeper. Default: 512, or
    /// four a processor if that is more. At the cap, goroutines wait for a thread to come back.
    pub fn max_threads(mut self, threads: usize) -> Self {
        self.max_threads = Some(threads);
        self
    }

    /// The prefix of kernel threads' names. Default: `selvedge`.
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        self.thread_name = name.into();
        self
    }

    /// The seed of the order in which victims are tried. Default: a random one.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// What a goroutine's panic does. Default: [`PanicPolicy::Carry`].
    pub fn panic_policy(mut self, policy: PanicPolicy) -> Self {
        self.panic_policy = policy;
        self
    }

    /// Called, on the monitor's thread, when a goroutine holds up others that have their home on
    /// the same kernel thread: first after 10 ms, then each time that has doubled. Default: none;
    /// [`Metrics::stalls`] counts all the same.
    ///
    /// While the hook runs, the monitor takes no processor from goroutines that block or compute, so the hook must
    /// return soon. If the hook panics, it is called again the next time. The hook may end the runtime. A thread
    /// that ends the runtime while the hook runs does not wait for the hook. The hook is dropped on the monitor's
    /// thread, before the runtime has ended.
    pub fn watchdog(mut self, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.watchdog = Some(Box::new(hook));
        self
    }

    /// Sets one worker up that runs in virtual time. The seed `seed` makes its choices, and it runs for at most
    /// `most_steps` steps.
    pub(crate) fn simulated(self, seed: u64, most_steps: u64) -> Self {
        let one = self.processors(1).max_processors(1).max_threads(1).seed(seed);
        Builder { simulated: Some((seed, most_steps)), monitor: false, ..one }
    }

    /// Builds an isolated runtime; see [`Runtime::new`].
    ///
    /// In a program under [`model`](crate::model) it has no scheduler: what it runs and spawns are
    /// goroutines of that program. There it has two processors if not told, keeps no limits, calls no
    /// watchdog, and is migrating in name only; dropping it ends nobody.
    ///
    /// # Errors
    /// If a number is out of range, or if the machine grants no thread or no memory.
    pub fn build(self) -> Result<Runtime, BuildError> {
        self.build_as(Placement::Isolated)
    }

    /// Builds an anchored runtime.
    ///
    /// # Safety
    /// As [`Runtime::anchored`].
    ///
    /// # Errors
    /// As [`build`](Self::build), but for [`BuildError::ThreadLocals`].
    pub unsafe fn build_anchored(self) -> Result<Runtime, BuildError> {
        self.build_as(Placement::Anchored)
    }

    /// Builds a migrating runtime.
    ///
    /// # Safety
    /// As [`Runtime::migrating`].
    ///
    /// # Errors
    /// As [`build`](Self::build), but for [`BuildError::ThreadLocals`].
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
        // From here on, `drop` ends what was started.
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
    /// The limit of goroutines.
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
