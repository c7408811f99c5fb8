//! Scopes: the goroutines of a scope may borrow from their parent's stack, because the parent waits until all of them
//! have ended.
//! Checked by: verification/shuttle/spawn.rs, proptests/runtime/children.rs.

#[path = "scope_tests.rs"]
#[cfg(test)]
mod scope_tests;

use super::error::{JoinError, SpawnError, StillRunning};
use super::go::{Spawn, spawn_in_model};
use super::handle::Goroutine;
use super::join::JoinHandle;
use crate::cancel::CancelToken;
use crate::in_model::goroutine;
use crate::platform::OnceLock;
use crate::sched::core::current::current_worker;
use crate::sched::core::forked;
use crate::sched::core::owner_state::Attributes;
use crate::sched::core::ready::spawn;
use crate::sched::core::scope_state::ScopeState;
use crate::sched::suspend::park;
use crate::wait::instant::Instant;
use crate::wait::{WaitLimit, trace};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A scope, which spawns goroutines that may borrow. [`scope`](fn@scope) makes a `Scope`.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    group: ScopeState,
    /// The scope's token, which the first call of `token` makes.
    token: OnceLock<CancelToken>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

/// Calls `f` with a scope, and returns once all goroutines of the scope have ended. These goroutines may
/// borrow anything that outlives the call.
///
/// Parks the calling goroutine. In a [`no_suspend`](crate::no_suspend) section, or while the caller unwinds, puts
/// the kernel thread to sleep instead. A child may be spawned on another runtime and run there. If that
/// runtime ends while the child is suspended, the child never ends, and `scope` never returns.
///
/// # Panics
/// Panics if `f` panicked, or if a goroutine that was not joined panicked. Also panics on a plain thread, because a
/// plain thread has no runtime. There, call `scope` within [`Runtime::run`](crate::Runtime::run).
///
/// ```
/// let mut numbers = vec![1, 2, 3, 4];
/// selvedge::Runtime::new()?.run(|| {
///     let (left, right) = numbers.split_at_mut(2);
///     selvedge::scope(|s| {
///         s.go(|| left.iter_mut().for_each(|n| *n *= 10));
///         s.go(|| right.iter_mut().for_each(|n| *n *= 100));
///     });
/// });
/// assert_eq!(numbers, [10, 20, 300, 400]);
/// # Ok::<(), selvedge::BuildError>(())
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let is_goroutine = current_worker().is_some() || goroutine::is_here();
    assert!(is_goroutine, "scope: not in a goroutine: call it within `Runtime::run`");
    let place = Location::caller();
    let scope = Scope {
        group: ScopeState::new(),
        token: OnceLock::new(),
        scope: PhantomData,
        env: PhantomData,
    };
    let children = Children { group: &scope.group, place };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    if result.is_err() {
        // The token is cancelled even if it does not exist yet. A later call of `token` then returns a cancelled token.
        // mutant: drop word to the children
        scope.cancel();
    }
    trace::plain("end of scope", place);
    let child_panicked = children.wait();
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(value) if child_panicked => {
            // The destructor of `value` is foreign code. The drop comes before the panic, because a second panic would
            // abort.
            drop(value);
            panic!("a scoped goroutine panicked, and nobody joined it");
        }
        Ok(value) => value,
    }
}

/// A guard that waits for the children of a scope in its destructor. So even if the frame unwinds between the first
/// spawn and the wait, the children have ended before the unwinding continues. [G4] [Q2]
struct Children<'a> {
    group: &'a ScopeState,
    place: &'static Location<'static>,
}

impl Children<'_> {
    /// Waits for the children. Returns true if a child panicked and was not joined.
    fn wait(self) -> bool {
        let this = ManuallyDrop::new(self);
        this.until_none_is_left();
        this.group.has_panicked()
    }

    /// Parks the parent until no child is left.
    fn until_none_is_left(&self) {
        // mutant: drop wait for the children
        while self.group.has_children() {
            if forked::is_orphan() {
                forked::end("the end of a scope in which `fork` was called");
            }
            park::park_without_fail(self.place);
        }
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        self.until_none_is_left();
    }
}

