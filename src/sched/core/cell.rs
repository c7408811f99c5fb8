//! The cell that represents a goroutine, from its spawn until its last handle is dropped.
//!
//! - Spawn: take a cell from the pool, write the closure into the cell, queue the cell.
//! - Run: the result replaces the closure, in the same memory.
//! - End: publish the result through the join word, and wake the joiner: [G2], [G5].
//!
//! [G1] A cell is recycled after its goroutine has ended and its last handle was dropped. Cells are
//! type-stable: their memory remains a cell's memory until the runtime and all handles are gone.
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

/// A pointer to a cell. Its goroutine is alive, or there is still a reference to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Ptr(NonNull<Goroutine>);

// SAFETY: the shared fields of the cell that a `Ptr` points to are Sync. The owner's fields pass to the
// next owner through the run queues, which synchronize both owners.
unsafe impl Send for Ptr {}
// SAFETY: a shared `Ptr` gives access to the same fields, under the same rules.
unsafe impl Sync for Ptr {}

impl Ptr {
    pub(crate) fn from_raw(raw: NonNull<Goroutine>) -> Self {
        Ptr(raw)
    }

    pub(crate) fn raw(self) -> NonNull<Goroutine> {
        self.0
    }

    /// Fetches what an unpark of the goroutine will touch. Called when an unpark is expected soon.
    #[inline]
    pub(crate) fn prefetch(self) {
        prefetch(&self.word);
        prefetch(&self.link);
    }

    /// Fetches this goroutine's stack, and the cell behind it in the queue, which is fetched next in the
    /// same way. Called for the first goroutine in the bound queue of the calling worker.
    ///
    /// # Safety
    /// The goroutine must have begun, and no other thread may run it.
    #[inline]
    pub(crate) unsafe fn prefetch_next(self) {
        // SAFETY: no other thread runs the goroutine (the caller's contract), so none writes `fiber`.
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
        // SAFETY: the pointer in a `Ptr` leads to a cell. Cells are type-stable, and each holder of a `Ptr`
        // keeps the runtime's memory allocated.
        // [G1]
        unsafe { self.0.as_ref() }
    }
}

/// The offset of the fiber in a cell.
const FIBER: usize = std::mem::offset_of!(Goroutine, own.fiber);

/// The value of `home` for a goroutine that any worker may run.
const STEALABLE: u32 = u32::MAX;

/// The cell of a goroutine. Its fields are laid out in the written order: one cache line for its wakers,
/// one for what it runs, and one for its worker.
#[repr(C, align(64))]
pub(crate) struct Goroutine {
    pub(crate) word: StateWord,
    link: Link<Goroutine>,
    /// The join handle waits on this word.
    pub(crate) join: JoinWord<WakeHandle>,
    /// The source location at which the goroutine last suspended.
    place: AtomicPtr<Location<'static>>,
    pub(crate) shared: *const Shared,
    pub(crate) body: UnsafeCell<Payload>,
    vtable: UnsafeCell<&'static Vtable>,
    name: UnsafeCell<Option<Box<Name>>>,
    scope: UnsafeCell<Option<ScopeToken>>,
    /// Touched only by the worker that runs the goroutine, or by the goroutine itself.
    pub(crate) own: OwnerState,
    refs: AtomicU32,
    /// The worker that the goroutine is bound to. Written by the worker that runs the goroutine, and read
    /// by threads that unparked it.
    home: AtomicU32,
}

// A cell takes three cache lines, because memory limits how many goroutines a program can have
// (docs/performance.md).
const _: () =
    assert!(MODELLED || cfg!(feature = "portable-switch") || size_of::<Goroutine>() <= 192);

/// Boxed twice, because few goroutines have a name: the field then takes one word of the cell instead of
/// two.
struct Name(Box<str>);

// SAFETY: only the one worker that runs the goroutine touches `own` [S1]. The join word and the reference
// count say which side may touch the cells that they guard [G2]. The other fields are atomic.
unsafe impl Sync for Goroutine {}
// SAFETY: no field depends on the thread, and the rules above say which thread may touch a field.
unsafe impl Send for Goroutine {}

// SAFETY: a goroutine is in at most one run queue, or its cell is in the pool's list of free cells.
unsafe impl Linked for Goroutine {
    fn link(&self) -> &Link<Goroutine> {
        &self.link
    }
}

impl Goroutine {
    /// Returns an unused cell for the pool of `shared`.
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

