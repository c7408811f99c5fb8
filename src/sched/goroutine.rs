//! Goroutine: the cell that stands for one, from its spawn until its last handle is gone.
//! spawn: take a cell from the pool, write the closure, queue it.  run: the closure's place takes
//! its result.  finish: publish the result by the join word, wake the joiner.
//! [G1] A cell is recycled once its goroutine is dead and its last handle is gone.
//! [G2] The result is read once: by the joiner, or dropped by whoever comes last.
//! Cells are type-stable: their memory stays a cell's until the runtime and all handles are gone.
//! Checked by: verification/loom/join.rs, proptests/runtime/lifecycle.rs.

use super::Shared;
use super::group::Group;
use super::state::StateWord;
use super::task::{Payload, Vtable};
use super::waiter::Waiter;
use crate::context::{Fiber, Suspender};
use crate::lockfree::{Link, Linked};
use crate::platform::Arc;
use crate::platform::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::platform::cell::UnsafeCell;
use std::panic::Location;
use std::ptr::{self, NonNull};

/// A pointer to a cell whose goroutine is alive or referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Ptr(NonNull<Goroutine>);

// SAFETY: a cell's shared fields are Sync; those of its owner pass along with the run queues.
unsafe impl Send for Ptr {}
// SAFETY: as above.
unsafe impl Sync for Ptr {}

impl Ptr {
    pub(crate) fn from_raw(raw: NonNull<Goroutine>) -> Self {
        Ptr(raw)
    }

    pub(crate) fn raw(self) -> NonNull<Goroutine> {
        self.0
    }
}

impl std::ops::Deref for Ptr {
    type Target = Goroutine;

    fn deref(&self) -> &Goroutine {
        // SAFETY: cells are type-stable, and whoever holds a `Ptr` keeps the runtime alive. [G1]
        unsafe { self.0.as_ref() }
    }
}

/// `home` of a goroutine that any worker may run.
const STEALABLE: u32 = u32::MAX;

/// The cell.
#[repr(align(64))]
pub(crate) struct Goroutine {
    pub(crate) word: StateWord,
    refs: AtomicU32,
    link: Link<Goroutine>,
    /// The worker it must run on. Written by the worker that runs it; read by who unparked it.
    home: AtomicU32,
    join: AtomicU32,
    id: AtomicU64,
    /// Where it last suspended.
    place: AtomicPtr<Location<'static>>,
    pub(crate) shared: *const Shared,
    pub(crate) body: UnsafeCell<Payload>,
    vtable: UnsafeCell<&'static Vtable>,
    joiner: UnsafeCell<Option<Waiter>>,
    name: UnsafeCell<Option<Box<str>>>,
    group: UnsafeCell<Option<Arc<Group>>>,
    /// Touched by its worker alone.
    pub(crate) own: Own,
}

/// What a spawn may add to a goroutine.
#[derive(Default)]
pub(crate) struct Traits {
    pub(crate) name: Option<Box<str>>,
    pub(crate) group: Option<Arc<Group>>,
}

/// What belongs to the worker that runs it, or to the goroutine itself while it runs.
pub(crate) struct Own {
    pub(crate) fiber: std::cell::UnsafeCell<Option<Fiber>>,
    pub(crate) suspender: std::cell::Cell<*const Suspender>,
    pub(crate) pins: std::cell::Cell<u32>,
    pub(crate) no_suspend: std::cell::Cell<u32>,
    /// Announced blocking sections that it is in.
    pub(crate) sections: std::cell::Cell<u32>,
}

// SAFETY: `own` is touched by the one worker that runs the goroutine [S1]; the cells guarded by the
// join word and the reference count are touched as those say [G2]; the rest is atomic.
unsafe impl Sync for Goroutine {}
// SAFETY: as above.
unsafe impl Send for Goroutine {}

// SAFETY: a goroutine is in at most one run queue, or in the pool's list of free cells.
unsafe impl Linked for Goroutine {
    fn link(&self) -> &Link<Goroutine> {
        &self.link
    }
}

const OPEN: u32 = 0;
const WAITED: u32 = 1;
const DONE: u32 = 2;
const DETACHED: u32 = 4;
/// The runtime ended first; there is no result.
const ABANDONED: u32 = 8;

/// What a joiner finds.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// The result is the caller's.
    Done,
    /// There will be no result.
    Abandoned,
    /// Registered: it will be unparked.
    Waiting,
}

