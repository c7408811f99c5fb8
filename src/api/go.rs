//! Spawning and waiting: `go` and its kin, and what a goroutine may do with itself.
#![allow(unsafe_code)]

use super::error::SpawnError;
use super::join::JoinHandle;
use crate::cancel::{CancelToken, Cancelled};
use crate::in_model;
use crate::local;
use crate::platform::ModelOnly;
use crate::sched::core::current::current_worker;
use crate::sched::core::owner_state::Attributes;
use crate::sched::core::ready::{SpawnRefusal, spawn};
use crate::sched::core::runtime::Shared;
use crate::sched::core::stacks::StackKind;
use crate::sched::core::worker::Worker;
use crate::sched::suspend::park;
use crate::wait::instant::Instant;
use crate::wait::limit::Outcome;
use crate::wait::trace;
use std::panic::Location;
use std::time::Duration;

/// Spawns a goroutine on the runtime of the calling goroutine.
///
/// The goroutine may run on any worker. It has thread-local variables of its own, so to its code it is a thread.
/// In the runtimes of [`Runtime::anchored`](crate::Runtime::anchored) and
/// [`Runtime::migrating`](crate::Runtime::migrating), goroutines share thread-locals instead.
///
/// Never suspends and never blocks; some 50 ns. A closure, or result, of more than 40 bytes costs an
/// allocation.
///
/// # Panics
/// If the caller is not a goroutine, if the runtime's limit of goroutines is reached, or if it is
/// shutting down: [`try_go`] returns an error instead. On a plain thread call
/// [`Runtime::go`](crate::Runtime::go).
///
/// ```
/// let runtime = selvedge::Runtime::new()?;
/// let sum = runtime.run(|| {
///     let squares: Vec<_> = (1..=10).map(|n| selvedge::go(move || n * n)).collect();
///     squares.into_iter().map(|square| square.join().unwrap()).sum::<i32>()
/// });
/// assert_eq!(sum, 385);
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[track_caller]
pub fn go<T, F>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match try_go(f) {
        Ok(value) => value,
        Err(error) => panic!("go: {error}"),
    }
}

/// As [`go`], with an error that gives the closure back.
///
/// # Errors
/// If the caller is not a goroutine, the limit is reached, or the runtime is shutting down.
#[track_caller]
pub fn try_go<T, F>(f: F) -> Result<JoinHandle<T>, SpawnError<F>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Spawn::new().try_go(f)
}

/// A goroutine's traits, set before it is spawned.
///
/// ```
/// selvedge::Runtime::new()?.run(|| {
///     let who = selvedge::Spawn::new().name("reader").go(|| {
///         selvedge::current().name().map(str::to_owned)
///     });
///     assert_eq!(who.join().unwrap().as_deref(), Some("reader"));
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "nothing is spawned until `go` is called"]
pub struct Spawn {
    name: Option<Box<str>>,
    stack_size: Option<usize>,
}

impl Spawn {
    /// A goroutine without a name.
    pub fn new() -> Self {
        Spawn::default()
    }

    /// Its name, shown in reports. Costs an allocation.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// The bytes of its stack, at least: more, or less, than those of its runtime, which are set by
    /// [`Builder::stack_size`](crate::Builder::stack_size). 32 KiB to 1 GiB.
    ///
    /// The stack gets 64 KiB, or four times as much, and so on, whichever is the first that suffices. Only
    /// touched pages take memory. Such a goroutine takes some 200 ns longer to begin and end than others.
    ///
    /// In a program under [`model::check`](crate::model::check) and its kin, the checker chooses the stack.
    ///
    /// ```
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { std::hint::black_box(depth(n - 1)) + 1 }
    /// }
    /// selvedge::Runtime::new()?.run(|| {
    ///     let deep = selvedge::Spawn::new().stack_size(64 << 20).go(|| depth(100_000));
    ///     assert_eq!(deep.join().unwrap(), 100_000);
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// As [`go`](fn@go).
    ///
    /// # Panics
    /// As [`go`](fn@go), and if there is no stack of the size that was asked for.
    #[track_caller]
    pub fn go<T, F>(self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.try_go(f) {
            Ok(value) => value,
            Err(error) => panic!("go: {error}"),
        }
    }

