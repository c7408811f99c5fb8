//! Wait: one wait of a goroutine, thread or task, on one or more lists, and its steps: claim, complete, cancel.

use crate::observe::broken;
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::foreign::Task;
use crate::sched::core::wake_handle::ParkedRef;
use crate::sched::core::wake_handle::WakeHandle;
use crate::sched::suspend::park;
use std::mem::ManuallyDrop;
use std::panic::Location;

const WAITING: u32 = 0;

const CLAIMED: u32 = 1;

const GIVEN_UP: u32 = 2;

/// The wait is completed. The number of the arm is added to this value.
const FIRED: u32 = 3;

/// One wait of one caller, on any number of lists. The wait is in the caller's frame.
pub struct Wait {
    state: AtomicU32,
    /// The wait is on exactly one list and is untimed. Unlinking its node is therefore the claim, and no
    /// compare-exchange is needed. [X1]
    is_steadfast: bool,
    /// The waiter to wake. The waker that claims the wait takes this reference.
    who: UnsafeCell<Option<ParkedRef>>,
}

// SAFETY: once the state is CLAIMED, only the claimer accesses `who`. Before that, only the waiter does, and it
// changes `who` only under the lock of the one list that it waits on.
unsafe impl Sync for Wait {}

// SAFETY: `ParkedRef` is Send, and the other fields are an atomic and a flag that does not change.
unsafe impl Send for Wait {}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// A waker completed the wait through the node with this arm. That node is unlinked; other nodes may still be
    /// linked.
    Fired(u32),
    /// The deadline passed. Every node may still be linked.
    TimedOut,
}

/// The wake-ups to perform after a lock is released, mostly none or one. The function that completes the waits keeps
/// this value in its own frame, and performs the wake-ups before it returns. So the runtime is still alive at that
/// time.
#[derive(Default)]
#[must_use]
pub struct Wakes {
    first: Option<ManuallyDrop<WakeHandle>>,
    rest: ManuallyDrop<Vec<WakeHandle>>,
}

impl Wakes {
    pub const fn new() -> Self {
        Wakes { first: None, rest: ManuallyDrop::new(Vec::new()) }
    }

    #[inline]
    pub fn push(&mut self, wake: WakeHandle) {
        if self.first.is_none() {
            self.first = Some(ManuallyDrop::new(wake));
        } else {
            self.rest.push(wake);
        }
    }

    /// Performs the wake-ups in the order in which they were pushed. Never unwinds, and suspends only if a task's
    /// waker does. The caller must hold no lock of ours. [Q2] [Q3]
    #[inline(always)]
    pub fn wake(&mut self) {
        if let Some(first) = self.first.take() {
            self.wake_some(ManuallyDrop::into_inner(first));
        }
    }

    #[inline(never)]
    fn wake_some(&mut self, first: WakeHandle) {
        // SAFETY: the function that keeps this value in its frame made `first`, so the waiter's runtime is still
        // alive. The type's documentation says why.
        unsafe { first.wake() };
        if !self.rest.is_empty() {
            self.wake_rest();
        }
    }

    #[cold]
    fn wake_rest(&mut self) {
        // SAFETY: the function that keeps this value in its frame made each handle, so the waiters' runtime is still
        // alive.
        std::mem::take(&mut *self.rest).into_iter().for_each(|wake| unsafe { wake.wake() });
    }
}

/// Wakes the waiters of completed waits also if a panic comes before the wake-ups (a wait inside `no_suspend`),
/// because nothing else would wake these waiters. After that nothing is left to drop, so the fields are
/// `ManuallyDrop`. Then channel operations contain no code that drops the fields.
impl Drop for Wakes {
    #[inline]
    fn drop(&mut self) {
        self.wake();
    }
}

impl Wait {
    /// Begins a wait of the calling goroutine or thread. The caller must hold no lock of ours. [Q3]
    ///
    /// # Panics
    /// Panics if [`caller`](Self::caller) returns `None`. Nothing is linked then.
    pub fn of_caller(place: &'static Location<'static>) -> Self {
        Wait::of(park::sleeper_about_to_wait(false).unwrap_or_else(|| park::refuse_to_wait(place)))
    }

    /// Works like [`of_caller`](Self::of_caller), for a wait that has one node and is never cancelled. This spares its
    /// waker two read-modify-writes.
    ///
    /// # Panics
    /// Panics as [`of_caller`](Self::of_caller) does.
    #[inline]
    pub fn untimed(place: &'static Location<'static>) -> Self {
        let who = park::sleeper_about_to_wait(true);
        Wait::steadfast_of(who.unwrap_or_else(|| park::refuse_to_wait(place)))
    }

    /// Returns a reference to the caller, which may hold a lock of ours, for a wait without a limit if `for_ever`.
    /// Returns `None` if the caller must not wait: inside `no_suspend`; on a thread that has lost its
    /// thread-locals; or without a limit in the child of a fork. The caller must then release its locks and call
    /// [`refuse`](Self::refuse).
    #[inline]
    pub(crate) fn caller(for_ever: bool) -> Option<ParkedRef> {
        park::sleeper_about_to_wait(for_ever)
    }

