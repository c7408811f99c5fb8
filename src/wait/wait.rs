//! Wait: one wait of a goroutine, thread or task on one or more lists: claim, complete, cancel.

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

/// Plus the arm's number.
const FIRED: u32 = 3;

/// One wait of one caller, on any number of lists. It lies in the caller's frame.
pub struct Wait {
    state: AtomicU32,
    /// On one list, and for ever: whoever unlinks its node has claimed it. [X1]
    is_steadfast: bool,
    /// Taken by the waker that claims the wait.
    who: UnsafeCell<Option<ParkedRef>>,
}

// SAFETY: `who` is the claimer's once the state is CLAIMED, and nobody's but the waiter's before; the
// waiter changes it only under the lock of the one list that it waits on.
unsafe impl Sync for Wait {}

// SAFETY: as above; a sleeper is Send.
unsafe impl Send for Wait {}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Through the node with this arm, which is unlinked; the others may still be linked.
    Fired(u32),
    /// The time ran out: every node may still be linked.
    TimedOut,
}

/// Those to wake once a lock is released: mostly nobody or one. Whoever fires them keeps this in its own frame
/// and wakes them before that function returns, so its runtime is still there.
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

    /// In the order in which they came. Never unwinds, and suspends only if a task's waker does: so this is
    /// called without a lock of ours. [Q2] [Q3]
    #[inline(always)]
    pub fn wake(&mut self) {
        if let Some(first) = self.first.take() {
            self.wake_some(ManuallyDrop::into_inner(first));
        }
    }

    #[inline(never)]
    fn wake_some(&mut self, first: WakeHandle) {
        // SAFETY: it was got in this frame: see the type.
        unsafe { first.wake() };
        if !self.rest.is_empty() {
            self.wake_rest();
        }
    }

    #[cold]
    fn wake_rest(&mut self) {
        // SAFETY: as in `wake_some`.
        std::mem::take(&mut *self.rest).into_iter().for_each(|wake| unsafe { wake.wake() });
    }
}

/// Where a panic comes before the wake-ups (a wait inside `no_suspend`): those fired are woken all the
/// same, or they would wait for ever. Nothing is left to drop then: hence `ManuallyDrop`, which spares
/// each channel's operation the code for that.
impl Drop for Wakes {
    #[inline]
    fn drop(&mut self) {
        self.wake();
    }
}

impl Wait {
    /// A wait of the calling goroutine or thread, for one that holds no lock of ours. [Q3]
    ///
    /// # Panics
    /// Where [`caller`](Self::caller) is `None`, before anything is linked.
    pub fn of_caller(place: &'static Location<'static>) -> Self {
        Wait::of(park::sleeper_about_to_wait(false).unwrap_or_else(|| park::refuse_to_wait(place)))
    }

    /// As [`of_caller`](Self::of_caller), for one node, and never to be given up: that spares its waker
    /// two read-modify-writes.
    ///
    /// # Panics
    /// As [`of_caller`](Self::of_caller).
    #[inline]
    pub fn untimed(place: &'static Location<'static>) -> Self {
        let who = park::sleeper_about_to_wait(true);
        Wait::steadfast_of(who.unwrap_or_else(|| park::refuse_to_wait(place)))
    }

    /// The caller, for one that holds a lock of ours; `for_ever`: to wait without a limit. `None` where it may not
    /// wait: inside `no_suspend`, on a thread whose thread-locals are gone, and for ever in the child of a fork. Then it gives up its locks before it calls [`refuse`](Self::refuse).
    #[inline]
    pub(crate) fn caller(for_ever: bool) -> Option<ParkedRef> {
        park::sleeper_about_to_wait(for_ever)
    }

    /// A wait of [`caller`](Self::caller).
    #[inline]
    pub(crate) fn of(who: ParkedRef) -> Self {
        Wait::new(who, false)
    }

    /// A [steadfast](Self::steadfast) wait of [`caller`](Self::caller).
    #[inline]
    pub(crate) fn steadfast_of(who: ParkedRef) -> Self {
        Wait::new(who, true)
    }

