//! The public type `Runtime`: it starts, runs and ends a scheduler.

use super::builder::Builder;
use super::error::{BuildError, ResizeError, ShutdownError, SpawnError};
use super::go::Spawn;
use super::join::JoinHandle;
use crate::in_model::runtime::ModelRuntime;
use crate::local;
use crate::observe::broken;
use crate::platform::Arc;
use crate::sched::core::current::current_worker;
use crate::sched::core::forked;
use crate::sched::core::owner_state::Attributes;
use crate::sched::core::ready::spawn;
use crate::sched::core::runtime::Shared;
use crate::sched::core::simulation::Simulation;
use crate::sched::core::stacks::{StackKind, StackUse};
use crate::sched::lifecycle::metrics::Metrics;
use crate::sched::suspend::park;
use std::fmt;
use std::panic::{Location, resume_unwind};
use std::time::Duration;

/// A scheduler with its processors, kernel threads and goroutines.
///
/// Dropping a runtime ends it at once, as the end of `main` does in Go. Goroutines that have not begun are dropped.
/// Suspended goroutines are leaked with their stacks, and a join of such a goroutine returns an error. Call
/// [`shutdown`](Self::shutdown) to let the goroutines end first.
///
/// A runtime may be dropped anywhere, also by its own goroutines, in a waker, in its watchdog's hook, or by a
/// thread-local of one of its threads. A goroutine that drops its own runtime continues until it next suspends, and
/// is then abandoned. The drop waits for no goroutine, but it waits for destructors. These are the destructors of
/// closures that have not begun, of the watchdog's hook, and of the workers' thread-locals. It does not wait for the
/// thread-locals of a worker that is in user code, or of a worker to which a suspended goroutine is bound.
///
/// A runtime does not work after `fork` in the child process. There it refuses to spawn, and dropping it does
/// nothing. The child may build a runtime of its own.
pub struct Runtime {
    /// The scheduler, or `None` once the runtime was shut down.
    scheduler: Option<Scheduler>,
}

enum Scheduler {
    Own(Arc<Shared>),
    /// The runtime of the checked or simulated program that built it.
    ModelRuntime(Arc<ModelRuntime>),
}
use Scheduler::{ModelRuntime as InModel, Own};

impl Runtime {
    /// Builds an isolated runtime with one processor for each that this process may use.
    ///
    /// In an isolated runtime, each goroutine has thread-local variables of its own, so for its code the goroutine is a
    /// thread. After any suspension it may resume on another kernel thread, as in Go. Nothing that safe code does in a
    /// goroutine can cause undefined behaviour, under one axiom. A goroutine is a thread for everything that is
    /// reached through the thread pointer. What is reached through the kernel's thread is borrowed, so code must not
    /// keep it across a suspension outside of [`pinned`](crate::pinned). If a goroutine changes its kernel
    /// thread through the C library (its signal mask, its alternate stack, a namespace, a priority), that thread
    /// runs only this goroutine from then on. docs/kernel-thread.md lists what is covered, and what is not.
    ///
    /// # Errors
    /// Fails if the machine grants no thread or no memory. Returns [`BuildError::ThreadLocals`] if goroutines
    /// can't have thread-locals of their own, because these need Linux on x86-64 with the GNU C library.
    pub fn new() -> Result<Runtime, BuildError> {
        Builder::new().build()
    }

    /// Builds an anchored runtime. Once a goroutine has begun, it resumes only on the kernel thread that first ran
    /// it, and shares the thread-locals of that thread with the other goroutines there.
    ///
    /// # Safety
    /// Calls on one thread nest, but goroutines on one thread interleave. The caller must ensure that no code in the
    /// runtime's goroutines relies on nesting where it suspends. Code that
    /// initializes a thread-local must not suspend. If a function sets or lends a value through a thread-local until
    /// it returns (as `scoped-tls` does), the function must not suspend meanwhile.
    ///
    /// # Errors
    /// Fails if the machine grants no thread or no memory.
    pub unsafe fn anchored() -> Result<Runtime, BuildError> {
        // SAFETY: the caller guarantees what `anchored` requires, and `build_anchored` requires the same.
        unsafe { Builder::new().build_anchored() }
    }

