//! Locals (local values): the values that one goroutine, or one plain thread, keeps for itself. Each value is made at
//! its first use, does not move, and is destroyed at the end. Values are destroyed in the reverse order of their
//! making.
//! reach: look for the key; if it is not found, reserve it, make the value, store the value.
//! destroy: mark the last value that is alive as gone, drop it; repeat until no value is alive.
//! [Z2] Only the goroutine (or thread) that owns a value reaches it, and only from its making to its destruction.
//! [Z3] Each value is dropped once, at the end of its goroutine or thread, and is not made again by what is
//!      dropped then.
//! Checked by: proptests/runtime/local.rs, verification/loom/local.rs.

use crate::platform::foreign::call_or_abort;
use crate::platform::{thread_local, tls};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

/// Identifies a value by the address of a static.
pub type Key = NonNull<()>;

/// Copies a value for a goroutine that inherits it.
pub type Inherit = fn(&dyn Any) -> Box<dyn Any + Send>;

/// The values of one goroutine or thread; see the module's documentation.
#[derive(Default)]
pub struct LocalValues {
    slots: RefCell<Vec<Slot>>,
    shut: Cell<bool>,
}

struct Slot {
    key: Key,
    state: State,
    inherit: Option<Inherit>,
}

#[derive(Clone, Copy)]
enum State {
    /// The first value is being computed.
    Making,
    /// The value, which came from a box.
    Alive(NonNull<dyn Any>),
    Gone,
}

/// Why a value can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The value has been destroyed, because the goroutine or thread ends.
    Gone,
    /// The computation of the first value has asked for that same value.
    Making,
    /// The caller is within `blocking`, where the thread's values may belong to another goroutine.
    Elsewhere,
}

thread_local! {
    /// The values of a plain thread.
    static OF_THREAD: Rc<LocalValues> = Rc::new(LocalValues::new());
}

/// Returns the calling thread's own values, or `None` while its thread-locals are being destroyed.
#[inline(never)]
pub fn of_thread() -> Option<Rc<LocalValues>> {
    tls::opaque();
    OF_THREAD.try_with(Rc::clone).ok()
}

impl LocalValues {
    /// Returns an empty set of values.
    pub fn new() -> Self {
        LocalValues::default()
    }

    /// Begins a goroutine, on a thread of its own, with the values that it inherits.
    ///
    /// # Safety
    /// The caller must ensure that no value that `reach` has returned is used any more, because the values that were
    /// here are dropped.
    pub unsafe fn adopt(&self, inherited: LocalValues) {
        self.slots.swap(&inherited.slots);
    }

