//! Slot: by it a value passes between one who waits and the one who fires it. It lies in the waiter's
//! frame, and the waiter's node leads to it. Whose it is, the wait's state says. [X1] [X2]
//! Between a select that was chosen to send and the receiver that it was chosen for, both slots are touched
//! under the channel's lock alone, as either may leave. [V10]
//!
//! The value itself lies in the slot's *room*, a place that the waiter names: the argument of a send that
//! waits, the place of a receive's result. So a large value is copied once, from frame to frame.
//!
//! | content | of | set by | means |
//! |---|---|---|---|
//! | `Nothing` | receiver | itself | waits; when fired: the channel is closed |
//! | `Value` | receiver | sender | handed over: it lies in the room |
//! | `Value` | sender | itself | waits, with its value in the room; when fired: the channel is closed |
//! | `Nothing` | sender | receiver | taken, or put into the buffer |
//! | `Unmade` | select's send | itself | waits, and makes its value once it is chosen; fired: closed |
//! | `Reserved` | select's send | receiver | chosen: a place in the buffer is kept for it |
//! | `Taker` | select's send | receiver, or itself | chosen: that receiver waits for the value |
//! | `Owed` | receiver | select, or itself | claimed by the select whose slot that is, which makes the value |
//! | `Left` | select's send | receiver, a future | that receiver has gone: the value is for the next one |
//! | `Again` | anyone | its partner | nothing has happened after all: begin anew |
//!
//! One who only wants to know when it could send or receive (`Select::ready`) has no slot.

use super::channel::Channel;
use super::debt::Debtor;
use crate::platform::cell::UnsafeCell;
use crate::wait::Claim;
use std::cell::Cell;
use std::{mem, ptr};

pub(crate) enum Content<T> {
    Nothing,
    /// The waiter's side reads it from the room, where it lies once.
    Value,
    Unmade,
    Reserved,
    Taker(Claim),
    Owed(Debtor<T>),
    Left,
    Again,
}

/// Unsafe to use, since two sides do: see the file's head.
pub(crate) struct Slot<T> {
    content: UnsafeCell<Content<T>>,
    /// Set by the waiter, before its node is linked or claimed.
    room: Cell<*mut T>,
}

// SAFETY: the room is named anew by whoever uses the slot next, and what lies there is a `T`.
unsafe impl<T: Send> Send for Slot<T> {}

impl<T> Slot<T> {
    /// A slot whose value lies, or shall lie, in `room`; null if it will have none.
    pub(crate) fn new(content: Content<T>, room: *mut T) -> Self {
        Slot { content: UnsafeCell::new(content), room: Cell::new(room) }
    }

    /// As a node carries it.
    pub(crate) fn packet(&self) -> *mut () {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// For a slot that was made before its place in memory was known: names the room.
    pub(crate) fn lie_at(&self, room: *mut T) {
        self.room.set(room);
    }

    pub(crate) fn room(&self) -> *mut T {
        self.room.get()
    }

    /// The slot of a claimed waiter of `channel`, whose nodes have slots of its type of values.
    ///
    /// # Safety
    /// The claim came from a list of `channel`, and is not fired as long as the slot is used.
    pub(crate) unsafe fn of_claim<'a>(_channel: &Channel<T>, claim: &Claim) -> &'a Slot<T> {
        // SAFETY: claimed, so the waiter's frame is in place. [X1]
        unsafe { &*claim.packet().cast::<Slot<T>>() }
    }

    /// # Safety
    /// The slot is the caller's.
    pub(crate) unsafe fn replace(&self, content: Content<T>) -> Content<T> {
        // SAFETY: the caller's promise.
        self.content.with_mut(|own| mem::replace(unsafe { &mut *own }, content))
    }

    /// # Safety
    /// The slot is the caller's.
    pub(crate) unsafe fn take(&self) -> Content<T> {
        // SAFETY: the caller's promise.
        unsafe { self.replace(Content::Nothing) }
    }

    /// What is in it.
    ///
    /// # Safety
    /// The slot is the caller's, who puts nothing into it as long as the answer is used.
    pub(crate) unsafe fn content(&self) -> &Content<T> {
        // SAFETY: the caller's promise.
        self.content.with_mut(|own| unsafe { &*own })
    }

    /// Moves a value into the room.
    ///
    /// # Safety
    /// - The slot is the caller's, of a receiver, and holds nothing.
    /// - `value` points to a value, which is the slot's from here on.
    pub(crate) unsafe fn put(&self, value: *const T) {
        // SAFETY: the receiver has named a room, which is the caller's as the slot is.
        unsafe {
            ptr::copy_nonoverlapping(value, self.room(), 1);
            self.content.with_mut(|own| own.write(Content::Value));
        }
    }
}
