//! Locked: what is done under a channel's lock. The operations, and the invariants: at the head of `channel.rs`.
//! Values are passed by pointer; each function that moves one says by its answer whether it did.
//! Invariants: [V1] to [V5].
//! Checked by: verification/loom/chan.rs, verification/loom/select.rs, proptests/runtime/chan_oracle.rs.
#![allow(unsafe_code)]

use super::buffer::Buffer;
use super::channel::{Channel, Put, Take};
use super::door::ChannelState;
use super::slot::{Content, Slot};
use crate::structures::BiasedLockGuard;
use crate::wait::{Claim, Wakes};
use std::ops::DerefMut;
use std::ptr;

/// A channel whose lock is held.
pub(crate) struct Locked<'a, T, G = BiasedLockGuard<'a, ChannelState>> {
    pub(crate) gate: G,
    channel: &'a Channel<T>,
}

impl<'a, T, G: DerefMut<Target = ChannelState>> Locked<'a, T, G> {
    /// The gate is that of the channel's door.
    #[inline]
    pub(super) fn new(gate: G, channel: &'a Channel<T>) -> Self {
        Locked { gate, channel }
    }

    #[inline]
    pub(super) fn buffer<R>(&mut self, f: impl FnOnce(&mut Buffer<T>) -> R) -> R {
        // SAFETY: the lock is held, and `self` borrowed exclusively.
        self.channel.buffer.with_mut(|buffer| f(unsafe { &mut *buffer }))
    }

    /// Sends into the buffer, if there is room and nobody waits to receive: what most do that have a buffer.
    ///
    /// # Safety
    /// `value` points to a value, which is the channel's if the answer is true.
    #[inline]
    pub(crate) unsafe fn put_alone(&mut self, value: *const T) -> bool {
        // mutant: past who waits to receive: replace self.gate.receivers.is_empty() with true
        let is_alone = self.gate.receivers.is_empty();
        if self.gate.closed || !is_alone || !self.has_room() {
            return false;
        }
        // SAFETY: the caller's promise.
        self.buffer(|buffer| unsafe { buffer.push_back(value) });
        true
    }

    /// Receives from the buffer, if there is a value and nobody waits to send.
    ///
    /// # Safety
    /// `into` is a place for a value, which is the caller's if the answer is true.
    #[inline]
    pub(crate) unsafe fn take_alone(&mut self, into: *mut T) -> bool {
        // mutant: past who waits to send: replace self.gate.senders.is_empty() with true
        let is_alone = self.gate.senders.is_empty();
        // SAFETY: the caller's promise.
        is_alone && self.buffer(|buffer| unsafe { buffer.pop_front(into) })
    }

