//! Waiter: whom to wake: a goroutine, a plain thread, or a future's task.
//! Checked by: verification/loom/join.rs, verification/loom/wait.rs.

use super::cell::{Goroutine, Ptr, Ref};
use super::current::{current_goroutine, current_worker};
use super::ready::unpark_if;
use super::runtime::Shared;
use crate::observe::broken;
use crate::platform::foreign::Task;
use crate::platform::{Arc, Parker, tls};
use std::mem::ManuallyDrop;
use std::num::NonZero;
use std::ptr::{self, NonNull};
use std::task::{RawWakerVTable, Waker};

/// Whom to unpark: the contract between the scheduler and everything above it.
#[derive(Clone)]
pub(crate) enum Unparker {
    Goroutine(Ref),
    Thread(Arc<Parker>),
}

impl Unparker {
    pub(crate) fn unpark(&self) {
        match self {
            Unparker::Goroutine(goroutine) => crate::sched::core::ready::unpark(goroutine),
            Unparker::Thread(parker) => parker.unpark(),
        }
    }
}

/// One who waits, and whom somebody will wake. A goroutine is not counted: it can't end while it
/// waits.
pub(crate) struct ParkedRef(Tagged);

impl ParkedRef {
    #[inline]
    pub(crate) fn goroutine(goroutine: Ptr) -> Self {
        ParkedRef(Tagged::new(goroutine.raw().cast(), GOROUTINE, ptr::null()))
    }

    pub(crate) fn thread(parker: Arc<Parker>) -> Self {
        ParkedRef(Tagged::of_thread(parker))
    }

    pub(crate) fn task(task: Task) -> Self {
        ParkedRef(Tagged::of_task(task))
    }

    /// Holds on to it, for when it waits no more.
    ///
    /// # Safety
    /// It waits. The answer stays with the calling thread or goroutine.
    #[inline]
    pub(crate) unsafe fn into_wake(self) -> WakeHandle {
        // As it is where it is a thread or a task.
        let ParkedRef(mut whom) = self;
        if whom.tag() == GOROUTINE {
            let goroutine = whom.goroutine();
            let near = current_worker().is_some_and(|w| ptr::eq(w.shared, goroutine.shared));
            whom = if near { Tagged::by_id(goroutine) } else { Tagged::counted(goroutine) };
        }
        WakeHandle(whom)
    }
}

/// Somebody to wake, once the lock is released under which that was decided; whether or not it waits
/// still. A goroutine of the waker's own runtime is known by its id, any other is counted.
#[must_use]
pub struct WakeHandle(Tagged);

impl WakeHandle {
    /// The calling goroutine or thread, for who is in the runtime `shared`, or has it in its hands.
    #[inline]
    pub(crate) fn of_caller(shared: *const Shared) -> WakeHandle {
        WakeHandle(match current_goroutine() {
            Some(goroutine) if ptr::eq(goroutine.shared, shared) => Tagged::by_id(goroutine),
            Some(goroutine) => Tagged::counted(goroutine),
            None => Tagged::of_thread(thread_parker()),
        })
    }

    pub(crate) fn of_task(task: Task) -> WakeHandle {
        WakeHandle(Tagged::of_task(task))
    }

    /// The same goroutine, known by its id, or the same thread, once more.
    #[inline]
    pub(crate) fn duplicate(&self) -> WakeHandle {
        if self.0.tag() == GOROUTINE {
            return WakeHandle(Tagged { whom: self.0.whom, with: self.0.with });
        }
        self.duplicate_counted()
    }

    /// As [`again`](Self::again), with a count of its own where it is a goroutine: which is there still.
    #[cold]
    pub(crate) fn duplicate_counted(&self) -> WakeHandle {
        if self.0.tag() == GOROUTINE {
            return WakeHandle(Tagged::counted(self.0.goroutine()));
        }
        // SAFETY: what it owns stays its own: only a count is added.
        match &*ManuallyDrop::new(unsafe { self.0.owned() }) {
            Owned::Parked(Unparker::Thread(parker)) => {
                WakeHandle(Tagged::of_thread(Arc::clone(parker)))
            }
            _ => broken("again", "a goroutine by its id, or a thread", "somebody else"),
        }
    }

    /// Whether it is a task, so that to wake it, or to drop it, runs the user's code.
    pub(crate) fn is_task(&self) -> bool {
        self.0.tag() == TASK
    }

    /// Whether it is the thread with this parker.
    pub(crate) fn is_thread(&self, parker: &Arc<Parker>) -> bool {
        self.0.tag() == THREAD && ptr::eq(self.0.pointer().as_ptr(), Arc::as_ptr(parker))
    }

    /// The goroutine, if it is one, for who readies many: with its id, or, where this holds a counted
    /// reference, without.
    pub(crate) fn goroutine(&self) -> Option<(Ptr, Option<u64>)> {
        match self.0.tag() {
            GOROUTINE => Some((self.0.goroutine(), Some(self.0.id()))),
            COUNTED => Some((self.0.goroutine(), None)),
            _ => None,
        }
    }

    /// Never unwinds, and suspends only if a task's waker does. [Q2]
    ///
    /// # Safety
    /// The runtime in which the calling thread or goroutine was when it got this is still there: whoever got
    /// it wakes by it before it leaves that runtime, and gives it to nobody else.
    #[inline]
    pub unsafe fn wake(self) {
        if self.0.tag() == GOROUTINE {
            // SAFETY: the caller may have moved to another worker since, but not to another runtime,
            // and keeps that in place.
            unsafe { unpark_if(self.0.goroutine(), self.0.id()) }
        } else {
            self.wake_counted();
        }
    }

