//! Handles by which a waiting goroutine, plain thread or future's task is woken.
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

/// Unparks a goroutine or a thread. This type is the contract between the scheduler and the modules above
/// it.
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

/// A goroutine, thread or task that is parked and that another one will wake. A goroutine is not counted,
/// because it cannot end while it is parked.
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

    /// Converts the reference to a handle that stays valid after the wait has ended.
    ///
    /// # Safety
    /// The goroutine, thread or task must be parked. The returned handle must stay with the calling thread
    /// or goroutine.
    #[inline]
    pub(crate) unsafe fn into_wake(self) -> WakeHandle {
        // A thread or a task needs no change, because its reference is already owned.
        let ParkedRef(mut whom) = self;
        if whom.tag() == GOROUTINE {
            let goroutine = whom.goroutine();
            let near = current_worker().is_some_and(|w| ptr::eq(w.shared, goroutine.shared));
            whom = if near { Tagged::by_id(goroutine) } else { Tagged::counted(goroutine) };
        }
        WakeHandle(whom)
    }
}

/// A goroutine, thread or task that must be woken. The decision was made under a lock, and the wake-up
/// follows after that lock is released. The wait may have ended meanwhile. A goroutine of the waker's own
/// runtime is known by its id. Any other goroutine is counted.
#[must_use]
pub struct WakeHandle(Tagged);

impl WakeHandle {
    /// Returns a wake handle for the calling goroutine or thread. The waker must be in the runtime
    /// `shared`, or must keep that runtime allocated by other means.
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

    /// Returns another handle for the same thread, or for the same goroutine by its id.
    #[inline]
    pub(crate) fn duplicate(&self) -> WakeHandle {
        if self.0.tag() == GOROUTINE {
            return WakeHandle(Tagged { whom: self.0.whom, with: self.0.with });
        }
        self.duplicate_counted()
    }

    /// Like [`duplicate`](Self::duplicate), but for a goroutine the new handle has a count of its own. The
    /// goroutine must still be there.
    #[cold]
    pub(crate) fn duplicate_counted(&self) -> WakeHandle {
        if self.0.tag() == GOROUTINE {
            return WakeHandle(Tagged::counted(self.0.goroutine()));
        }
        // SAFETY: the value that `owned` returns is not dropped here, so `self` keeps its references. This
        // code only adds a count.
        match &*ManuallyDrop::new(unsafe { self.0.owned() }) {
            Owned::Parked(Unparker::Thread(parker)) => {
                WakeHandle(Tagged::of_thread(Arc::clone(parker)))
            }
            _ => broken("duplicate_counted", "a goroutine by id, or a thread", "another one"),
        }
    }

    /// Returns whether the handle is a task's. If so, waking or dropping it runs the user's code.
    pub(crate) fn is_task(&self) -> bool {
        self.0.tag() == TASK
    }

    /// Returns whether the handle is that of the thread with this parker.
    pub(crate) fn is_thread(&self, parker: &Arc<Parker>) -> bool {
        self.0.tag() == THREAD && ptr::eq(self.0.pointer().as_ptr(), Arc::as_ptr(parker))
    }

    /// Returns the goroutine, if the handle is a goroutine's. For callers that make many goroutines
    /// runnable at once. The id is `None` if the handle holds a counted reference.
    pub(crate) fn goroutine(&self) -> Option<(Ptr, Option<u64>)> {
        match self.0.tag() {
            GOROUTINE => Some((self.0.goroutine(), Some(self.0.id()))),
            COUNTED => Some((self.0.goroutine(), None)),
            _ => None,
        }
    }

    /// Wakes the goroutine, thread or task. Never unwinds. Suspends only if a task's waker does. [Q2]
    ///
    /// # Safety
    /// The calling thread or goroutine must still be in the runtime in which it got this handle. So the
    /// caller must call this before it leaves that runtime, and must not give the handle
    /// away.
    #[inline]
    pub unsafe fn wake(self) {
        if self.0.tag() == GOROUTINE {
            // SAFETY: the handle's pointer leads to a cell of the runtime in which the caller got the
            // handle. The caller guarantees that it is still in that runtime, perhaps on another worker.
            unsafe { unpark_if(self.0.goroutine(), self.0.id()) }
        } else {
            self.wake_counted();
        }
    }