impl<'scope> Scope<'scope, '_> {
    /// Returns the token of the scope, for its goroutines to wait under. The token is cancelled by
    /// [`cancel`](Self::cancel), and when the closure given to [`scope`](fn@scope) panics. The token is not cancelled
    /// when a goroutine panics, because a join may return that panic. The first call allocates.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// selvedge::Runtime::new()?.run(|| {
    ///     selvedge::scope(|s| {
    ///         let waits = s.go(|| selvedge::time::sleep_cancel(Duration::MAX, s.token()));
    ///         s.cancel();
    ///         assert!(waits.join().unwrap().is_err());
    ///     });
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    pub fn token(&self) -> &CancelToken {
        self.token.get().unwrap_or_else(|| {
            let token = CancelToken::new();
            self.token.get_or_init(|| token)
        })
    }

    /// Asks the goroutines of the scope to end early, by cancelling [`token`](Self::token). Goroutines that
    /// don't check the token continue, and the scope waits for them.
    pub fn cancel(&self) {
        self.token().cancel();
    }

    /// Spawns a goroutine for which the scope waits. Never suspends.
    ///
    /// # Panics
    /// Panics if the runtime's limit on goroutines is reached, or if the runtime is shutting down.
    #[track_caller]
    pub fn go<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        match self.try_go(f) {
            Ok(value) => value,
            Err(error) => panic!("go: {error}"),
        }
    }

    /// Spawns as [`go`](Self::go) does, but returns an error that gives the closure back instead of a panic.
    ///
    /// # Errors
    /// Fails if the limit is reached, or the runtime is shutting down.
    #[track_caller]
    pub fn try_go<F, T>(&'scope self, f: F) -> Result<ScopedJoinHandle<'scope, T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.go_with(Spawn::new(), f)
    }

    /// Spawns as [`try_go`](Self::try_go) does, with a name, a stack size or other attributes.
    ///
    /// ```
    /// use selvedge::Spawn;
    ///
    /// let text = String::from("borrowed");
    /// selvedge::Runtime::new()?.run(|| {
    ///     selvedge::scope(|s| {
    ///         let traits = Spawn::new().name("counter").stack_size(1 << 20);
    ///         assert_eq!(s.go_with(traits, || text.len()).unwrap().join().unwrap(), 8);
    ///     });
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    ///
    /// # Errors
    /// Returns the same errors as [`Spawn::try_go`].
    #[track_caller]
    pub fn go_with<F, T>(
        &'scope self,
        attributes: Spawn,
        f: F,
    ) -> Result<ScopedJoinHandle<'scope, T>, SpawnError<F>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        let place = Location::caller();
        let stack = match attributes.stack() {
            Ok(stack) => stack,
            Err(refusal) => return Err(SpawnError::new(refusal, f)),
        };
        // `attributes` calls foreign code, which may panic, so the call comes before the scope state counts the child.
        let attributes = attributes.attributes();
        // SAFETY: the scope state is in the frame of `scope`. That function leaves its frame, even by unwinding, only
        // after every child has left, so the scope state stays valid until then.
        let member = unsafe { self.group.add_child() };
        let attributes = Attributes { scope: Some(member), ..attributes };
        let spawned = match current_worker() {
            // SAFETY: what `f` borrows or returns is valid during 'scope. `scope` returns, even by unwinding, only when
            // no child is counted. A child is counted until its closure was consumed and its result was dropped or left
            // to the handle, and the handle does not outlive 'scope. [G4]
            Some(worker) => unsafe { spawn(worker.shared(), Some(worker), attributes, stack, f) }
                .inspect(|goroutine| trace::spawned(goroutine, place))
                .map(JoinHandle::new)
                .map_err(|(refusal, f)| SpawnError::new(refusal, f)),
            // SAFETY: `spawn_in_model` requires the same as `spawn`, and the same facts hold.
            None => unsafe { spawn_in_model(attributes, place, f) }.map_err(SpawnError::no_runtime),
        };
        match spawned {
            Ok(handle) => Ok(ScopedJoinHandle { handle: Some(handle), group: &self.group }),
            Err(error) => {
                self.group.withdraw();
                Err(error)
            }
        }
    }
}

