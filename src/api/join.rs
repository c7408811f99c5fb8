//! Join handles: a join handle waits for a goroutine to end, and takes the goroutine's result.
#![allow(unsafe_code)]

use super::error::{JoinError, StillRunning};
use super::handle::Goroutine;
use crate::cancel::CancelToken;
use crate::explore;
use crate::in_model::goroutine::Cell;
use crate::observe::fault;
use crate::platform::foreign::Task;
use crate::platform::{Arc, ModelOnly};
use crate::sched::core::cell::Ref;
use crate::sched::core::simulation;
use crate::sched::core::wake_handle::{Unparker, WakeHandle};
use crate::sched::goroutine::body::Outcome;
use crate::sched::goroutine::join_word::{JoinWord, Joined};
use crate::sched::suspend::park;
use crate::wait;
use crate::wait::instant::Instant;
use crate::wait::{WaitLimit, trace};
use std::panic::Location;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, marker::PhantomData, mem::ManuallyDrop};

/// The right to wait for a goroutine and to take its result.
///
/// Dropping the handle never suspends, and detaches the goroutine, which continues. The goroutine's result is then
/// dropped, and a panic is counted in [`Metrics::unclaimed_panics`](crate::Metrics::unclaimed_panics).
pub struct JoinHandle<T>(Whose<T>);

// SAFETY: no method that takes a shared reference to a handle gives other code access to the goroutine's `T`. Only the
// owner of the handle can take the `T`.
unsafe impl<T> Sync for JoinHandle<T> {}

/// The goroutine that a handle refers to.
enum Whose<T> {
    Real(Ref, PhantomData<T>),
    /// A goroutine of a program under a checker.
    Modelled(ModelOnly<Arc<Cell<T>>>),
}

impl<T> JoinHandle<T> {
    pub(crate) fn new(goroutine: Ref) -> Self {
        JoinHandle(Whose::Real(goroutine, PhantomData))
    }

    pub(crate) fn of_model(goroutine: ModelOnly<Arc<Cell<T>>>) -> Self {
        JoinHandle(Whose::Modelled(goroutine))
    }

    fn word(&self) -> &JoinWord<WakeHandle> {
        match &self.0 {
            Whose::Real(goroutine, _) => &goroutine.join,
            Whose::Modelled(cell) => &cell.get().join,
        }
    }

    fn id(&self) -> u64 {
        match &self.0 {
            Whose::Real(goroutine, _) => goroutine.id(),
            Whose::Modelled(cell) => cell.get().id().into(),
        }
    }

    pub(crate) fn trace(&self, place: &'static Location<'static>) {
        trace::on_goroutine("join", Some(self.id()), Some(place));
    }

