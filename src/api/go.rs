//! The free functions that spawn a goroutine, and the functions with which a goroutine yields, parks, blocks its
//! kernel thread, or stays on its kernel thread.
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
/// The goroutine may run on any worker. The goroutine has thread-local variables of its own, so for its code it is a
/// thread. In the runtimes of [`Runtime::anchored`](crate::Runtime::anchored) and
/// [`Runtime::migrating`](crate::Runtime::migrating), goroutines share thread-locals instead.
///
/// Never suspends and never blocks. Costs some 50 ns. A closure or a result of more than 40 bytes also costs an
/// allocation.
///
/// # Panics
/// Panics if the caller is not a goroutine, if the runtime's limit on goroutines is reached, or if the runtime is
/// shutting down. [`try_go`] returns an error instead. On a plain thread call
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

/// Spawns a goroutine as [`go`] does, but returns an error that gives the closure back instead of a panic.
///
/// # Errors
/// Fails if the caller is not a goroutine, the limit is reached, or the runtime is shutting down.
#[track_caller]
pub fn try_go<T, F>(f: F) -> Result<JoinHandle<T>, SpawnError<F>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Spawn::new().try_go(f)
}

/// The attributes of a goroutine, which are set before it is spawned.
///
/// ```
/// selvedge::Runtime::new()?.run(|| {
///     let reader = selvedge::Spawn::new().name("reader").go(|| {
///         selvedge::current().name().map(str::to_owned)
///     });
///     assert_eq!(reader.join().unwrap().as_deref(), Some("reader"));
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
    /// Creates the attributes of a goroutine without a name.
    pub fn new() -> Self {
        Spawn::default()
    }

    /// Sets the goroutine's name, which reports show. Costs an allocation.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into().into_boxed_str());
        self
    }

    /// Sets the least size of the goroutine's stack in bytes, from 32 KiB to 1 GiB. The size may be larger or smaller
    /// than the size that [`Builder::stack_size`](crate::Builder::stack_size) sets for the runtime.
    ///
    /// The stack's actual size is the first of 64 KiB, four times as much, and so on, that suffices. Only touched
    /// pages take memory. Such a goroutine takes some 200 ns longer to begin and end than others.
    ///
    /// In a program under a checker, such as [`model::check`](crate::model::check), the checker chooses the stack.
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

    /// Spawns a goroutine with these attributes, as [`go`](fn@go) does.
    ///
    /// # Panics
    /// Panics if [`go`](fn@go) would panic, or if there is no stack of the size that was asked for.
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

    /// Spawns a goroutine with these attributes, as [`try_go`](fn@try_go) does.
    ///
    /// # Errors
    /// Fails if [`try_go`](fn@try_go) would return an error. Returns
    /// [`SpawnErrorKind::Stack`](crate::SpawnErrorKind::Stack) if the stack size is out of range, or if there is no
    /// stack of that size.
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
            // This thread has no runtime. Under a checker, the caller is a goroutine of the checked program.
            // SAFETY: `f` and `T` are 'static, so they borrow nothing that could become invalid.
            None => unsafe { spawn_in_model(attributes, Location::caller(), f) }
                .map_err(SpawnError::no_runtime),
        }
    }

    /// Adds the values that the new goroutine inherits. To copy them, the function calls foreign code. That code may
    /// suspend, and the caller may then resume on another worker. So call `attributes` before `current_worker`.
    #[inline]
    pub(crate) fn attributes(self) -> Attributes {
        Attributes { name: self.name, scope: None, locals: local::inherited() }
    }

    /// Returns the kind of the goroutine's stack, or an error if the size is out of range.
    #[inline]
    pub(crate) fn stack(&self) -> Result<StackKind, SpawnRefusal> {
        match self.stack_size {
            Some(bytes) => StackKind::of(bytes).map_err(SpawnRefusal::Stack),
            None => Ok(StackKind::PLAIN),
        }
    }

    /// Spawns on the runtime `shared`. `caller` is the calling thread's worker, if the thread is a worker. Determine
    /// `caller` after `attributes` was made.
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
        // SAFETY: `f` and `T` are 'static, so they borrow nothing that could become invalid.
        match unsafe { spawn(shared, caller, attributes, stack, f) } {
            Ok(goroutine) => {
                trace::spawned(&goroutine, Location::caller());
                Ok(JoinHandle::new(goroutine))
            }
            Err((refusal, f)) => Err(SpawnError::new(refusal, f)),
        }
    }
}

/// Spawns a goroutine of a program under a checker, as `spawn` does. If the caller is not such a goroutine,
/// returns the closure.
///
/// # Safety
/// The caller must do what `spawn` requires.
pub(crate) unsafe fn spawn_in_model<T: Send, F: FnOnce() -> T + Send>(
    attributes: Attributes,
    place: &'static Location<'static>,
    f: F,
) -> Result<JoinHandle<T>, F> {
    if !in_model::goroutine::is_here() {
        return Err(f);
    }
    // SAFETY: the caller guarantees what `spawn` requires, and `goroutine::spawn` requires the same.
    let cell = ModelOnly::new(unsafe { in_model::goroutine::spawn(attributes, place, f) });
    Ok(JoinHandle::of_model(cell.expect("a modelled build, or it would not be here")))
}

