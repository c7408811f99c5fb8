//! Locals: the values that one goroutine, or one plain thread, keeps for itself. Each is made at its
//! first use, stays where it is, and is destroyed at the end: the last made first.
//! reach: look for the key; else reserve it, make the value, put it there.
//! destroy: mark the last that is alive as gone, drop it; until none is alive.
//! [Z2] A value is reached only by the goroutine (or thread) whose it is, and only while it is in place.
//! [Z3] Each value is dropped once, at the end of its goroutine or thread, and is not made again by what
//! is dropped then.
//! Checked by: proptests/runtime/local.rs, verification/loom/local.rs.

use crate::platform::foreign::call_or_abort;
use crate::platform::{thread_local, tls};
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ptr::NonNull;
use std::rc::Rc;

/// Says which value: the address of a static.
pub type Key = NonNull<()>;

/// Copies a value for a goroutine that inherits it.
pub type Inherit = fn(&dyn Any) -> Box<dyn Any + Send>;

/// See the module.
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
    /// Its first value is being computed.
    Making,
    /// A box's.
    Alive(NonNull<dyn Any>),
    Gone,
}

/// Why a value can't be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// It has been destroyed: the goroutine, or thread, ends.
    Gone,
    /// Computing its first value asks for it.
    Making,
    /// Here values belong to another: within `blocking`.
    Elsewhere,
}

thread_local! {
    /// Those of a plain thread.
    static OF_THREAD: Rc<LocalValues> = Rc::new(LocalValues::new());
}

/// The calling thread's own values; `None` while its thread-locals are torn down.
#[inline(never)]
pub fn of_thread() -> Option<Rc<LocalValues>> {
    tls::opaque();
    OF_THREAD.try_with(Rc::clone).ok()
}

impl LocalValues {
    /// No values.
    pub fn new() -> Self {
        LocalValues::default()
    }

    /// A goroutine begins, on a thread of its own, with what it inherits.
    ///
    /// # Safety
    /// Nothing that `reach` has returned is used any more: the values that were here are dropped.
    pub unsafe fn adopt(&self, inherited: LocalValues) {
        self.slots.swap(&inherited.slots);
    }

    /// Calls `f` with `others` in place of these values, which keep their places; then destroys what
    /// `f` has left.
    pub fn lend<R>(&self, others: LocalValues, f: impl FnOnce() -> R) -> R {
        struct Back<'a>(&'a LocalValues, LocalValues);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                // SAFETY: `f` has returned, so nobody refers to one of its values any more.
                unsafe { self.0.destroy() };
                self.0.slots.swap(&self.1.slots);
            }
        }
        self.slots.swap(&others.slots);
        let _back = Back(self, others);
        f()
    }

    /// Refuses everything from now on: this thread works for others.
    pub fn shut(&self) {
        self.shut.set(true);
    }

    /// Whether it was told so.
    pub fn is_shut(&self) -> bool {
        self.shut.get()
    }

    /// The value of `key`, made by `make` if there is none. It stays valid until `destroy`. [Z2]
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
        // Made last: those that its making made come before it, and go after it.
        let at = slots.iter().position(|slot| slot.key == key).expect("it was reserved");
        let mut slot = slots.remove(at);
        slot.state = State::Alive(value);
        slots.push(slot);
        value
    }

    /// Copies of the values that are to be inherited, if there are any. Calls their `clone`.
    pub fn inherited(&self) -> Option<Box<LocalValues>> {
        let mut copies: Option<Box<LocalValues>> = None;
        let mut at = 0;
        loop {
            // Not borrowed while foreign code runs.
            let slot = self.slots.borrow().get(at).map(|slot| (slot.key, slot.state, slot.inherit));
            let Some((key, state, inherit)) = slot else { return copies };
            at += 1;
            let (State::Alive(value), Some(inherit)) = (state, inherit) else { continue };
            // SAFETY: alive, and ours. [Z2]
            let copy: Box<dyn Any> = inherit(unsafe { value.as_ref() });
            let value = NonNull::from(Box::leak(copy));
            let slot = Slot { key, state: State::Alive(value), inherit: Some(inherit) };
            copies.get_or_insert_default().slots.borrow_mut().push(slot);
        }
    }

    /// Drops all values, those included that are made meanwhile. Never unwinds: a destructor that panics
    /// aborts the process, since the values that are left may be what others rely on. [Z3] [Q2]
    ///
    /// # Safety
    /// Nothing that `reach` has returned is used any more, but by what is dropped here.
    pub unsafe fn destroy(&self) {
        while let Some(value) = self.take_last() {
            // SAFETY: a box's, and taken out once; the caller's promise.
            let value = unsafe { Box::from_raw(value.as_ptr()) };
            call_or_abort("a goroutine-local value", || drop(value));
        }
    }

    /// As [`destroy`](Self::destroy); what is made afterwards is made anew.
    ///
    /// # Safety
    /// As [`destroy`](Self::destroy).
    pub unsafe fn end(&self) {
        // SAFETY: the caller's promise.
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

/// Those that were never used: a goroutine's that has not begun.
impl Drop for LocalValues {
    fn drop(&mut self) {
        // SAFETY: nobody refers to it.
        unsafe { self.destroy() };
    }
}

/// Takes the reservation back where making the value panics.
struct Reserved<'a> {
    locals: &'a LocalValues,
    key: Key,
}

impl Drop for Reserved<'_> {
    fn drop(&mut self) {
        self.locals.slots.borrow_mut().retain(|slot| slot.key != self.key);
    }
}
