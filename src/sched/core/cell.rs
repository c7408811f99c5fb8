//! Goroutine: the cell that stands for one, from its spawn until its last handle is gone.
//! spawn: take a cell from the pool, write the closure, queue it.  run: the closure's place takes
//! its result.  finish: publish the result by the join word, wake the joiner: [G2], [G5].
//! [G1] A cell is recycled once its goroutine is dead and its last handle is gone.
//! Cells are type-stable: their memory stays a cell's until the runtime and all handles are gone.
//! Checked by: verification/loom/join.rs, proptests/runtime/lifecycle.rs.

pub(crate) use super::handle::Ref;
use super::owner_state::{Attributes, BlockingHint, OwnerState};
use super::scope_state::ScopeToken;
use super::stacks::StackKind;
use super::wake_handle::WakeHandle;
use crate::observe::broken;
use crate::observe::fault;
use crate::observe::specification::{Acting, Event};
use crate::platform::atomic::{AtomicPtr, AtomicU32, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::platform::{MODELLED, SPEC, prefetch};
use crate::sched::core::runtime::Shared;
use crate::sched::goroutine::body::{Payload, Vtable};
use crate::sched::goroutine::join_word::{End, JoinWord};
use crate::sched::goroutine::state::StateWord;
use crate::structures::local_values::LocalValues;
use crate::structures::{Link, Linked};
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

    /// It will be readied soon: fetches what that touches.
    #[inline]
    pub(crate) fn prefetch(self) {
        prefetch(&self.word);
        prefetch(&self.link);
    }

    /// It is the first in the ring of the calling worker: fetches its stack, and the cell behind it, whose
    /// turn for this comes next.
    ///
    /// # Safety
    /// It has begun, and nobody else runs it.
    #[inline]
    pub(crate) unsafe fn prefetch_next(self) {
        // SAFETY: the caller's.
        if let Some(fiber) = unsafe { &*self.own.fiber.get() } {
            fiber.prefetch();
        }
        let behind = self.link.get();
        prefetch(behind);
        prefetch(behind.cast::<u8>().wrapping_add(FIBER));
    }
}

impl std::ops::Deref for Ptr {
    type Target = Goroutine;

    fn deref(&self) -> &Goroutine {
        // SAFETY: cells are type-stable, and whoever holds a `Ptr` keeps the runtime alive. [G1]
        unsafe { self.0.as_ref() }
    }
}

/// Where in a cell the fiber is.
const FIBER: usize = std::mem::offset_of!(Goroutine, own.fiber);

/// `home` of a goroutine that any worker may run.
const STEALABLE: u32 = u32::MAX;

/// The cell, laid out as written: a cache line for its wakers, one for what it runs, one for its worker.
#[repr(C, align(64))]
pub(crate) struct Goroutine {
    pub(crate) word: StateWord,
    link: Link<Goroutine>,
    /// What its join handle waits for.
    pub(crate) join: JoinWord<WakeHandle>,
    /// Where it last suspended.
    place: AtomicPtr<Location<'static>>,
    pub(crate) shared: *const Shared,
    pub(crate) body: UnsafeCell<Payload>,
    vtable: UnsafeCell<&'static Vtable>,
    name: UnsafeCell<Option<Box<Name>>>,
    scope: UnsafeCell<Option<ScopeToken>>,
    /// Touched by its worker alone.
    pub(crate) own: OwnerState,
    refs: AtomicU32,
    /// The worker it must run on. Written by the worker that runs it; read by those that unparked it.
    home: AtomicU32,
}

// Three cache lines: a million at once are a matter of memory (docs/performance.md).
const _: () =
    assert!(MODELLED || cfg!(feature = "portable-switch") || size_of::<Goroutine>() <= 192);

/// Boxed once more, as few have one: a word in the cell instead of two.
struct Name(Box<str>);

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