    /// Makes a vacant cell a goroutine with two references. The goroutine holds one, and its join handle
    /// holds the other.
    ///
    /// # Safety
    /// The caller must have taken the cell from the pool just now, and must have written the body into it.
    pub(crate) unsafe fn init(&self, id: u64, attributes: Attributes, vtable: &'static Vtable) {
        self.word.reset(id);
        // Relaxed, here and below: only the caller can reach the cell. The queue that takes the cell
        // publishes it.
        self.refs.store(2, Ordering::Relaxed);
        self.home.store(STEALABLE, Ordering::Relaxed);
        // SAFETY: only the caller can reach the cell, and its last goroutine has ended.
        unsafe { self.join.reset() };
        self.place.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: the caller guarantees that the cell comes from the pool, so no other thread accesses
        // `vtable`.
        self.vtable.with_mut(|v| unsafe { *v = vtable });
        if let Some(own) = attributes.name {
            // SAFETY: no other thread accesses `name`, because the cell comes from the pool. `recycle` has
            // dropped the last goroutine's name.
            self.name.with_mut(|name| unsafe { *name = Some(Box::new(Name(own))) });
        }
        if attributes.scope.is_some() {
            // SAFETY: no other thread accesses `scope`, because the cell comes from the pool. The last
            // goroutine has taken its scope token.
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
        // SAFETY: the caller holds a reference to the goroutine, and `name` is not written while a
        // reference is held.
        self.name.with(|name| unsafe { (*name).as_deref() }).map(|name| &*name.0)
    }

    /// Reports an event of this goroutine to the specification.
    #[inline(always)]
    pub(crate) fn note(&self, event: Event) {
        // SAFETY: `shared` points to the cell's runtime, which a cell in use keeps allocated.
        unsafe { &*self.shared }.idle.spec.note(self.key(), event);
    }

    /// Reports to the specification that a thread gives this goroutine a permit, until the returned value
    /// is dropped.
    #[inline(always)]
    pub(crate) fn unparking(&self) -> Acting<'_> {
        // SAFETY: `shared` points to the runtime of this cell, which a cell in use keeps allocated.
        unsafe { &*self.shared }.idle.spec.unparking(self.key())
    }

    /// Returns the key by which the specification knows this goroutine.
    pub(crate) fn key(&self) -> crate::observe::specification::Key {
        ptr::from_ref(self) as usize
    }

    /// Takes the token of the scope that waits for this goroutine. Returns it at most once.
    pub(crate) fn take_scope(&self) -> Option<ScopeToken> {
        // SAFETY: only the goroutine itself, or the thread that drops its closure, calls this function. So
        // no other thread accesses `scope`.
        self.scope.with_mut(|scope| unsafe { (*scope).take() })
    }