    #[cold]
    fn wake_counted(self) {
        let whom = ManuallyDrop::new(self.0);
        // SAFETY: `whom` is a handle that is never dropped, so its references are taken only here.
        match unsafe { whom.owned() } {
            Owned::Parked(waiter) => waiter.unpark(),
            Owned::Task(task) => task.wake(),
            Owned::Nothing => broken("wake_counted", "an owned handle", "a handle by its id"),
        }
    }
}

/// Two words, so that the handle is passed in registers. As an enum it would take three words. The compiler
/// would write them to the stack one by one and then copy them by a wider load, which must wait until the
/// stores have left the store buffer. That wait takes longer than all other steps of a wake-up (measured:
/// docs/channels.md).
struct Tagged {
    /// A pointer, with the tag in its lowest bits.
    whom: NonNull<()>,
    /// The second word. Its meaning depends on the tag.
    with: *const (),
}

/// The tags, and the meaning of both words for each tag.
///
/// | tag | pointer | second word |
/// |---|---|---|
/// | `GOROUTINE` | a cell | the goroutine's id, once it is known |
/// | `COUNTED` | a cell, and a counted reference to it | |
/// | `THREAD` | what `Arc::into_raw` returned | |
/// | `TASK` | a waker's table | its data |
const GOROUTINE: usize = 0;
const COUNTED: usize = 1;
const THREAD: usize = 2;
const TASK: usize = 3;
const TAGS: usize = 3;

const _: () = assert!(align_of::<Goroutine>() > TAGS);
const _: () = assert!(align_of::<Parker>() > TAGS);
const _: () = assert!(align_of::<RawWakerVTable>() > TAGS);
// An id is stored in a word that is otherwise a pointer.
const _: () = assert!(size_of::<usize>() >= size_of::<u64>());

// SAFETY: both words stand for a pointer to a cell, a reference to a cell, a shared parker or a waker. All
// of these are Send.
unsafe impl Send for Tagged {}
// SAFETY: a shared reference to a `Tagged` only reads its words, and all types that the words may stand for
// are Sync.
unsafe impl Sync for Tagged {}

impl Tagged {
    #[inline]
    fn new(whom: NonNull<()>, tag: usize, with: *const ()) -> Self {
        Tagged { whom: whom.map_addr(|address| address | tag), with }
    }

    /// Makes a handle for a goroutine by its id. The waker must be in the goroutine's runtime, or must keep
    /// that runtime allocated. The runtime keeps the cell allocated, even if another goroutine uses it
    /// later.
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

    /// Returns the goroutine of a `GOROUTINE` or `COUNTED` handle.
    #[inline]
    fn goroutine(&self) -> Ptr {
        Ptr::from_raw(self.pointer())
    }

    /// Returns the id of a `GOROUTINE` handle. The id must be known.
    #[inline]
    fn id(&self) -> u64 {
        self.with.addr() as u64
    }

    /// Returns what the handle owns.
    ///
    /// # Safety
    /// The caller must call this at most once for each handle, and must then not drop the handle.
    unsafe fn owned(&self) -> Owned {
        // SAFETY: the tag says of which type the pointer is. The caller guarantees that it takes the
        // references only once, and does not drop the handle.
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
        // SAFETY: `self` is being dropped, so no other code takes its references.
        drop(unsafe { self.owned() });
    }
}

/// The panic message of a wait on a thread that cannot wait.
pub(crate) const GONE: &str = "a thread whose thread-locals are gone can't wait for goroutines";

/// Returns the parker of the calling thread.
pub(crate) fn thread_parker() -> Arc<Parker> {
    tls::parker().expect(GONE)
}