impl Goroutine {
    /// An unused cell of `shared`'s pool.
    pub(crate) fn vacant(shared: *const Shared) -> Self {
        Goroutine {
            word: StateWord::new(),
            refs: AtomicU32::new(0),
            link: Link::new(),
            home: AtomicU32::new(STEALABLE),
            join: JoinWord::vacant(),
            place: AtomicPtr::new(ptr::null_mut()),
            shared,
            body: UnsafeCell::new(Payload::new()),
            vtable: UnsafeCell::new(&crate::sched::goroutine::body::NOTHING),
            name: UnsafeCell::new(None),
            scope: UnsafeCell::new(None),
            own: OwnerState {
                fiber: std::cell::UnsafeCell::new(None),
                suspender: std::cell::Cell::new(ptr::null()),
                pins: std::cell::Cell::new(0),
                no_suspend: std::cell::Cell::new(0),
                sections: std::cell::Cell::new(0),
                hint: std::cell::Cell::new(BlockingHint::Unknown),
                gave_up_for_nothing: std::cell::Cell::new(false),
                stack: std::cell::Cell::new(StackKind::PLAIN),
                wired: std::cell::Cell::new(0),
                locals: std::cell::Cell::new(ptr::null_mut()),
            },
        }
    }

    /// Makes a vacant cell a goroutine with two references: its own, and its join handle's.
    ///
    /// # Safety
    /// The caller has just taken the cell from the pool, and has put the body there.
    pub(crate) unsafe fn init(&self, id: u64, attributes: Attributes, vtable: &'static Vtable) {
        self.word.reset(id);
        // Relaxed, here and below: the cell is the caller's; the queue that takes it publishes.
        self.refs.store(2, Ordering::Relaxed);
        self.home.store(STEALABLE, Ordering::Relaxed);
        // SAFETY: the cell is the caller's, and its last goroutine has ended.
        unsafe { self.join.reset() };
        self.place.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the cell is the caller's.
        self.vtable.with_mut(|v| unsafe { *v = vtable });
        if let Some(own) = attributes.name {
            // SAFETY: as above; the last goroutine's name was dropped when it was recycled.
            self.name.with_mut(|name| unsafe { *name = Some(Box::new(Name(own))) });
        }
        if attributes.scope.is_some() {
            // SAFETY: as above; the last goroutine took its group along.
            self.scope.with_mut(|scope| unsafe { *scope = attributes.scope });
        }
        self.own.pins.set(0);
        self.own.no_suspend.set(0);
        self.own.sections.set(0);
        self.own.hint.set(BlockingHint::Unknown);
        if let Some(locals) = attributes.locals {
            self.own.locals.set(Box::into_raw(locals));
        }
    }

    pub(crate) fn id(&self) -> u64 {
        self.word.id()
    }

    pub(crate) fn name(&self) -> Option<&str> {
        // SAFETY: constant while there is a reference.
        self.name.with(|name| unsafe { (*name).as_deref() }).map(|name| &*name.0)
    }

    /// Tells the specification what happens to it.
    #[inline(always)]
    pub(crate) fn note(&self, event: Event) {
        // SAFETY: a cell that is out keeps its runtime's memory.
        unsafe { &*self.shared }.idle.spec.note(self.key(), event);
    }