impl Goroutine {
    /// An unused cell of `shared`'s pool.
    pub(crate) fn vacant(shared: *const Shared) -> Self {
        Goroutine {
            word: StateWord::new(),
            refs: AtomicU32::new(0),
            link: Link::new(),
            home: AtomicU32::new(STEALABLE),
            join: AtomicU32::new(DONE | DETACHED),
            id: AtomicU64::new(0),
            place: AtomicPtr::new(ptr::null_mut()),
            shared,
            body: UnsafeCell::new(Payload::new()),
            vtable: UnsafeCell::new(&super::task::NOTHING),
            joiner: UnsafeCell::new(None),
            name: UnsafeCell::new(None),
            group: UnsafeCell::new(None),
            own: Own {
                fiber: std::cell::UnsafeCell::new(None),
                suspender: std::cell::Cell::new(ptr::null()),
                pins: std::cell::Cell::new(0),
                no_suspend: std::cell::Cell::new(0),
                sections: std::cell::Cell::new(0),
            },
        }
    }

    /// Makes a vacant cell a goroutine with two references: its own, and its join handle's.
    ///
    /// # Safety
    /// The caller has just taken the cell from the pool, and has put the body there.
    pub(crate) unsafe fn init(&self, id: u64, traits: Traits, vtable: &'static Vtable) {
        self.word.reset();
        // Relaxed, here and below: the cell is the caller's; the queue that takes it publishes.
        self.refs.store(2, Ordering::Relaxed);
        self.home.store(STEALABLE, Ordering::Relaxed);
        self.join.store(OPEN, Ordering::Relaxed);
        self.id.store(id, Ordering::Relaxed);
        self.place.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the cell is the caller's.
        self.vtable.with_mut(|v| unsafe { *v = vtable });
        if traits.name.is_some() {
            // SAFETY: as above; the last goroutine's name was dropped when it was recycled.
            self.name.with_mut(|name| unsafe { *name = traits.name });
        }
        if traits.group.is_some() {
            // SAFETY: as above; the last goroutine took its group along.
            self.group.with_mut(|group| unsafe { *group = traits.group });
        }
        self.own.pins.set(0);
        self.own.no_suspend.set(0);
        self.own.sections.set(0);
    }

    pub(crate) fn id(&self) -> u64 {
        // Relaxed: constant while there is a reference.
        self.id.load(Ordering::Relaxed)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        // SAFETY: constant while there is a reference.
        self.name.with(|name| unsafe { (*name).as_deref() })
    }

    /// The scope that waits for it, to be told once.
    pub(crate) fn take_group(&self) -> Option<Arc<Group>> {
        // SAFETY: asked once, by the goroutine itself or by who drops its closure.
        self.group.with_mut(|group| unsafe { (*group).take() })
    }

