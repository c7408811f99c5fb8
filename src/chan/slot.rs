//! Slot: where a value passes between one who waits and the one who fires it. It lies in the waiter's
//! frame, and the waiter's node leads to it. Whose it is, the wait's state says. [X1] [X2]
//! Between a select that was chosen to send and the receiver that it was chosen for, both slots are touched
//! under the channel's lock alone, as either may leave. [V10]
//!
//! | content | of | set by | means |
//! |---|---|---|---|
//! | `Nothing` | receiver | itself | waits; when fired: the channel is closed |
//! | `Value` | receiver | sender | handed over |
//! | `Value` | sender | itself | waits; when fired: the channel is closed |
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
use std::mem;

pub(crate) enum Content<T> {
    Nothing,
    Value(T),
    Unmade,
    Reserved,
    Taker(Claim),
    Owed(Debtor<T>),
    Left,
    Again,
}

/// Unsafe to use, since two sides do: see the file's head.
pub(crate) struct Slot<T>(UnsafeCell<Content<T>>);

impl<T> Slot<T> {
    pub(crate) fn new(content: Content<T>) -> Self {
        Slot(UnsafeCell::new(content))
    }

    /// As a node carries it.
    pub(crate) fn packet(&self) -> *mut () {
        std::ptr::from_ref(self).cast_mut().cast()
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
        self.0.with_mut(|own| mem::replace(unsafe { &mut *own }, content))
    }

    /// # Safety
    /// The slot is the caller's.
    pub(crate) unsafe fn take(&self) -> Content<T> {
        // SAFETY: the caller's promise.
        unsafe { self.replace(Content::Nothing) }
    }
}