    /// Panics, and says why the caller may not wait. Called without a lock of ours. [Q3]
    pub fn refuse(place: &'static Location<'static>) -> ! {
        park::refuse_to_wait(place)
    }

    /// A wait of a future.
    pub fn of_task(task: Task) -> Self {
        Wait::new(ParkedRef::task(task), false)
    }

    fn new(who: ParkedRef, is_steadfast: bool) -> Self {
        let state = AtomicU32::new(WAITING);
        Wait { state, is_steadfast, who: UnsafeCell::new(Some(who)) }
    }

    /// Blocks the caller until it is fired, or `deadline` has passed.
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
            // Somebody has claimed it, and will fire it.
            return Ended::Fired(self.until_fired(place));
        }
    }

    /// Blocks the caller until it is fired: the arm.
    #[inline]
    pub(crate) fn until_fired(&self, place: &'static Location<'static>) -> u32 {
        loop {
            if let Some(arm) = self.fired() {
                return arm;
            }
            park::park_without_fail(place);
        }
    }

    /// The arm that was fired, if one was.
    #[inline]
    pub fn fired(&self) -> Option<u32> {
        // Acquire: pairs with the Release in `fire`. [X2]
        self.state.load(Ordering::Acquire).checked_sub(FIRED)
    }

    /// Whether it has neither been claimed nor given up; a hint unless the caller knows more.
    pub fn is_waiting(&self) -> bool {
        // Relaxed: nothing is read that the state guards.
        self.state.load(Ordering::Relaxed) == WAITING
    }

    /// Ends the wait unless somebody has claimed it: then it will be fired, or is already.
    pub fn cancel_wait(&self) -> bool {
        if self.is_steadfast {
            broken("cancel_wait", "a wait that may be cancelled", "an untimed one");
        }
        // Relaxed: what the waiter does next it does under the lists' locks, or alone.
        // mutant: give up what is claimed: replace WAITING with self.state.load(Ordering::Relaxed)
        self.state.compare_exchange(WAITING, GIVEN_UP, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Sets whom to wake: this task. Under the lock of the one list that this wait is on, which its
    /// wakers hold when they fire it, and unless it was fired. Who was to be woken before is for the
    /// caller to drop without the lock.
    pub(crate) fn set_task(&self, task: Task) -> Option<ParkedRef> {
        // SAFETY: only a waker that holds the same lock would take it. See `Sync`.
        self.who.with_mut(|own| unsafe { (*own).replace(ParkedRef::task(task)) })
    }

    /// By a waker that found the wait through a list. [X1]
    pub(super) fn claim(&self) -> bool {
        if self.is_steadfast {
            return true;
        }
        // Relaxed: the claimer holds the list's lock, under which the waiter linked the node, after
        // it had filled the packet. On failure another waker has it, or it was given up.
        // mutant: claim what is claimed: replace WAITING with self.state.load(Ordering::Relaxed)
        self.state.compare_exchange(WAITING, CLAIMED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// By the waker that claimed it. The frame of the wait may be gone when this returns. [X4]
    pub(super) fn complete(&self, arm: u32) -> WakeHandle {
        // SAFETY: the claim was ours. [X1]
        let who = self.who.with_mut(|who| unsafe { (*who).take() });
        let who = who.expect("a wait that was not fired knows whom to wake");
        // SAFETY: it was not fired yet, so it waits; a `WakeHandle` stays with its waker.
        let wake = unsafe { who.into_wake() };
        if self.is_steadfast {
            // Release: as below. A store, as nobody else writes the word of such a wait.
            self.state.store(FIRED + arm, Ordering::Release);
        } else {
            // Release: pairs with the Acquire in `fired`: the packet is seen. [X2]
            // A swap, as those who claim or give up write it, too.
            let before = self.state.swap(FIRED + arm, Ordering::Release);
            if before != CLAIMED {
                broken("complete", "CLAIMED", &before.to_string());
            }
        }
        wake
    }
}