    /// Sends, or says why that can't be done now.
    ///
    /// # Safety
    /// `value` points to a value, which is the channel's if the answer is `Done`.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, value: *const T, wakes: &mut Wakes) -> Put {
        if self.gate.closed {
            return Put::Closed;
        }
        if let Some(receiver) = self.claim_receiver(wakes) {
            // SAFETY: the caller's promise.
            unsafe { self.hand(receiver, value, wakes) };
            return Put::Done;
        }
        if self.has_room() {
            // SAFETY: the caller's promise.
            self.buffer(|buffer| unsafe { buffer.push_back(value) });
            return Put::Done;
        }
        Put::Full
    }

    /// Receives, or says why that can't be done now.
    ///
    /// # Safety
    /// `into` is a place for a value, which is the caller's if the answer is `Value`.
    #[inline(always)]
    pub(crate) unsafe fn take(&mut self, into: *mut T, wakes: &mut Wakes) -> Take {
        // SAFETY: the caller's promise.
        if self.buffer(|buffer| unsafe { buffer.pop_front(into) }) {
            // mutant: drop word to who waits for room
            if !self.gate.senders.is_empty() {
                self.admit(wakes);
            }
            return Take::Value;
        }
        let nobody = self.gate.senders.is_empty();
        match if nobody { None } else { self.claim_sender(wakes) } {
            Some((sender, Content::Value)) => {
                // SAFETY: the sender's value, which is ours as its slot was; the caller's place.
                unsafe { ptr::copy_nonoverlapping(self.room_of(&sender), into, 1) };
                wakes.push(sender.complete());
                Take::Value
            }
            Some((sender, _)) => Take::Later(sender),
            None if self.gate.closed => Take::Closed,
            None => Take::Empty,
        }
    }

    /// Lets waiting senders in as far as there is room. [V2]
    fn admit(&mut self, wakes: &mut Wakes) {
        while self.has_room() {
            let Some((sender, content)) = self.claim_sender(wakes) else { return };
            match content {
                Content::Value => {
                    let value = self.room_of(&sender);
                    // SAFETY: the sender's value, which is ours as its slot was.
                    self.buffer(|buffer| unsafe { buffer.push_back(value) });
                }
                _ => {
                    self.gate.reserved += 1;
                    // SAFETY: claimed, so its slot is ours. [X1]
                    unsafe { Slot::of_claim(self.channel, &sender).replace(Content::Reserved) };
                }
            }
            wakes.push(sender.complete());
        }
    }

    /// The first sender that waits, with what was in its slot: a value, or `Unmade`.
    fn claim_sender(&mut self, wakes: &mut Wakes) -> Option<(Claim, Content<T>)> {
        loop {
            let sender = self.gate.senders.claim()?;
            if sender.packet().is_null() {
                // It only wants to know.
                wakes.push(sender.complete());
                continue;
            }
            // SAFETY: claimed, so its slot is ours. [X1]
            let content = unsafe { Slot::of_claim(self.channel, &sender).take() };
            return Some((sender, content));
        }
    }

    /// Where a claimed waiter's value lies, or shall lie.
    fn room_of(&self, claim: &Claim) -> *mut T {
        // SAFETY: claimed, so its slot is ours. [X1]
        unsafe { Slot::of_claim(self.channel, claim).room() }
    }

    /// The first receiver that waits.
    #[inline]
    pub(crate) fn claim_receiver(&mut self, wakes: &mut Wakes) -> Option<Claim> {
        loop {
            let receiver = self.gate.receivers.claim()?;
            if !receiver.packet().is_null() {
                return Some(receiver);
            }
            // It only wants to know.
            wakes.push(receiver.complete());
        }
    }

    /// Gives a claimed receiver its value.
    ///
    /// # Safety
    /// `value` points to a value, which is the receiver's from here on.
    #[inline]
    pub(crate) unsafe fn hand(&mut self, receiver: Claim, value: *const T, wakes: &mut Wakes) {
        // SAFETY: claimed, so its slot is ours [X1]; the caller's promise.
        unsafe { Slot::of_claim(self.channel, &receiver).put(value) };
        wakes.push(receiver.complete());
    }

    /// For a select: a place in the buffer, or a receiver that waits, so that a send can't fail for
    /// want of them. `Unmade`: the channel is closed. `None`: neither is there.
    pub(crate) fn reserve(&mut self, wakes: &mut Wakes) -> Option<Content<T>> {
        if self.gate.closed {
            return Some(Content::Unmade);
        }
        if self.has_room() {
            self.gate.reserved += 1;
            return Some(Content::Reserved);
        }
        self.claim_receiver(wakes).map(Content::Taker)
    }

    /// Sends into the place that was reserved, unless the channel was closed meanwhile: false.
    ///
    /// # Safety
    /// `value` points to a value, which is the channel's if the answer is true.
    pub(crate) unsafe fn fill(&mut self, value: *const T, wakes: &mut Wakes) -> bool {
        // mutant: drop end of the reservation
        self.gate.reserved -= 1;
        if self.gate.closed {
            return false;
        }
        match self.claim_receiver(wakes) {
            // SAFETY: the caller's promise.
            Some(receiver) => unsafe { self.hand(receiver, value, wakes) },
            // SAFETY: the caller's promise.
            None => self.buffer(|buffer| unsafe { buffer.push_back(value) }),
        }
        true
    }

    /// Gives up the place that was reserved.
    pub(crate) fn release(&mut self, wakes: &mut Wakes) {
        // mutant: drop end of the reservation
        self.gate.reserved -= 1;
        // mutant: drop word to who waits for room
        self.admit(wakes);
    }

    /// Takes back a value from one who can't use it: the next receiver gets it. [V4]
    ///
    /// # Safety
    /// `value` points to a value, which is the channel's from here on.
    pub(crate) unsafe fn give_back(&mut self, value: *const T, wakes: &mut Wakes) {
        match self.claim_receiver(wakes) {
            // SAFETY: the caller's promise.
            Some(receiver) => unsafe { self.hand(receiver, value, wakes) },
            // SAFETY: the caller's promise.
            None => self.buffer(|buffer| unsafe { buffer.push_front(value) }),
        }
    }

    pub(super) fn close(&mut self, wakes: &mut Wakes) -> bool {
        if std::mem::replace(&mut self.gate.closed, true) {
            return false;
        }
        while let Some(waiter) = self.gate.receivers.claim() {
            wakes.push(waiter.complete());
        }
        while let Some(waiter) = self.gate.senders.claim() {
            wakes.push(waiter.complete());
        }
        true
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.closed
    }

    pub(crate) fn len(&mut self) -> usize {
        self.buffer(|buffer| buffer.len())
    }

    #[inline]
    fn has_room(&mut self) -> bool {
        let used = self.len() + self.gate.reserved;
        used < self.channel.capacity
    }

    /// Whether a receive would not wait.
    pub(crate) fn can_take(&mut self) -> bool {
        self.gate.closed || self.len() > 0 || self.gate.senders.has_packet()
    }

    /// Whether a send would not wait.
    pub(crate) fn can_put(&mut self) -> bool {
        self.gate.closed || self.has_room() || self.gate.receivers.has_packet()
    }

    /// Whether a value can't be put into the buffer.
    pub(crate) fn is_full(&mut self) -> bool {
        !self.has_room()
    }
}