    #[cold]
    fn wake_counted(self) {
        let whom = ManuallyDrop::new(self.0);
        // SAFETY: it is never dropped, so what it owns is taken once.
        match unsafe { whom.owned() } {
            Owned::Parked(waiter) => waiter.unpark(),
            Owned::Task(task) => task.wake(),
            Owned::Nothing => broken("wake_counted", "an owned one", "one by its id"),
        }
    }
}

/// Two words, so that they pass in registers. As an enum it would be three, put together on the stack word
/// by word and copied from there as a whole: the load waits for the stores to leave the processor's store
/// buffer, longer than all else takes here (measured: docs/channels.md).
struct Tagged {
    /// A pointer, with what it is in its lowest bits.
    whom: NonNull<()>,
    /// What goes with it.
    with: *const (),
}

/// | tag | whom | with |
/// |---|---|---|
/// | `GOROUTINE` | a cell | the goroutine's id, once it is known |
/// | `COUNTED` | a cell, and a reference to it | |
/// | `THREAD` | what `Arc::into_raw` gave | |
/// | `TASK` | a waker's table | its data |
const GOROUTINE: usize = 0;
const COUNTED: usize = 1;
const THREAD: usize = 2;
const TASK: usize = 3;
const TAGS: usize = 3;

const _: () = assert!(align_of::<Goroutine>() > TAGS);
const _: () = assert!(align_of::<Parker>() > TAGS);
const _: () = assert!(align_of::<RawWakerVTable>() > TAGS);
// An id takes the place of a pointer.
const _: () = assert!(size_of::<usize>() >= size_of::<u64>());

// SAFETY: what it stands for is Send: a cell's pointer, a reference to one, a shared parker, a waker.
unsafe impl Send for Tagged {}
// SAFETY: shared, it only is read, and all of these are Sync.
unsafe impl Sync for Tagged {}

impl Tagged {
    #[inline]
    fn new(whom: NonNull<()>, tag: usize, with: *const ()) -> Self {
        Tagged { whom: whom.map_addr(|address| address | tag), with }
    }

    /// By who is in its runtime, or has that in its hands: so the cell stays, whosever it is.
    #[inline]
    fn by_id(goroutine: Ptr) -> Self {
        let id = ptr::without_provenance(goroutine.id() as usize);
        Tagged::new(goroutine.raw().cast(), GOROUTINE, id)
    }

    fn counted(goroutine: Ptr) -> Self {
        std::mem::forget(Ref::new(goroutine));
        Tagged::new(goroutine.raw().cast(), COUNTED, ptr::null())
    }

    fn of_thread(parker: Arc<Parker>) -> Self {
        let raw = NonNull::new(Arc::into_raw(parker).cast_mut()).expect("an Arc's pointer");
        Tagged::new(raw.cast(), THREAD, ptr::null())
    }

    fn of_task(task: Task) -> Self {
        let waker = ManuallyDrop::new(task.into_waker());
        Tagged::new(NonNull::from(waker.vtable()).cast(), TASK, waker.data())
    }

    #[inline]
    fn tag(&self) -> usize {
        self.whom.addr().get() & TAGS
    }

    #[inline]
    fn pointer<T>(&self) -> NonNull<T> {
        let address = self.whom.addr().get() & !TAGS;
        self.whom.with_addr(NonZero::new(address).expect("a pointer")).cast()
    }

    /// Of `GOROUTINE` and `COUNTED`.
    #[inline]
    fn goroutine(&self) -> Ptr {
        Ptr::from_raw(self.pointer())
    }

    /// Of `GOROUTINE`, once it is known.
    #[inline]
    fn id(&self) -> u64 {
        self.with.addr() as u64
    }

    /// What it owns.
    ///
    /// # Safety
    /// Once, and it is not dropped.
    unsafe fn owned(&self) -> Owned {
        // SAFETY: each pointer is what the tag says, and what it owns is the caller's.
        unsafe {
            match self.tag() {
                COUNTED => Owned::Parked(Unparker::Goroutine(Ref::adopt(self.goroutine()))),
                THREAD => Owned::Parked(Unparker::Thread(Arc::from_raw(self.pointer().as_ptr()))),
                TASK => Owned::Task(Waker::new(self.with, self.pointer().as_ref()).into()),
                _ => Owned::Nothing,
            }
        }
    }
}

enum Owned {
    Nothing,
    Parked(Unparker),
    Task(Task),
}

impl Drop for Tagged {
    #[inline]
    fn drop(&mut self) {
        if self.tag() != GOROUTINE {
            self.drop_owned();
        }
    }
}

impl Tagged {
    #[cold]
    fn drop_owned(&mut self) {
        // SAFETY: it is being dropped, so nobody else takes what it owns.
        drop(unsafe { self.owned() });
    }
}

/// What a wait says on a thread that can not wait.
pub(crate) const GONE: &str = "a thread whose thread-locals are gone can't wait for goroutines";

/// The parker of the calling thread.
pub(crate) fn thread_parker() -> Arc<Parker> {
    tls::parker().expect(GONE)
}
