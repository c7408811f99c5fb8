//! Slot: the place through which a value passes between a waiter and the waker that completes its wait. The slot lies
//! in the waiter's frame, and the waiter's node points to it. The state of the wait tells which side owns the slot.
//! [X1] [X2]
//! A select that was chosen to send and the receiver that it was chosen for access each other's slots only under the
//! channel's lock, because either of them may leave. [V10]
//!
//! The value itself lies in the slot's *room*, which is a place that the waiter chooses: the argument of a waiting
//! send, or the place for the result of a receive. So a large value is copied only once, from frame to frame.
//!
//! | content | slot of | set by | meaning |
//! |---|---|---|---|
//! | `Nothing` | receiver | itself | it waits; if its wait is completed, the channel is closed |
//! | `Value` | receiver | sender | the value lies in the room |
//! | `Value` | sender | itself | it waits with its value in the room; if its wait is completed, the channel is closed |
//! | `Nothing` | sender | receiver | the value was taken, or was put into the buffer |
//! | `Unmade` | sending select | itself | it waits, and makes its value once chosen; completed: the channel is closed |
//! | `Reserved` | sending select | receiver | it was chosen, and a place in the buffer is reserved for its value |
//! | `Taker` | sending select | receiver, or itself | it was chosen, and this receiver waits for its value |
//! | `Owed` | receiver | select, or itself | it is claimed by this select, which makes the value |
//! | `Left` | sending select | receiver (a future) | its receiver has left, so the value is for the next receiver |
//! | `Again` | any | its partner | the operation did not happen: start again |
//!
//! A waiter that only asks when it could send or receive (`Select::ready`) has no slot.

use super::channel::Channel;
use super::debt::Debtor;
use crate::platform::cell::UnsafeCell;
use crate::wait::Claim;
use std::cell::Cell;
use std::{mem, ptr};

pub(crate) enum Content<T> {
    Nothing,
    /// The value lies in the room, and the waiter must read it from there exactly once.
    Value,
    Unmade,
    Reserved,
    Taker(Claim),
    Owed(Debtor<T>),
    Left,
    Again,
}

/// Access is `unsafe`, because waiter and waker share the slot. The table above tells which side owns it.
pub(crate) struct Slot<T> {
    content: UnsafeCell<Content<T>>,
    /// Set by the waiter before its node is linked or claimed.
    room: Cell<*mut T>,
}

// SAFETY: each user of the slot sets the room before it uses the slot, and what lies in the room is a `T`.
unsafe impl<T: Send> Send for Slot<T> {}

impl<T> Slot<T> {
    /// Makes a slot whose value lies, or will lie, in `room`. `room` is null if the slot will have no value.
    pub(crate) fn new(content: Content<T>, room: *mut T) -> Self {
        Slot { content: UnsafeCell::new(content), room: Cell::new(room) }
    }

    /// Returns the address of the slot in the form in which a node carries it.
    pub(crate) fn packet(&self) -> *mut () {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Sets the room of a slot that was made before its place in memory was known.
    pub(crate) fn lie_at(&self, room: *mut T) {
        self.room.set(room);
    }

    pub(crate) fn room(&self) -> *mut T {
        self.room.get()
    }

    /// Returns the slot of a claimed waiter of `channel`. The nodes of a channel point to slots of the channel's value
    /// type.
    ///
    /// # Safety
    /// The claim must have come from a list of `channel`, and must not be completed while the slot is used.
    pub(crate) unsafe fn of_claim<'a>(_channel: &Channel<T>, claim: &Claim) -> &'a Slot<T> {
        // SAFETY: the waiter is claimed, so its frame is in place. [X1]
        unsafe { &*claim.packet().cast::<Slot<T>>() }
    }

    /// # Safety
    /// The caller must own the slot.
    pub(crate) unsafe fn replace(&self, content: Content<T>) -> Content<T> {
        // SAFETY: the caller owns the slot.
        self.content.with_mut(|own| mem::replace(unsafe { &mut *own }, content))
    }

    /// # Safety
    /// The caller must own the slot.
    pub(crate) unsafe fn take(&self) -> Content<T> {
        // SAFETY: the caller owns the slot.
        unsafe { self.replace(Content::Nothing) }
    }

    /// Returns a reference to the content.
    ///
    /// # Safety
    /// The caller must own the slot, and must not change the content while the reference is used.
    pub(crate) unsafe fn content(&self) -> &Content<T> {
        // SAFETY: the caller owns the slot, and does not change it meanwhile.
        self.content.with_mut(|own| unsafe { &*own })
    }

    /// Moves a value into the room.
    ///
    /// # Safety
    /// - The caller must own the slot. It must be the slot of a receiver, and its content must be `Nothing`.
    /// - `value` must point to a value. The slot owns that value after the call.
    pub(crate) unsafe fn put(&self, value: *const T) {
        // SAFETY: the receiver has set the room, which belongs to the caller as the slot does.
        unsafe {
            ptr::copy_nonoverlapping(value, self.room(), 1);
            self.content.with_mut(|own| own.write(Content::Value));
        }
    }
}
