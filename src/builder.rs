//! How a runtime is built, and the defaults.

use crate::Runtime;
use crate::context::{Arena, DEFAULT_STACK_SIZE, StackError};
use crate::error::BuildError;
use crate::model::hosted::{self, Hosted};
use crate::platform::{Arc, Bell, MODELLED, available_processors, seed};
use crate::sched::entry::fiber_main;
use crate::sched::monitor::{Stall, Watchdog};
use crate::sched::poller::Source;
use crate::sched::poller::sockets::Sockets;
use crate::sched::{Config, Shared};
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
    /// It ends that goroutine, and travels to who joins it.
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
    max_goroutines: Option<usize>,
    max_threads: Option<usize>,
    thread_name: String,
    seed: Option<u64>,
    panic_policy: PanicPolicy,
    watchdog: Option<Watchdog>,
    monitor: bool,
    deque_capacity: usize,
    simulated: Option<(u64, u64)>,
    kernel: Option<(Box<dyn Source>, Arc<dyn Bell>)>,
}

impl Builder {
    /// The defaults, which each method names.
    pub fn new() -> Self {
        Builder {
            processors: None,
            max_processors: None,
            stack_size: DEFAULT_STACK_SIZE,
            max_goroutines: None,
            max_threads: None,
            thread_name: String::from("selvedge"),
            seed: None,
            panic_policy: PanicPolicy::Carry,
            watchdog: None,
            monitor: !MODELLED,
            deque_capacity: if MODELLED { 4 } else { 256 },
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

    /// The bytes of a goroutine's stack, rounded up to an odd number of pages, its guard page
    /// included. Default: 68 KiB. Only touched pages take memory. A panic that prints a backtrace needs 22 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// How many goroutines may be alive. Default: 4,194,304, or what the kernel's limit on mappings
    /// allows. Above 4096 the limit is exact to within 128 a processor.
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
    pub fn watchdog(mut self, hook: impl Fn(&Stall) + Send + Sync + 'static) -> Self {
        self.watchdog = Some(Box::new(hook));
        self
    }

    /// For models, which retake when they choose, and fill small queues soon.
    #[doc(hidden)]
    pub fn modelled(mut self, deque_capacity: usize) -> Self {
        self.monitor = false;
        self.deque_capacity = deque_capacity;
        self
    }

    /// For models, whose kernel is their own: where its sockets' events come from.
    #[doc(hidden)]
    pub fn kernel(mut self, source: Box<dyn Source>, bell: Arc<dyn Bell>) -> Self {
        self.kernel = Some((source, bell));
        self
    }

    /// One worker, in virtual time, whose choices are made by `seed`, for so many steps at most.
    pub(crate) fn simulated(self, seed: u64, most_steps: u64) -> Self {
        let one = self.processors(1).max_processors(1).max_threads(1).seed(seed);
        Builder { simulated: Some((seed, most_steps)), monitor: false, ..one }
    }

    /// Builds an anchored runtime; see [`Runtime::new`].
    ///
    /// In a program under [`model`](crate::model) it has no scheduler: what it runs and spawns are
    /// goroutines of that program. There it has two processors if not told, keeps no limits, calls no
    /// watchdog, and is migrating in name only; dropping it ends nobody.
    ///
    /// # Errors
    /// If a number is out of range, or if the machine grants no thread or no memory.
    pub fn build(self) -> Result<Runtime, BuildError> {
        self.build_as(false)
    }

    /// Builds a migrating runtime.
    ///
    /// # Safety
    /// As [`Runtime::migrating`].
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub unsafe fn build_migrating(self) -> Result<Runtime, BuildError> {
        self.build_as(true)
    }

    fn build_as(mut self, migrating: bool) -> Result<Runtime, BuildError> {
        let kernel = self.kernel.take();
        let is_hosted = self.simulated.is_none() && hosted::is_here();
        let config = self.validate(migrating, is_hosted)?;
        if is_hosted {
            return Ok(Runtime::hosted(Hosted::new(&config)));
        }
        crate::sched::report::install();
        let arena = Shared::make_arena(&config, fiber_main).map_err(BuildError::Stack)?;
        let shared = Shared::new(config, arena);
        if let Some((source, bell)) = kernel {
            let _ = shared.sockets.set(Arc::new(Sockets::modelled(source, bell)));
        }
        let started = shared.start();
        // From here on, `drop` ends what was started.
        let runtime = Runtime::of(shared);
        started.map_err(BuildError::Thread)?;
        Ok(runtime)
    }

    fn validate(self, migrating: bool, is_hosted: bool) -> Result<Config, BuildError> {
        let processors = self.processors.unwrap_or_else(|| match is_hosted {
            true => hosted::PROCESSORS,
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
        if Arena::max_slots(self.stack_size) == 0 {
            return Err(BuildError::Stack(StackError::Size { asked: self.stack_size }));
        }
        let slack = Shared::stacks(0, max_processors as u32);
        let most = Arena::max_slots(self.stack_size).saturating_sub(slack);
        let max_goroutines = self.max_goroutines.unwrap_or(DEFAULT_MAX_GOROUTINES.min(most));
        if max_goroutines == 0 || max_goroutines > most {
            return Err(BuildError::Goroutines { asked: max_goroutines, most });
        }
        if self.thread_name.contains('\0') {
            return Err(BuildError::ThreadName);
        }
        Ok(Config {
            migrating,
            processors: processors as u32,
            max_processors: max_processors as u32,
            stack_size: self.stack_size,
            max_goroutines,
            max_threads,
            thread_name: self.thread_name,
            seed: self.seed.unwrap_or_else(seed),
            abort_on_panic: self.panic_policy == PanicPolicy::Abort,
            watchdog: self.watchdog,
            monitor: self.monitor,
            deque_capacity: self.deque_capacity,
            simulated: self.simulated,
            slice_nanos: if MODELLED { 0 } else { SLICE.as_nanos() as u64 },
        })
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
            .field("max_goroutines", &self.max_goroutines)
            .field("max_threads", &self.max_threads)
            .finish_non_exhaustive()
    }
}