    /// Tells the specification that somebody gives it a permit, until the answer goes.
    #[inline(always)]
    pub(crate) fn unparking(&self) -> Acting<'_> {
        // SAFETY: as above.
        unsafe { &*self.shared }.idle.spec.unparking(self.key())
    }

    /// What the specification knows it by.
    pub(crate) fn key(&self) -> crate::observe::specification::Key {
        ptr::from_ref(self) as usize
    }

    /// The scope that waits for it, to be told once.
    pub(crate) fn take_scope(&self) -> Option<ScopeToken> {
        // SAFETY: asked once, by the goroutine itself or by who drops its closure.
        self.scope.with_mut(|scope| unsafe { (*scope).take() })
    }

    pub(crate) fn vtable(&self) -> &'static Vtable {
        // SAFETY: constant while there is a reference.
        self.vtable.with(|vtable| unsafe { *vtable })
    }

    /// The worker it must run on, if it has begun and is anchored or pinned. [A1]
    #[inline]
    pub(crate) fn bound_to(&self) -> Option<u32> {
        // Relaxed: written before it parked; the state word's Acquire brought it here.
        let home = self.home.load(Ordering::Relaxed);
        (home != STEALABLE).then_some(home)
    }

    pub(crate) fn bind_to(&self, home: Option<u32>) {
        self.note(Event::Home(home));
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

    /// The body has left its result. [G2]
    pub(crate) fn complete(&self) -> Completed {
        tell(self.join.complete())
    }

    /// The runtime has ended and this goroutine has not. Returns the joiner, which the caller must wake. One
    /// whose result is there is in a destructor, or a waker, that comes after the body: its joiner keeps that
    /// result.
    pub(crate) fn abandon(&self) -> Option<WakeHandle> {
        if !self.join.is_pending() {
            return None;
        }
        self.join.abandon().joiner
    }

    /// Whether it has been spawned and has not ended. For when no worker is inside the runtime.
    pub(crate) fn is_alive(&self) -> bool {
        // Relaxed: what workers did, their claims and the roster's lock have brought here. One in user
        // code may end just now: either answer will do, and until it enters the runtime it keeps the
        // reference that keeps its name.
        self.refs.load(Ordering::Relaxed) > 0 && (self.join.is_pending() || self.has_begun())
    }

    pub(crate) fn add_reference(&self) {
        // Relaxed: a reference is made from another one.
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        if before == 0 || before > u32::MAX / 2 {
            broken("add_reference", "between 1 and 2^31 references", &before.to_string());
        }
    }

    /// Gives one reference up; true if it was the last. [G1]
    #[must_use]
    pub(crate) fn drop_reference(&self) -> bool {
        // Acquire: pairs with the Release below: everybody else's use of the cell comes before its reuse.
        // Where one is left it is ours, so nobody can make another, or drop one.
        if self.refs.load(Ordering::Acquire) == 1 {
            // Relaxed: whoever takes the cell next gets it from us.
            self.refs.store(0, Ordering::Relaxed);
            return true;
        }
        // Release: our use of the cell comes before its reuse. Acquire: so does everybody else's.
        let before = self.refs.fetch_sub(1, Ordering::AcqRel);
        if before == 0 {
            broken("drop_reference", "a reference", "none");
        }
        before == 1 || before == 2 && fault("cell used twice")
    }

    /// Its own values, to be reached by itself alone. [Z2]
    pub(crate) fn locals(&self) -> &LocalValues {
        if self.own.locals.get().is_null() {
            self.own.locals.set(Box::into_raw(Box::new(LocalValues::new())));
        }
        // SAFETY: made just now or before, and freed by `end_locals`, when nobody uses it any more.
        unsafe { &*self.own.locals.get() }
    }

    /// Whether it has values of its own, or had some that are gone.
    #[inline]
    pub(crate) fn has_locals(&self) -> bool {
        !self.own.locals.get().is_null()
    }

    /// Destroys its own values, those included that are made meanwhile. Called by itself when its body has
    /// returned, and once more when all foreign code on its stack has; or by whoever drops a body that has
    /// not begun. Never unwinds. [Z3] [Z5]
    pub(crate) fn end_locals(&self) {
        let locals = self.own.locals.get();
        if !locals.is_null() {
            // SAFETY: the body, which used them, has returned, or will not run.
            unsafe { (*locals).destroy() };
            self.own.locals.set(ptr::null_mut());
            // SAFETY: made by `Box::into_raw`, and nobody finds it any more.
            drop(unsafe { Box::from_raw(locals) });
        }
    }

    /// Forgets what the last goroutine left. [G1]
    ///
    /// # Safety
    /// The last reference is gone, and the caller was the one that dropped it.
    pub(crate) unsafe fn recycle(&self) {
        // The next goroutine would find them, perhaps on another kernel thread. [Z5]
        if (SPEC || cfg!(debug_assertions)) && self.has_locals() {
            broken("recycle", "no goroutine-local values", "those of the last goroutine");
        }
        // SAFETY: nobody else has a reference.
        self.name.with_mut(|name| drop(unsafe { (*name).take() }));
    }
}

/// What a goroutine learns when its result is there.
#[must_use]
pub(crate) struct Completed {
    /// Nobody will ever ask for the result: the caller drops it.
    pub(crate) unclaimed: bool,
    /// The joiner was a task, whose waker is the user's code, and has run.
    pub(crate) ran_waker: bool,
}

/// Wakes the joiner.
fn tell(end: End<WakeHandle>) -> Completed {
    let ran_waker = end.joiner.as_ref().is_some_and(WakeHandle::is_task);
    if let Some(joiner) = end.joiner {
        // SAFETY: whoever ends it keeps its runtime in place, and a joiner known by its id is of the same one.
        // mutant: drop wake of the joiner
        unsafe { joiner.wake() };
    }
    Completed { unclaimed: end.unclaimed, ran_waker }
}