    pub(crate) fn vtable(&self) -> &'static Vtable {
        // SAFETY: constant while there is a reference.
        self.vtable.with(|vtable| unsafe { *vtable })
    }

    /// The worker it must run on, if it has begun and is anchored or pinned. [A1]
    #[inline]
    pub(crate) fn home(&self) -> Option<u32> {
        // Relaxed: written before it parked; the state word's Acquire brought it here.
        let home = self.home.load(Ordering::Relaxed);
        (home != STEALABLE).then_some(home)
    }

    pub(crate) fn set_home(&self, home: Option<u32>) {
        // Relaxed: see `home`.
        self.home.store(home.unwrap_or(STEALABLE), Ordering::Relaxed);
    }

    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        // Relaxed: a report. SAFETY: null, or from a `&'static Location`.
        unsafe { self.place.load(Ordering::Relaxed).as_ref() }
    }

    pub(crate) fn set_place(&self, place: &'static Location<'static>) {
        // Relaxed: a report.
        self.place.store(ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
    }

    /// Whether it has begun to run, and has a stack. For its worker, or when no worker runs.
    pub(crate) fn has_begun(&self) -> bool {
        // SAFETY: the caller is the only one at work on it.
        unsafe { (*self.own.fiber.get()).is_some() }
    }

    /// The body has left its result. True if nobody will ever ask for it: the caller drops it. [G2]
    pub(crate) fn complete(&self) -> bool {
        self.end(DONE)
    }

    /// The runtime has ended and this goroutine has not.
    pub(crate) fn abandon(&self) {
        self.end(ABANDONED);
    }

    fn end(&self, how: u32) -> bool {
        // Release: pairs with the Acquire in `join` and `is_finished`: the result is seen.
        // Acquire: pairs with the Release in `join`: the waiter is seen, or `detach`ed for good.
        let before = self.join.fetch_or(how, Ordering::AcqRel);
        if before & (DONE | ABANDONED) != 0 {
            return before & DETACHED != 0;
        }
        // mutant: drop wake of the joiner
        if before & WAITED != 0 {
            // SAFETY: WAITED says that the joiner is written and ours to take. [G2]
            let joiner = self.joiner.with_mut(|joiner| unsafe { (*joiner).take() });
            joiner.expect("a waiter stands behind WAITED").unpark();
        }
        before & DETACHED != 0
    }

    /// Registers `waiter` unless the end has come. Called by the one join handle.
    pub(crate) fn join(&self, waiter: impl FnOnce() -> Waiter) -> Joined {
        // Acquire: pairs with the Release in `end`.
        match self.join.load(Ordering::Acquire) {
            word if word & ABANDONED != 0 => return Joined::Abandoned,
            word if word & DONE != 0 => return Joined::Done,
            word if word & WAITED != 0 => return Joined::Waiting,
            _ => {}
        }
        let waiter = Some(waiter());
        // SAFETY: without WAITED nobody else looks at the joiner, and there is one join handle.
        self.joiner.with_mut(|joiner| unsafe { *joiner = waiter });
        // Release: publishes the joiner. Acquire: as above, if the end came first.
        let before = self.join.fetch_or(WAITED, Ordering::AcqRel);
        // mutant: wait though the end came first: replace before & (DONE | ABANDONED) == 0 with true
        if before & (DONE | ABANDONED) == 0 {
            return Joined::Waiting;
        }
        // SAFETY: the end came before WAITED, so nobody else will look at the joiner.
        self.joiner.with_mut(|joiner| unsafe { *joiner = None });
        if before & ABANDONED != 0 { Joined::Abandoned } else { Joined::Done }
    }

    /// The join handle goes without asking. True if the result is there: the caller drops it. [G2]
    pub(crate) fn detach(&self) -> bool {
        // Acquire: pairs with the Release in `end`. Release: the last of the two sees the other's
        // work done.
        self.join.fetch_or(DETACHED, Ordering::AcqRel) & DONE != 0
    }

    /// Whether it is out and has no result yet.
    pub(crate) fn is_pending(&self) -> bool {
        // Acquire: pairs with the Release in `end` and `drop_reference`.
        self.refs.load(Ordering::Acquire) > 0 && self.join.load(Ordering::Acquire) & DONE == 0
    }

    pub(crate) fn is_finished(&self) -> bool {
        // Acquire: pairs with the Release in `end`.
        self.join.load(Ordering::Acquire) & (DONE | ABANDONED) != 0
    }

    fn add_reference(&self) {
        // Relaxed: a reference is made from another one.
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        if before == 0 || before > u32::MAX / 2 {
            super::broken("add_reference", "between 1 and 2^31 references", &before.to_string());
        }
    }

    /// Gives one reference up; true if it was the last. [G1]
    #[must_use]
    pub(crate) fn drop_reference(&self) -> bool {
        // Release: our use of the cell comes before its reuse. Acquire: so does everybody else's.
        let before = self.refs.fetch_sub(1, Ordering::AcqRel);
        if before == 0 {
            super::broken("drop_reference", "a reference", "none");
        }
        before == 1
    }

    /// Forgets what the last goroutine left. [G1]
    ///
    /// # Safety
    /// The last reference is gone, and the caller was the one that dropped it.
    pub(crate) unsafe fn recycle(&self) {
        // SAFETY: nobody else has a reference.
        self.name.with_mut(|name| unsafe {
            if (*name).is_some() {
                *name = None;
            }
        });
    }
}

/// A counted reference to a goroutine.
pub(crate) struct Ref(Ptr);

impl Ref {
    /// Takes over a reference that is counted already.
    pub(crate) fn adopt(ptr: Ptr) -> Self {
        Ref(ptr)
    }

    /// One more reference, made from a live one.
    pub(crate) fn new(ptr: Ptr) -> Self {
        // mutant: drop reference
        ptr.add_reference();
        Ref(ptr)
    }

    pub(crate) fn ptr(&self) -> Ptr {
        self.0
    }
}

impl std::ops::Deref for Ref {
    type Target = Goroutine;

    fn deref(&self) -> &Goroutine {
        &self.0
    }
}

impl Clone for Ref {
    fn clone(&self) -> Self {
        Ref::new(self.0)
    }
}

impl Drop for Ref {
    fn drop(&mut self) {
        super::pool::drop_reference(self.0);
    }
}