    pub(crate) fn vtable(&self) -> &'static Vtable {
        // SAFETY: the caller holds a reference to the goroutine, and `vtable` is not written while a
        // reference is held.
        self.vtable.with(|vtable| unsafe { *vtable })
    }

    /// Returns the worker that the goroutine is bound to, if it has begun and is anchored or pinned. [A1]
    #[inline]
    pub(crate) fn bound_to(&self) -> Option<u32> {
        // Relaxed: the write came before the park. The Acquire of the state word makes it visible here.
        let home = self.home.load(Ordering::Relaxed);
        (home != STEALABLE).then_some(home)
    }

    pub(crate) fn bind_to(&self, home: Option<u32>) {
        self.note(Event::Home(home));
        // Relaxed: see `bound_to`.
        self.home.store(home.unwrap_or(STEALABLE), Ordering::Relaxed);
    }

    pub(crate) fn place(&self) -> Option<&'static Location<'static>> {
        // Relaxed: the value is only reported.
        // SAFETY: the pointer is null, or comes from a `&'static Location`.
        unsafe { self.place.load(Ordering::Relaxed).as_ref() }
    }

    pub(crate) fn set_place(&self, place: &'static Location<'static>) {
        // Relaxed: the value is only reported.
        self.place.store(ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
    }

    /// Returns whether the goroutine has begun to run and has a stack. May be called by its worker, or when
    /// no worker runs.
    pub(crate) fn has_begun(&self) -> bool {
        // SAFETY: the caller is this goroutine's worker, or no worker runs. So no other thread accesses
        // `fiber`.
        unsafe { (*self.own.fiber.get()).is_some() }
    }

    /// Publishes the result that the body has left, and wakes the joiner. [G2]
    pub(crate) fn complete(&self) -> Completed {
        tell(self.join.complete())
    }

    /// Ends the join word of a goroutine that did not end before its runtime. Returns the joiner, which the
    /// caller must wake. Returns `None` if the result is already there: such a goroutine is in a destructor
    /// or a waker that runs after the body, and its joiner keeps the result.
    pub(crate) fn abandon(&self) -> Option<WakeHandle> {
        if !self.join.is_pending() {
            return None;
        }
        self.join.abandon().joiner
    }

    /// Returns whether the goroutine has been spawned and has not ended. Must be called when no worker is
    /// inside the runtime.
    pub(crate) fn is_alive(&self) -> bool {
        // Relaxed: the workers' retake gates and the lock of the idle-worker registry made their writes
        // visible here. A goroutine in user code may end just now. Then both results are correct, and its
        // name stays valid, because the goroutine keeps its reference until it enters the runtime.
        self.refs.load(Ordering::Relaxed) > 0 && (self.join.is_pending() || self.has_begun())
    }

    pub(crate) fn add_reference(&self) {
        // Relaxed: a new reference is made from an existing one.
        let before = self.refs.fetch_add(1, Ordering::Relaxed);
        if before == 0 || before > u32::MAX / 2 {
            broken("add_reference", "between 1 and 2^31 references", &before.to_string());
        }
    }

    /// Drops one reference. Returns true if it was the last. [G1]
    #[must_use]
    pub(crate) fn drop_reference(&self) -> bool {
        // Acquire: pairs with the Release below, so that every other use of the cell comes before its
        // reuse. If the count is 1, that reference is the caller's. So no other thread can add or drop a
        // reference.
        if self.refs.load(Ordering::Acquire) == 1 {
            // Relaxed: the next user of the cell gets it from this thread.
            self.refs.store(0, Ordering::Relaxed);
            return true;
        }
        // Release: this thread's use of the cell comes before its reuse. Acquire: every other use comes
        // before it, too.
        let before = self.refs.fetch_sub(1, Ordering::AcqRel);
        if before == 0 {
            broken("drop_reference", "a reference", "none");
        }
        before == 1 || before == 2 && fault("cell used twice")
    }

    /// Returns the goroutine-local values. Only the goroutine itself may call this. [Z2]
    pub(crate) fn locals(&self) -> &LocalValues {
        if self.own.locals.get().is_null() {
            self.own.locals.set(Box::into_raw(Box::new(LocalValues::new())));
        }
        // SAFETY: `locals` points to a box that this function made, now or in an earlier call. Only
        // `end_locals` frees the box, when no code uses it any more.
        unsafe { &*self.own.locals.get() }
    }

    /// Returns whether the goroutine has local values. Also returns true if the destructors of all values
    /// have run.
    #[inline]
    pub(crate) fn has_locals(&self) -> bool {
        !self.own.locals.get().is_null()
    }

    /// Destroys the goroutine-local values, including values that are made during the call. Never unwinds.
    /// The goroutine calls it after its body has returned, and again after all foreign code on its stack
    /// has returned. A thread that drops a body which has not begun calls it, too. [Z3] [Z5]
    pub(crate) fn end_locals(&self) {
        let locals = self.own.locals.get();
        if !locals.is_null() {
            // SAFETY: `locals` is not null, so it points to the values. The body, which used the values,
            // has returned or will never run.
            unsafe { (*locals).destroy() };
            self.own.locals.set(ptr::null_mut());
            // SAFETY: `locals` was returned by `Box::into_raw`, and the cell no longer contains the
            // pointer, so no other code frees it.
            drop(unsafe { Box::from_raw(locals) });
        }
    }

    /// Removes what the last goroutine left in the cell. [G1]
    ///
    /// # Safety
    /// The last reference must be gone, and the caller must be the thread that dropped it.
    pub(crate) unsafe fn recycle(&self) {
        // Otherwise the next goroutine would find the values, perhaps on another kernel thread. [Z5]
        if (SPEC || cfg!(debug_assertions)) && self.has_locals() {
            broken("recycle", "no goroutine-local values", "those of the last goroutine");
        }
        // SAFETY: the last reference is gone, so no other thread accesses `name`.
        self.name.with_mut(|name| drop(unsafe { (*name).take() }));
    }
}

/// Tells a goroutine what happened when it published its result.
#[must_use]
pub(crate) struct Completed {
    /// No thread will ask for the result. The caller must drop it.
    pub(crate) unclaimed: bool,
    /// The joiner was a task. Its waker, which is the user's code, has run.
    pub(crate) ran_waker: bool,
}

/// Wakes the joiner of a goroutine that has ended.
fn tell(end: End<WakeHandle>) -> Completed {
    let ran_waker = end.joiner.as_ref().is_some_and(WakeHandle::is_task);
    if let Some(joiner) = end.joiner {
        // SAFETY: the caller keeps the runtime allocated while it ends a goroutine. A joiner that is known
        // by its id belongs to the same runtime.
        // mutant: drop wake of the joiner
        unsafe { joiner.wake() };
    }
    Completed { unclaimed: end.unclaimed, ran_waker }
}