/// The right to wait for a scoped goroutine and to take its result.
#[derive(Debug)]
pub struct ScopedJoinHandle<'scope, T> {
    /// The inner handle, or `None` once the goroutine was joined or the handle was dropped.
    handle: Option<JoinHandle<T>>,
    group: &'scope ScopeState,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the goroutine and returns its result, as [`JoinHandle::join`] does.
    ///
    /// # Errors
    /// Fails if the goroutine panicked.
    #[track_caller]
    pub fn join(mut self) -> Result<T, JoinError> {
        let place = Location::caller();
        self.handle().trace(place);
        // The handle stays in `self`, so that the scope records the goroutine's own panic even if this wait panics.
        let found = self.handle().await_end(|| park::park(place));
        self.take().finish(found)
    }

    /// Waits as [`JoinHandle::join_timeout`] does. Its documentation explains why a loop of calls with no time must
    /// yield.
    ///
    /// # Errors
    /// Fails if the goroutine has not ended. The error gives the handle back.
    #[track_caller]
    pub fn join_timeout(self, limit: Duration) -> Result<Result<T, JoinError>, StillRunning<Self>> {
        self.join_within(WaitLimit::after(limit), Location::caller())
    }

    /// Waits as [`JoinHandle::join_deadline`] does.
    ///
    /// # Errors
    /// Fails if the goroutine has not ended. The error gives the handle back.
    #[track_caller]
    pub fn join_deadline(
        self,
        deadline: impl Into<Instant>,
    ) -> Result<Result<T, JoinError>, StillRunning<Self>> {
        self.join_within(WaitLimit::until(deadline.into().nanos()), Location::caller())
    }

    /// Waits as [`JoinHandle::join_cancel`] does.
    ///
    /// # Errors
    /// Fails if the goroutine has not ended. The error gives the handle back.
    #[track_caller]
    pub fn join_cancel(
        self,
        token: &CancelToken,
    ) -> Result<Result<T, JoinError>, StillRunning<Self>> {
        self.join_within(token.limit(), Location::caller())
    }

    fn join_within(
        mut self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<Result<T, JoinError>, StillRunning<Self>> {
        match self.handle().await_end_within(limit, place) {
            Ok(found) => Ok(self.take().finish(found)),
            Err(cancelled) => Err(StillRunning { handle: self, cancelled }),
        }
    }

    /// Returns whether the goroutine has ended, as [`JoinHandle::is_finished`] does.
    pub fn is_finished(&self) -> bool {
        self.handle().is_finished()
    }

    /// Returns a handle to the goroutine, as [`JoinHandle::goroutine`] does.
    pub fn goroutine(&self) -> Goroutine {
        self.handle().goroutine()
    }

    fn handle(&self) -> &JoinHandle<T> {
        self.handle.as_ref().expect("only `join` and `drop` take it")
    }

    fn take(&mut self) -> JoinHandle<T> {
        self.handle.take().expect("only `join` and `drop` take it")
    }
}

/// A future that waits for a scoped goroutine. `ScopedJoinHandle::into_future`, which `.await` calls, makes
/// this future.
///
/// The future works like [`JoinFuture`](crate::JoinFuture), but can't outlive the scope. The scope waits for the
/// goroutine also if the future is dropped.
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled"]
pub struct ScopedJoinFuture<'scope, T>(ScopedJoinHandle<'scope, T>);

/// ```
/// let text = String::from("as is");
/// selvedge::Runtime::new()?.run(|| {
///     selvedge::scope(|s| {
///         let length = s.go(|| text.len());
///         let twice = async { length.await.unwrap() * 2 };
///         assert_eq!(selvedge::block_on(twice), 10);
///     });
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
impl<'scope, T> IntoFuture for ScopedJoinHandle<'scope, T> {
    type Output = Result<T, JoinError>;
    type IntoFuture = ScopedJoinFuture<'scope, T>;

    fn into_future(self) -> ScopedJoinFuture<'scope, T> {
        ScopedJoinFuture(self)
    }
}

// The future may be moved, because the result is in the goroutine's cell, not in the future.
impl<T> Unpin for ScopedJoinFuture<'_, T> {}

impl<T> Future for ScopedJoinFuture<'_, T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        JoinHandle::poll(&mut self.0.handle, context)
    }
}

impl<T> Drop for ScopedJoinFuture<'_, T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0.handle {
            handle.stop_waiting();
        }
    }
}

impl<T> Drop for ScopedJoinHandle<'_, T> {
    fn drop(&mut self) {
        let outcome = self.handle.take().and_then(JoinHandle::forget);
        if matches!(outcome, Some(Err(_))) {
            self.group.note_panic();
        }
        // The destructor of the outcome is foreign code, which may panic. So it runs after the scope has recorded the
        // child's panic.
        drop(outcome);
    }
}