    /// Builds a migrating runtime. After any suspension, a goroutine may resume on another kernel thread, as in Go,
    /// and goroutines share the thread-locals of the kernel threads.
    ///
    /// # Safety
    /// The caller must ensure, for all code that runs in the runtime's goroutines, that
    /// - no function that suspends also touches a thread-local, after inlining, because the compiler assumes that a
    ///   thread-local's address is constant within a function, across any call;
    /// - nothing derived from a thread-local (a reference, an `Rc` that others on the thread share)
    ///   and no guard bound to its thread (`std::sync::MutexGuard`) is kept across a suspension.
    ///
    /// `HashMap::new()`, `println!` and many other functions touch thread-locals. Code meets these rules if it
    /// touches thread-locals only in a function marked `#[inline(never)]` that doesn't suspend, or within
    /// [`no_suspend`](crate::no_suspend) or [`pinned`](crate::pinned).
    ///
    /// # Errors
    /// Fails if the machine grants no thread or no memory.
    pub unsafe fn migrating() -> Result<Runtime, BuildError> {
        // SAFETY: the caller guarantees what `migrating` requires, and `build_migrating` requires the same.
        unsafe { Builder::new().build_migrating() }
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs `f` as a goroutine, waits for it, and returns its result. Blocks a plain thread, and parks a goroutine
    /// (of another runtime, or of this one). `f` may borrow, because the caller waits.
    ///
    /// Other goroutines may still be alive when `run` returns. `run` may be called again, and from
    /// several threads.
    ///
    /// # Panics
    /// Panics with the same payload if `f` panics, and panics if the runtime's limit on goroutines is reached.
    ///
    /// ```
    /// let name = String::from("gopher");
    /// let runtime = selvedge::Runtime::new()?;
    /// assert_eq!(runtime.run(|| name.len()), 6);
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    pub fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        let shared = match self.scheduler() {
            Own(shared) => shared,
            InModel(hosted) => return hosted.run(f),
        };
        // `sleeper` panics on a thread that can't wait. The call comes before the spawn, because nothing may unwind
        // between the spawn and the wait.
        drop(park::sleeper());
        let place = Location::caller();
        let attributes = Attributes { locals: local::inherited(), ..Attributes::default() };
        // SAFETY: what `f` borrows or returns stays valid, because this function waits below until the goroutine has
        // ended. The runtime can't end meanwhile, because `self` borrows it.
        let goroutine =
            match unsafe { spawn(shared, current_worker(), attributes, StackKind::PLAIN, f) } {
                Ok(goroutine) => goroutine,
                Err((refusal, _)) => panic!("run: {}", SpawnError::new(refusal, ())),
            };
        let goroutine = JoinHandle::<T>::new(goroutine);
        let found = goroutine.await_end(|| park::park_without_fail(place));
        match goroutine.finish(found) {
            Ok(value) => value,
            Err(error) => match error.into_panic() {
                Ok(payload) => resume_unwind(payload),
                Err(error) => broken("run", "a result", &error.to_string()),
            },
        }
    }