    /// Calls `f` with `others` in place of these values, which stay where they are. Then destroys the values
    /// that `f` has left.
    pub fn lend<R>(&self, others: LocalValues, f: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a LocalValues, LocalValues);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                // SAFETY: `f` has returned, so no reference to a value that `reach` returned within `f` is used any
                // more.
                unsafe { self.0.destroy() };
                self.0.slots.swap(&self.1.slots);
            }
        }
        self.slots.swap(&others.slots);
        let _back = Back(self, others);
        f()
    }

    /// Refuses all access from now on, because this thread works for other goroutines.
    pub fn shut(&self) {
        self.shut.set(true);
    }

    /// Returns whether access is refused from now on.
    pub fn is_shut(&self) -> bool {
        self.shut.get()
    }

    /// Returns the value of `key`, made by `make` if there is none. The value stays valid until `destroy`. [Z2]
    pub fn reach(
        &self,
        key: Key,
        inherit: Option<Inherit>,
        make: impl FnOnce() -> Box<dyn Any>,
    ) -> Result<NonNull<dyn Any>, Unreachable> {
        if self.shut.get() {
            return Err(Unreachable::Elsewhere);
        }
        match self.state(key) {
            Some(State::Alive(value)) => return Ok(value),
            Some(State::Making) => return Err(Unreachable::Making),
            Some(State::Gone) => return Err(Unreachable::Gone),
            None => {}
        }
        self.slots.borrow_mut().push(Slot { key, state: State::Making, inherit });
        let reserved = Reserved { locals: self, key };
        let value = make();
        std::mem::forget(reserved);
        Ok(self.put(key, value))
    }

    fn state(&self, key: Key) -> Option<State> {
        self.slots.borrow().iter().find(|slot| slot.key == key).map(|slot| slot.state)
    }

    fn put(&self, key: Key, value: Box<dyn Any>) -> NonNull<dyn Any> {
        let value = NonNull::from(Box::leak(value));
        let mut slots = self.slots.borrow_mut();
        // This value counts as made last. Values that were made while it was being made come before it, and are
        // destroyed after it.
        let at = slots.iter().position(|slot| slot.key == key).expect("it was reserved");
        let mut slot = slots.remove(at);
        slot.state = State::Alive(value);
        slots.push(slot);
        value
    }

    /// Returns copies of the values that are to be inherited, if there are any. Calls the `clone` of each such value.
    pub fn inherited(&self) -> Option<Box<LocalValues>> {
        let mut copies: Option<Box<LocalValues>> = None;
        let mut at = 0;
        loop {
            // The values are not borrowed while foreign code runs.
            let slot = self.slots.borrow().get(at).map(|slot| (slot.key, slot.state, slot.inherit));
            let Some((key, state, inherit)) = slot else { return copies };
            at += 1;
            let (State::Alive(value), Some(inherit)) = (state, inherit) else { continue };
            // SAFETY: `value` points to a value of these local values whose state is `Alive`, so it was not dropped.
            // [Z2]
            let copy: Box<dyn Any> = inherit(unsafe { value.as_ref() });
            let value = NonNull::from(Box::leak(copy));
            let slot = Slot { key, state: State::Alive(value), inherit: Some(inherit) };
            copies.get_or_insert_default().slots.borrow_mut().push(slot);
        }
    }

    /// Drops all values, including those that are made meanwhile. Never unwinds: a destructor that panics
    /// aborts the process, because other code may rely on the values that are left. [Z3] [Q2]
    ///
    /// # Safety
    /// The caller must ensure that no value that `reach` has returned is used any more, except by the destructors
    /// that run here.
    pub unsafe fn destroy(&self) {
        while let Some(value) = self.take_last() {
            // SAFETY: `value` came from a box, and `take_last` returns it only once. The caller guarantees that it is
            // not used any more.
            let value = unsafe { Box::from_raw(value.as_ptr()) };
            call_or_abort("a goroutine-local value", || drop(value));
        }
    }

    /// Works like [`destroy`](Self::destroy), but a value that is used afterwards is made again.
    ///
    /// # Safety
    /// The caller must keep the safety contract of [`destroy`](Self::destroy).
    pub unsafe fn end(&self) {
        // SAFETY: the caller guarantees what `destroy` requires.
        unsafe { self.destroy() };
        self.slots.borrow_mut().clear();
    }

    fn take_last(&self) -> Option<NonNull<dyn Any>> {
        let mut slots = self.slots.borrow_mut();
        slots.iter_mut().rev().find_map(|slot| {
            let State::Alive(value) = slot.state else { return None };
            slot.state = State::Gone;
            Some(value)
        })
    }
}

/// Drops values that were never used, for example those of a goroutine that has not begun.
impl Drop for LocalValues {
    fn drop(&mut self) {
        // SAFETY: `self` is borrowed exclusively and is being dropped, so no reference to its values is used any
        // more.
        unsafe { self.destroy() };
    }
}

/// Removes the reservation of a key if the making of its value panics.
struct Reserved<'a> {
    locals: &'a LocalValues,
    key: Key,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.locals.slots.borrow_mut().retain(|slot| slot.key != self.key);
    }
}