    /// As [`try_go`](fn@try_go).
    ///
    /// # Errors
    /// As [`try_go`](fn@try_go), and [`SpawnErrorKind::Stack`](crate::SpawnErrorKind::Stack) if the stack
    /// size is out of range, or there is no stack of that size.
    #[track_caller]
    pub fn try_go<T, F>(self, f: F) -> Result<JoinHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let stack = match self.stack() {
            Ok(stack) => stack,
            Err(refusal) => return Err(SpawnError::new(refusal, f)),
        };
        let attributes = self.attributes();
        match current_worker() {
            Some(worker) => Spawn::on(attributes, stack, worker.shared(), Some(worker), f),
            // Where there is no runtime: under a checker, a goroutine is a model thread.
            // SAFETY: `f` borrows nothing, and `T` neither.
            None => unsafe { spawn_in_model(attributes, Location::caller(), f) }
                .map_err(SpawnError::no_runtime),
        }
    }

    /// With what the new goroutine inherits. Calls foreign code, which may suspend, and so move the caller to
    /// another worker: before that is asked for.
    #[inline]
    pub(crate) fn attributes(self) -> Attributes {
        Attributes { name: self.name, scope: None, locals: local::inherited() }
    }

    /// Where its stack comes from.
    #[inline]
    pub(crate) fn stack(&self) -> Result<StackKind, SpawnRefusal> {
        match self.stack_size {
            Some(bytes) => StackKind::of(bytes).map_err(SpawnRefusal::Stack),
            None => Ok(StackKind::PLAIN),
        }
    }

    /// `caller` is the calling thread's worker, if it is one, as it is after `traits` was made.
    #[track_caller]
    #[inline]
    pub(crate) fn on<T, F>(
        attributes: Attributes,
        stack: StackKind,
        shared: &Shared,
        caller: Option<&Worker>,
        f: F,
    ) -> Result<JoinHandle<T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: `f` borrows nothing, and `T` neither.
        match unsafe { spawn(shared, caller, attributes, stack, f) } {
            Ok(goroutine) => {
                trace::spawned(&goroutine, Location::caller());
                Ok(JoinHandle::new(goroutine))
            }
            Err((refusal, f)) => Err(SpawnError::new(refusal, f)),
        }
    }
}

/// As `spawn`, for a goroutine of a program under a checker; gives the closure back elsewhere.
///
/// # Safety
/// As `spawn`.
pub(crate) unsafe fn spawn_in_model<T: Send, F: FnOnce() -> T + Send>(
    attributes: Attributes,
    place: &'static Location<'static>,
    f: F,
) -> Result<JoinHandle<T>, F> {
    if !in_model::goroutine::is_here() {
        return Err(f);
    }
    // SAFETY: the caller's promise.
    let cell = ModelOnly::new(unsafe { in_model::goroutine::spawn(attributes, place, f) });
    Ok(JoinHandle::of_model(cell.expect("a modelled build, or it would not be here")))
}

/// Lets other goroutines run; the caller goes to the end of the queue. On a plain thread, or while
/// the caller unwinds, yields the kernel thread.
///
/// Suspends. Some 40 ns.
///
/// # Panics
/// Inside [`no_suspend`].
#[track_caller]
pub fn yield_now() {
    trace::plain("yield", Location::caller());
    park::yield_now(Location::caller());
}

/// Waits until somebody calls [`Goroutine::unpark`](crate::Goroutine::unpark) on the caller's
/// handle, with the semantics of [`std::thread::park`]: a permit given before makes it return at
/// once, and there is at most one. May return without one, so call it in a loop.
///
/// Parks a goroutine; blocks a plain thread. While the caller unwinds from a panic, its kernel
/// thread sleeps, and the runtime takes its processor.
///
/// # Panics
/// Inside [`no_suspend`], if it would suspend.
///
/// ```
/// use std::sync::atomic::{AtomicBool, Ordering};
/// static READY: AtomicBool = AtomicBool::new(false);
///
/// selvedge::Runtime::new()?.run(|| {
///     let waiter = selvedge::go(|| {
///         while !READY.load(Ordering::Acquire) {
///             selvedge::park();
///         }
///     });
///     READY.store(true, Ordering::Release);
///     waiter.goroutine().unpark();
///     waiter.join().unwrap();
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[track_caller]
pub fn park() {
    trace::plain("park", Location::caller());
    park::park(Location::caller());
}