/// Lets other goroutines run, and puts the caller at the end of the queue. On a plain thread, or while
/// the caller unwinds, yields the kernel thread instead.
///
/// Suspends. Costs some 40 ns.
///
/// # Panics
/// Panics inside [`no_suspend`].
#[track_caller]
pub fn yield_now() {
    trace::plain("yield", Location::caller());
    park::yield_now(Location::caller());
}

/// Waits until [`Goroutine::unpark`](crate::Goroutine::unpark) is called on the caller's handle, with the semantics
/// of [`std::thread::park`]. If a permit was given before, `park` returns at once. There is at most one permit.
/// `park` may also return without a permit, so call it in a loop.
///
/// Parks a goroutine, and blocks a plain thread. While the caller unwinds from a panic, its kernel
/// thread sleeps, and the runtime takes its processor.
///
/// # Panics
/// Panics inside [`no_suspend`] if the call would suspend.
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

/// Waits as [`park`] does, but at most for about `limit`. Returns true if the call took a permit, and false if
/// the time ran out. A permit that was given after the time ran out is kept for the next [`park`].
///
/// Costs about 100 ns more than `park`, but no more than `park` if the permit is there already.
///
/// # Panics
/// Panics in the same cases as [`park`].
#[track_caller]
pub fn park_timeout(limit: Duration) -> bool {
    trace::plain("park with a time-out", Location::caller());
    let deadline = Instant::now().saturating_add(limit);
    park::park_until(Location::caller(), deadline.nanos())
}

/// Waits as [`park`] does, but at most until `token` is cancelled. If the token is already cancelled, returns
/// the error, even if there is a permit.
///
/// # Errors
/// Fails if the token is cancelled. A permit that was given meanwhile is not lost, so the next [`park`] returns
/// at once. The next `park` may return at once also if no permit was given.
///
/// # Panics
/// Panics in the same cases as [`park`].
#[track_caller]
pub fn park_cancel(token: &CancelToken) -> Result<(), Cancelled> {
    trace::op("park, under", "token", token.address(), Location::caller());
    let mut parked = false;
    let outcome =
        token.limit().park_until(Location::caller(), || std::mem::replace(&mut parked, true));
    match outcome {
        Outcome::Fired(_) if !token.is_cancelled() => Ok(()),
        Outcome::Fired(_) => {
            // The permit may be from the cancellation, or from an `unpark`, so it is given back.
            park::waiter().unpark();
            Err(Cancelled)
        }
        Outcome::Cancelled | Outcome::TimedOut => Err(Cancelled),
    }
}

/// Calls `f`, which may block its kernel thread in a system call, on a lock, or in foreign code.
///
/// Other goroutines run meanwhile. `f` runs in place, on the goroutine's stack and with its thread-locals. The
/// runtime takes the processor away if `f` blocks while work waits. If the last such call of the goroutine was
/// long, the goroutine releases the processor before the call.
///
/// If goroutines of the runtime share thread-locals, `f` may run on a helper thread, while the goroutine is parked.
/// The helper is used if the last such call of the goroutine was long, or if other goroutines are bound to this kernel
/// thread. On a helper thread `f` is not a goroutine: it can't call [`go`], and [`park`] blocks the helper.
/// On a plain thread, `blocking` just calls `f`.
///
/// In place, `f` can use the rest of the caller's stack. On a helper thread, `f` has a stack of the runtime's
/// [stack size](crate::Builder::stack_size). A goroutine with a larger stack of its own
/// ([`Spawn::stack_size`]) always calls `f` in place.
///
/// May suspend. If `f` panics, the panic continues in the caller.
///
/// The runtime also notices a call that blocks without `blocking`, within some milliseconds, and other goroutines
/// continue. Only in an anchored runtime, goroutines that are bound to the blocked thread wait, and the
/// [watchdog](crate::Builder::watchdog) reports the goroutine for which they wait.
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

/// Calls `f`. Until `f` returns, the goroutine resumes only on its current kernel thread. Anchored
/// goroutines and plain threads always stay on their kernel thread.
pub fn pinned<R>(f: impl FnOnce() -> R) -> R {
    park::pinned(f)
}

/// Calls `f`. If the calling goroutine would suspend in `f`, it panics instead. The message names the source location.
/// On a plain thread, just calls `f`.
///
/// If an operation must wait because other goroutines use the caller's stack, it does not panic, but puts the kernel
/// thread to sleep. The end of a [`scope`](fn@crate::scope) is such an operation.
pub fn no_suspend<R>(f: impl FnOnce() -> R) -> R {
    park::no_suspend(f)
}