    /// Waits for the goroutine to end, and returns its result. Parks a calling goroutine, and blocks a plain thread.
    ///
    /// # Errors
    /// Fails if the goroutine panicked, or if its runtime ended first.
    ///
    /// # Panics
    /// Panics if a goroutine joins itself, because such a wait could never end. Also panics inside
    /// [`no_suspend`](crate::no_suspend), if the caller would have to wait.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        let place = Location::caller();
        self.trace(place);
        // If this wait panics, the handle is dropped as usual, because the result is not taken yet.
        let found = self.await_end(|| park::park(place));
        self.finish(found)
    }

    /// Waits as [`join`](Self::join) does, but at most for the time `limit`. If that time has passed already, the
    /// call only checks whether the goroutine has ended, and does not suspend. A loop of such checks must call
    /// [`yield_now`](crate::yield_now), because otherwise the goroutine may never run.
    ///
    /// # Errors
    /// Fails if the goroutine has not ended. The error gives the handle back. The handle can be joined again, and
    /// dropping it detaches the goroutine.
    ///
    /// # Panics
    /// Panics in the same cases as [`join`](Self::join).
    ///
    /// ```
    /// use std::time::Duration;
    /// selvedge::Runtime::new()?.run(|| {
    ///     let waits = selvedge::go(|| selvedge::park());
    ///     let Err(error) = waits.join_timeout(Duration::from_millis(1)) else { panic!("it ended") };
    ///     let waits = error.into_handle();
    ///     waits.goroutine().unpark();
    ///     assert!(waits.join().is_ok());
    /// });
    /// # Ok::<(), selvedge::BuildError>(())
    /// ```
    #[track_caller]
    pub fn join_timeout(
        self,
        limit: Duration,
    ) -> Result<Result<T, JoinError>, StillRunning<JoinHandle<T>>> {
        self.join_within(WaitLimit::after(limit), Location::caller())
    }

    /// Waits as [`join`](Self::join) does, but at most until `deadline`.
    ///
    /// # Errors
    /// Returns the same errors as [`join_timeout`](Self::join_timeout).
    ///
    /// # Panics
    /// Panics in the same cases as [`join`](Self::join).
    #[track_caller]
    pub fn join_deadline(
        self,
        deadline: impl Into<Instant>,
    ) -> Result<Result<T, JoinError>, StillRunning<JoinHandle<T>>> {
        self.join_within(WaitLimit::until(deadline.into().nanos()), Location::caller())
    }

    /// Waits as [`join`](Self::join) does, but at most until `token` is cancelled.
    ///
    /// # Errors
    /// Returns the same errors as [`join_timeout`](Self::join_timeout).
    ///
    /// # Panics
    /// Panics in the same cases as [`join`](Self::join).
    #[track_caller]
    pub fn join_cancel(
        self,
        token: &CancelToken,
    ) -> Result<Result<T, JoinError>, StillRunning<JoinHandle<T>>> {
        self.join_within(token.limit(), Location::caller())
    }

    fn join_within(
        self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<Result<T, JoinError>, StillRunning<JoinHandle<T>>> {
        match self.await_end_within(limit, place) {
            Ok(found) => Ok(self.finish(found)),
            Err(cancelled) => Err(StillRunning { handle: self, cancelled }),
        }
    }

    /// Waits within `limit`. Returns how the goroutine ended. If it has not ended, returns an error, which is
    /// true if the token ended the wait.
    pub(crate) fn await_end_within(
        &self,
        limit: WaitLimit<'_>,
        place: &'static Location<'static>,
    ) -> Result<Joined, bool> {
        self.trace(place);
        let word = self.word();
        let mut cancelled = false;
        if word.joined() == Joined::Waiting {
            park::check_may_suspend(place);
            // SAFETY: `self` is the only handle of `word`, and only its owner calls this function, so no other `join`
            // or `withdraw` is under way. `wake_of_caller` only finds out which goroutine or thread calls. A
            // registered wake handle belongs to this caller or to an earlier caller, which is a goroutine or a thread,
            // so its destructor makes no such call either.
            let found = unsafe { word.join(|| self.wake_of_caller()) };
            if found == Joined::Waiting {
                let outcome = limit.park_until(place, || word.joined() != Joined::Waiting);
                cancelled = outcome == wait::limit::Outcome::Cancelled;
            }
        }
        // SAFETY: `self` is the only handle of `word`, and no other `join` or `withdraw` is under way,
        // for the reasons given above.
        match unsafe { word.withdraw() } {
            Joined::Waiting => Err(cancelled),
            ended => Ok(ended),
        }
    }

    #[track_caller]
    pub(crate) fn await_end(&self, wait: impl Fn()) -> Joined {
        let word = self.word();
        // SAFETY: `self` is the only handle of `word`, and no other `join` or `withdraw` is under way, for the reasons
        // given in `await_end_within`.
        let mut found = unsafe { word.join(|| self.wake_of_caller()) };
        while found == Joined::Waiting {
            wait();
            found = word.joined();
        }
        found
    }

    #[track_caller]
    fn wake_of_caller(&self) -> WakeHandle {
        let (wake, is_itself) = match &self.0 {
            Whose::Real(goroutine, _) => {
                check_here(goroutine, "join");
                let wake = WakeHandle::of_caller(goroutine.shared);
                let is_itself = wake.goroutine().is_some_and(|(own, _)| own == goroutine.ptr());
                (wake, is_itself)
            }
            Whose::Modelled(cell) => {
                let wake = WakeHandle::of_caller(std::ptr::null());
                let is_itself = cell.get().is(&wake);
                (wake, is_itself)
            }
        };
        if is_itself {
            panic!("a goroutine can't join itself: send the handle to somebody else");
        }
        wake
    }

    /// Takes the result. The goroutine must have ended, as `found` says.
    pub(crate) fn finish(self, found: Joined) -> Result<T, JoinError> {
        match found {
            Joined::Done => {}
            Joined::Abandoned => {
                let goroutine = self.goroutine();
                return Err(JoinError::abandoned(self.id(), goroutine.name()));
            }
            Joined::Waiting => unreachable!("the end has come"),
        }
        let this = ManuallyDrop::new(self);
        // SAFETY: `found` says that the goroutine has stored its result. `this` is the only join handle, and is never
        // dropped, so the outcome is taken once. [G2]
        let outcome = unsafe { this.take_outcome() };
        if fault("joined twice") {
            drop(this.detach(false));
        }
        // SAFETY: `&this.0` points to a valid field. `this` is `ManuallyDrop` and is not used again, so the field is
        // dropped only once.
        drop(unsafe { std::ptr::read(&this.0) });
        outcome.map_err(JoinError::panicked)
    }

    /// Returns whether the goroutine has ended, so that [`join`](Self::join) returns at once. Never suspends.
    pub fn is_finished(&self) -> bool {
        self.word().joined() != Joined::Waiting
    }

    /// Returns a handle to the goroutine, with which the caller can unpark it or read its name.
    pub fn goroutine(&self) -> Goroutine {
        Goroutine::of(match &self.0 {
            Whose::Real(goroutine, _) => Unparker::Goroutine(goroutine.clone()),
            Whose::Modelled(cell) => cell.get().waiter(),
        })
    }

    /// Polls the goroutine for a future. `handle` becomes `None` when the future is ready.
    pub(crate) fn poll(
        handle: &mut Option<JoinHandle<T>>,
        context: &Context<'_>,
    ) -> Poll<Result<T, JoinError>> {
        // `Task::of` calls foreign code, which may panic, so this call comes before the handle is taken from the
        // future.
        let task = Task::of(context.waker());
        let own = handle.take().expect("a future that was ready is not polled again");
        trace::on_goroutine("await", Some(own.id()), None);
        if let Whose::Real(goroutine, _) = &own.0
            && !own.is_finished()
        {
            check_here(goroutine, "await");
        }
        // The join replaces the waker of an earlier poll. The earlier waker is not woken any more. [G5]
        // SAFETY: `own` is the only handle of its join word. The waker of an earlier poll may be dropped here, and its
        // destructor is foreign code. That code can't reach the handle, because this function owns the handle.
        match unsafe { own.word().join(|| WakeHandle::of_task(task)) } {
            Joined::Waiting => {
                *handle = Some(own);
                Poll::Pending
            }
            ended => Poll::Ready(own.finish(ended)),
        }
    }

    /// Ends the wait of a future that is dropped, so that no waker is called any more. The handle's own drop deals with
    /// the goroutine's result.
    pub(crate) fn stop_waiting(&self) {
        // SAFETY: `self` is the only handle of its join word. Only its future could use the handle at the same time,
        // and that future is being dropped.
        let _ = unsafe { self.word().withdraw() };
    }

    /// Detaches the goroutine. If the goroutine has ended, returns its outcome, which the caller must drop. A panic
    /// is counted here, because nothing else reports it.
    fn detach(&self, is_scoped: bool) -> Option<Outcome<T>> {
        let goroutine = match &self.0 {
            Whose::Real(goroutine, _) => goroutine.ptr(),
            Whose::Modelled(cell) => return cell.get().detach(is_scoped),
        };
        if !goroutine.join.detach() {
            return None;
        }
        // SAFETY: `detach` has returned that the goroutine has stored its result. Only this handle could take the
        // result, and the handle is being dropped. [G2]
        let outcome = unsafe { self.take_outcome() };
        if let Err(payload) = &outcome {
            // SAFETY: `goroutine.shared` points to the runtime's memory. The goroutine's cell keeps this memory alive
            // while the cell is in use, and this handle keeps the cell in use.
            unsafe { &*goroutine.shared }.counters.count_panic();
            if !is_scoped {
                simulation::unheard(goroutine, explore::message(&**payload));
            }
        }
        Some(outcome)
    }

    /// # Safety
    /// The goroutine must have stored its result. The caller must call this only once in the life of the handle.
    unsafe fn take_outcome(&self) -> Outcome<T> {
        let goroutine = match &self.0 {
            Whose::Real(goroutine, _) => goroutine.ptr(),
            Whose::Modelled(cell) => return cell.get().take_outcome(),
        };
        goroutine.note(crate::observe::specification::Event::Joined);
        let body = goroutine.body.with_mut(|body| body);
        // SAFETY: the caller guarantees that the goroutine has stored its result, an `Outcome<T>`, at the address that
        // `output` returns, and that this call is the only one. So the outcome is read once. [G2]
        unsafe {
            let outcome = (goroutine.vtable().output)(body).cast::<Outcome<T>>().read();
            (goroutine.vtable().free)(body);
            outcome
        }
    }

    /// Works like `drop`, for a scope's goroutine, but returns the outcome to the caller.
    pub(crate) fn forget(self) -> Option<Outcome<T>> {
        let this = ManuallyDrop::new(self);
        let outcome = this.detach(true);
        // SAFETY: `&this.0` points to a valid field. `this` is `ManuallyDrop` and is not used again, so the field is
        // dropped only once.
        drop(unsafe { std::ptr::read(&this.0) });
        outcome
    }
}

/// Panics in the child process of a fork, because a goroutine of the parent process never ends there.
#[track_caller]
fn check_here(goroutine: &Ref, what: &str) {
    // SAFETY: `goroutine.shared` points to the runtime's memory. The goroutine's cell keeps this memory alive while the
    // cell is in use, and `goroutine` keeps the cell in use.
    unsafe { &*goroutine.shared }.check_here(what);
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // The outcome's destructor is foreign code. If it panics, the panic continues in the caller, and the reference
        // to the goroutine is still dropped.
        drop(self.detach(false));
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goroutine = self.goroutine();
        f.debug_struct("JoinHandle")
            .field("id", &goroutine.id())
            .field("name", &goroutine.name())
            .field("finished", &self.is_finished())
            .finish()
    }
}