/// As [`park`], for at most about `limit`. True: it took a permit. False: the
/// time ran out, and a permit that was given meanwhile is there for the next [`park`].
///
/// Costs about 100 ns more than `park`, and nothing if the permit is there already.
///
/// # Panics
/// As [`park`].
#[track_caller]
pub fn park_timeout(limit: Duration) -> bool {
    trace::plain("park with a time-out", Location::caller());
    let deadline = Instant::now().saturating_add(limit);
    park::park_until(Location::caller(), deadline.nanos())
}

/// As [`park`], until `token` is cancelled at the latest. A token that is cancelled already comes first.
///
/// # Errors
/// If the token is cancelled. A permit that was given meanwhile is not lost: the next [`park`] returns
/// at once, as it may also where none was given.
///
/// # Panics
/// As [`park`].
#[track_caller]
pub fn park_cancel(token: &CancelToken) -> Result<(), Cancelled> {
    trace::op("park, under", "token", token.address(), Location::caller());
    let mut parked = false;
    let outcome =
        token.limit().park_until(Location::caller(), || std::mem::replace(&mut parked, true));
    match outcome {
        Outcome::Fired(_) if !token.is_cancelled() => Ok(()),
        Outcome::Fired(_) => {
            // It may have been the canceller's permit, or somebody else's.
            park::waiter().unpark();
            Err(Cancelled)
        }
        Outcome::Cancelled | Outcome::TimedOut => Err(Cancelled),
    }
}

/// Calls `f`, which may block its kernel thread: in a system call, on a lock, in foreign code.
///
/// Other goroutines run meanwhile. `f` runs in place, on the goroutine's stack and with its thread-locals. The
/// runtime takes the processor away if `f` blocks while work waits. If the last such call of the goroutine was
/// long, the goroutine releases the processor before the call.
///
/// If goroutines of the runtime share thread-locals, `f` may run on a helper thread, while the goroutine is parked.
/// This happens if the last such call of the goroutine was long, or if other goroutines are bound to this kernel
/// thread. On a helper thread `f` is not a goroutine: it can't call [`go`], and [`park`] blocks the helper.
/// On a plain thread, `blocking` just calls `f`.
///
/// In place, `f` has what is left of the caller's stack. On a helper thread, `f` has a stack of the runtime's
/// [stack size](crate::Builder::stack_size). A goroutine with a larger stack of its own
/// ([`Spawn::stack_size`]) always calls `f` in place.
///
/// May suspend. A panic in `f` continues in the caller.
///
/// The runtime also notices a call that blocks without `blocking`, within some milliseconds, and other goroutines
/// go on. Only in an anchored runtime, goroutines that are bound to the blocked thread wait, and the
/// [watchdog](crate::Builder::watchdog) names the goroutine for which they wait.
///
/// ```
/// # let runtime = selvedge::Runtime::new()?;
/// let bytes = runtime.run(|| selvedge::blocking(|| std::fs::read("Cargo.toml")));
/// assert!(bytes.is_ok());
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[track_caller]
pub fn blocking<T, F>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    crate::sched::blocking::blocking(f)
}

/// Calls `f`, during which the goroutine resumes only on the kernel thread that it is on. Anchored
/// goroutines and plain threads are so anyway.
pub fn pinned<R>(f: impl FnOnce() -> R) -> R {
    park::pinned(f)
}

/// Calls `f`, during which a suspension of the calling goroutine is a panic that names the place.
/// On a plain thread, just calls `f`.
///
/// What has to wait all the same, because others use the caller's stack (the end of a
/// [`scope`](fn@crate::api::scope)), puts the kernel thread to sleep instead.
pub fn no_suspend<R>(f: impl FnOnce() -> R) -> R {
    park::no_suspend(f)
}