    /// Spawns a goroutine on this runtime, from any thread. In a goroutine, [`go`](fn@crate::go) is faster.
    ///
    /// # Panics
    /// Panics if the runtime's limit of goroutines is reached.
    #[track_caller]
    pub fn go<T, F>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.try_go(f) {
            Ok(value) => value,
            Err(error) => panic!("go: {error}"),
        }
    }

    /// Spawns as [`go`](Self::go) does, but returns an error that gives the closure back instead of a panic.
    ///
    /// # Errors
    /// Fails if the limit of goroutines is reached.
    #[track_caller]
    pub fn try_go<T, F>(&self, f: F) -> Result<JoinHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.go_with(Spawn::new(), f)
    }

    /// Spawns as [`try_go`](Self::try_go) does, with a name or other attributes.
    ///
    /// # Errors
    /// Returns the same errors as [`try_go`](Self::try_go).
    #[track_caller]
    pub fn go_with<T, F>(&self, attributes: Spawn, f: F) -> Result<JoinHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.scheduler() {
            Own(shared) => {
                let stack = match attributes.stack() {
                    Ok(stack) => stack,
                    Err(refusal) => return Err(SpawnError::new(refusal, f)),
                };
                let attributes = attributes.attributes();
                Spawn::on(attributes, stack, shared, current_worker(), f)
            }
            InModel(hosted) => hosted.go(|| attributes.try_go(f)),
        }
    }

    /// Returns the number of processors.
    pub fn processors(&self) -> usize {
        match self.scheduler() {
            Own(shared) => shared.idle.active() as usize,
            InModel(hosted) => hosted.processors(),
        }
    }

    /// Changes the number of processors while goroutines run. A processor that is taken out of use may still run
    /// its goroutine until the goroutine suspends, or blocks, or has computed for some 10 ms while work waits.
    ///
    /// # Errors
    /// Fails if `processors` is zero, or more than [`Builder::max_processors`].
    pub fn set_processors(&self, processors: usize) -> Result<(), ResizeError> {
        let most = match self.scheduler() {
            Own(shared) => shared.config.max_processors as usize,
            InModel(hosted) => hosted.most_processors(),
        };
        if processors == 0 || processors > most {
            return Err(ResizeError { asked: processors, most });
        }
        match self.scheduler() {
            Own(shared) => {
                shared.check_here("set_processors");
                shared.resize(processors as u32);
            }
            InModel(hosted) => hosted.set_processors(processors),
        }
        Ok(())
    }

    /// Returns the runtime's counters. The counters change while they are read, so they may not be consistent with each
    /// other.
    pub fn metrics(&self) -> Metrics {
        match self.scheduler() {
            Own(shared) => {
                shared.check_here("metrics");
                shared.metrics()
            }
            InModel(hosted) => hosted.metrics(),
        }
    }

    /// Returns how much of their stacks goroutines have used, by their names. The largest use comes first. The list
    /// is empty unless [`Builder::measure_stacks`] was called.
    ///
    /// A goroutine is counted when it has ended. Its stack use is the depth down to which the stack was
    /// written, exact to within a page at the stack's beginning. If the lowest words of a frame were never written, for
    /// example in a buffer that was not filled, the use is reported too small, so make stacks somewhat larger than the
    /// reported number.
    ///
    /// ```
    /// let runtime = selvedge::Runtime::builder().measure_stacks(true).build()?;
    /// let fill = || std::hint::black_box([1_u8; 50_000]).len();
    /// let filler = selvedge::Spawn::new().name("filler");
    /// runtime.go_with(filler, fill).unwrap().join().unwrap();
    /// let used = &runtime.stack_use()[0];
    /// assert_eq!(used.name.as_deref(), Some("filler"));
    /// assert!(used.most > 50_000 && used.most < used.size);
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    pub fn stack_use(&self) -> Vec<StackUse> {
        match self.scheduler() {
            Own(shared) => {
                shared.check_here("stack_use");
                shared.stacks.uses()
            }
            InModel(_) => Vec::new(),
        }
    }

    /// Waits until every goroutine has ended, then ends the runtime. Blocks the calling thread. In a
    /// program under [`model`](crate::model), parks the calling goroutine, and ends no goroutine.
    ///
    /// If one of the runtime's own goroutines calls `shutdown`, it waits suspended for the other goroutines, and is
    /// then the only goroutine that is left. Within [`blocking`](fn@crate::blocking), the goroutine that called
    /// `blocking` can't end either, so `shutdown` takes the whole time `limit`.
    ///
    /// # Errors
    /// Fails if goroutines are still alive after `limit`. The runtime has then ended without them, as when it is
    /// dropped, and the error names them and says where they last suspended.
    ///
    /// ```
    /// use std::time::Duration;
    /// let runtime = selvedge::Runtime::new()?;
    /// runtime.go_with(selvedge::Spawn::new().name("stuck"), || loop { selvedge::park() }).unwrap();
    /// let error = runtime.shutdown(Duration::from_millis(50)).unwrap_err();
    /// assert_eq!(error.remaining()[0].name.as_deref(), Some("stuck"));
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    pub fn shutdown(mut self, limit: Duration) -> Result<(), ShutdownError> {
        let shared = match self.scheduler.take().expect(TAKEN) {
            Own(shared) => shared,
            InModel(hosted) => {
                return ShutdownError::unless_none(hosted.drain(limit, Location::caller()));
            }
        };
        if !shared.is_here() {
            // `drop` must not run here, because it would free what belongs to the parent process.
            std::mem::forget(shared);
            forked::refuse("shutdown");
        }
        shared.drain(limit, Location::caller());
        ShutdownError::unless_none(Shared::stop(&shared))
    }

    /// Returns the scheduler, or `None` in a program under a checker.
    pub(crate) fn own(&self) -> Option<&Arc<Shared>> {
        match self.scheduler() {
            Own(shared) => Some(shared),
            InModel(_) => None,
        }
    }

    pub(crate) fn of(shared: Arc<Shared>) -> Runtime {
        Runtime { scheduler: Some(Own(shared)) }
    }

    pub(crate) fn hosted(hosted: Arc<ModelRuntime>) -> Runtime {
        Runtime { scheduler: Some(InModel(hosted)) }
    }

    fn scheduler(&self) -> &Scheduler {
        self.scheduler.as_ref().expect(TAKEN)
    }

    /// Returns the simulation, if the runtime is simulated.
    pub(crate) fn simulation(&self) -> Option<&Simulation> {
        match self.scheduler() {
            Own(shared) => shared.simulation.as_deref(),
            InModel(_) => None,
        }
    }
}

const TAKEN: &str = "only `shutdown` and `drop` take it";

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(Own(shared)) = self.scheduler.take() {
            if shared.is_here() {
                let _ = Shared::stop(&shared);
            } else {
                // `stop` would wait for the runtime's threads, which exist only in the parent process.
                std::mem::forget(shared);
            }
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_here = self.own().is_none_or(|shared| shared.is_here());
        let mut f = f.debug_struct("Runtime");
        let f =
            if is_here { f.field("metrics", &self.metrics()) } else { f.field("forked", &true) };
        f.finish_non_exhaustive()
    }
}