    /// Begins a wait of a waiter that [`caller`](Self::caller) has returned.
    #[inline]
    pub(crate) fn of(who: ParkedRef) -> Self {
        Wait::new(who, false)
    }

    /// Begins an [untimed](Self::untimed) wait of a waiter that [`caller`](Self::caller) has returned.
    #[inline]
    pub(crate) fn steadfast_of(who: ParkedRef) -> Self {
        Wait::new(who, true)
    }

    /// Panics with the reason why the caller must not wait. The caller must hold no lock of ours. [Q3]
    pub fn refuse(place: &'static Location<'static>) -> ! {
        park::refuse_to_wait(place)
    }

    /// Begins a wait of a future.
    pub fn of_task(task: Task) -> Self {
        Wait::new(ParkedRef::task(task), false)
    }

    fn new(who: ParkedRef, is_steadfast: bool) -> Self {
        let state = AtomicU32::new(WAITING);
        Wait { state, is_steadfast, who: UnsafeCell::new(Some(who)) }
    }

    /// Blocks the caller until the wait is completed or `deadline` has passed. Parks a goroutine, and blocks a
    /// plain thread.
    pub fn wait(&self, place: &'static Location<'static>, deadline: Option<u64>) -> Ended {
        let Some(at) = deadline else { return Ended::Fired(self.until_fired(place)) };
        loop {
            if let Some(arm) = self.fired() {
                return Ended::Fired(arm);
            }
            if park::park_until(place, at) {
                continue;
            }
            if self.cancel_wait() {
                return Ended::TimedOut;
            }
            // A waker has claimed the wait, and will complete it.
            return Ended::Fired(self.until_fired(place));
        }
    }

    /// Blocks the caller until the wait is completed, and returns the arm.
    #[inline]
    pub(crate) fn until_fired(&self, place: &'static Location<'static>) -> u32 {
        loop {
            if let Some(arm) = self.fired() {
                return arm;
            }
            park::park_without_fail(place);
        }
    }

    /// Returns the arm, if the wait is completed.
    #[inline]
    pub fn fired(&self) -> Option<u32> {
        // Acquire: pairs with the Release in `complete`. [X2]
        self.state.load(Ordering::Acquire).checked_sub(FIRED)
    }

    /// Returns true if the wait is neither claimed nor cancelled. The result is a hint, unless the caller prevents
    /// changes.
    pub fn is_waiting(&self) -> bool {
        // Relaxed: the caller reads nothing that the state guards.
        self.state.load(Ordering::Relaxed) == WAITING
    }

    /// Ends the wait and returns true, unless a waker has claimed it. If the result is false, the waker has completed
    /// the wait or is about to complete it.
    pub fn cancel_wait(&self) -> bool {
        if self.is_steadfast {
            broken("cancel_wait", "a wait that may be cancelled", "an untimed one");
        }
        // Relaxed: the waiter's next steps are under the locks of the lists, or access nothing that is shared.
        // mutant: give up what is claimed: replace WAITING with self.state.load(Ordering::Relaxed)
        self.state.compare_exchange(WAITING, GIVEN_UP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Changes the waiter to this task, and returns the earlier waiter, which the caller must drop without the
    /// lock. The caller must hold the lock of the one list that this wait is on, which wakers hold while they
    /// complete it. The wait must not be completed yet.
    pub(crate) fn set_task(&self, task: Task) -> Option<ParkedRef> {
        // SAFETY: no other thread accesses `who`, because a waker takes it only under the list's lock, which the
        // caller holds.
        self.who.with_mut(|own| unsafe { (*own).replace(ParkedRef::task(task)) })
    }

    /// Claims the wait for a waker that found it through a list. Returns false if it is claimed or cancelled. [X1]
    pub(super) fn claim(&self) -> bool {
        if self.is_steadfast {
            return true;
        }
        // Relaxed: the claimer holds the list's lock. The waiter filled the message slot before it linked the node
        // under this lock. If the exchange fails, another waker has claimed the wait, or it was cancelled.
        // mutant: claim what is claimed: replace WAITING with self.state.load(Ordering::Relaxed)
        self.state.compare_exchange(WAITING, CLAIMED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Completes the wait through `arm`. The caller must have claimed it. The frame of the wait may be gone when
    /// this returns. [X4]
    pub(super) fn complete(&self, arm: u32) -> WakeHandle {
        // SAFETY: the caller has claimed the wait, so no other thread accesses `who`. [X1]
        let who = self.who.with_mut(|who| unsafe { (*who).take() });
        let who = who.expect("a wait that is not completed has a waiter");
        // SAFETY: the wait was not completed before, so the goroutine or thread of `who` still waits. The caller
        // keeps the returned handle on its thread or goroutine.
        let wake = unsafe { who.into_wake() };
        if self.is_steadfast {
            // Release: pairs with the Acquire in `fired`. This is a store, because no other thread writes the state
            // of an untimed wait.
            self.state.store(FIRED + arm, Ordering::Release);
        } else {
            // Release: pairs with the Acquire in `fired`, so that the message slot is seen. [X2] This is a swap,
            // because threads that claim or cancel also write the state.
            let before = self.state.swap(FIRED + arm, Ordering::Release);
            if before != CLAIMED {
                broken("complete", "CLAIMED", &before.to_string());
            }
        }
        wake
    }
}
