//! Locked: the operations under a channel's lock. The head of `channel.rs` describes them and the invariants.
//! Values are passed by pointer. The result of each function that moves a value tells whether it moved the value.
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
    /// Makes a view of `channel` as locked. `gate` must be the state that is guarded by the lock of `channel`.
    #[inline]
    pub(super) fn new(gate: G, channel: &'a Channel<T>) -> Self {
        Locked { gate, channel }
    }

    #[inline]
    pub(super) fn buffer<R>(&mut self, f: impl FnOnce(&mut Buffer<T>) -> R) -> R {
        // SAFETY: the lock is held, and `self` is borrowed exclusively.
        self.channel.buffer.with_mut(|buffer| f(unsafe { &mut *buffer }))
    }

    /// Sends into the buffer if there is room and no receiver waits. This is the most frequent case for channels with
    /// a buffer. Returns whether the value was sent.
    ///
    /// # Safety
    /// `value` must point to a value. The channel owns that value if the result is true.
    #[inline]
    pub(crate) unsafe fn put_alone(&mut self, value: *const T) -> bool {
        // mutant: past who waits to receive: replace self.gate.receivers.is_empty() with true
        let is_alone = self.gate.receivers.is_empty();
        if self.gate.closed || !is_alone || !self.has_room() {
            return false;
        }
        // SAFETY: the caller promises that `value` points to a value, which the buffer now owns.
        self.buffer(|buffer| unsafe { buffer.push_back(value) });
        true
    }

    /// Receives from the buffer if there is a value and no sender waits. Returns whether a value was received.
    ///
    /// # Safety
    /// `into` must be a place for a value. The caller owns the value there if the result is true.
    #[inline]
    pub(crate) unsafe fn take_alone(&mut self, into: *mut T) -> bool {
        // mutant: past who waits to send: replace self.gate.senders.is_empty() with true
        let is_alone = self.gate.senders.is_empty();
        // SAFETY: the caller promises that `into` is a place for a value.
        is_alone && self.buffer(|buffer| unsafe { buffer.pop_front(into) })
    }

    /// Sends the value if no wait is needed; the result tells what happened.
    ///
    /// # Safety
    /// `value` must point to a value. The channel owns that value if the result is `Done`.
    #[inline(always)]
    pub(crate) unsafe fn put(&mut self, value: *const T, wakes: &mut Wakes) -> Put {
        if self.gate.closed {
            return Put::Closed;
        }
        if let Some(receiver) = self.claim_receiver(wakes) {
            // SAFETY: the caller promises that `value` points to a value, which the receiver now owns.
            unsafe { self.hand(receiver, value, wakes) };
            return Put::Done;
        }
        if self.has_room() {
            // SAFETY: the caller promises that `value` points to a value, which the buffer now owns.
            self.buffer(|buffer| unsafe { buffer.push_back(value) });
            return Put::Done;
        }
        Put::Full
    }

    /// Receives a value if no wait is needed; the result tells what happened.
    ///
    /// # Safety
    /// `into` must be a place for a value. The caller owns the value there if the result is `Value`.
    #[inline(always)]
    pub(crate) unsafe fn take(&mut self, into: *mut T, wakes: &mut Wakes) -> Take {
        // SAFETY: the caller promises that `into` is a place for a value.
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
                // SAFETY: the sender's slot was ours, so its value is ours. The caller promises that `into` is a place
                // for a value.
                unsafe { ptr::copy_nonoverlapping(self.room_of(&sender), into, 1) };
                wakes.push(sender.complete());
                Take::Value
            }
            Some((sender, _)) => Take::Later(sender),
            None if self.gate.closed => Take::Closed,
            None => Take::Empty,
        }
    }

    /// Admits waiting senders while there is room: moves their values into the buffer, or reserves places for them.
    /// [V2]
    fn admit(&mut self, wakes: &mut Wakes) {
        while self.has_room() {
            let Some((sender, content)) = self.claim_sender(wakes) else { return };
            match content {
                Content::Value => {
                    let value = self.room_of(&sender);
                    // SAFETY: the sender's slot was ours, so its value is ours.
                    self.buffer(|buffer| unsafe { buffer.push_back(value) });
                }
                _ => {
                    self.gate.reserved += 1;
                    // SAFETY: the sender is claimed by us, so its slot is ours. [X1]
                    unsafe { Slot::of_claim(self.channel, &sender).replace(Content::Reserved) };
                }
            }
            wakes.push(sender.complete());
        }
    }

    /// Claims the first waiting sender. Returns it with the content of its slot, which is a value or `Unmade`.
    fn claim_sender(&mut self, wakes: &mut Wakes) -> Option<(Claim, Content<T>)> {
        loop {
            let sender = self.gate.senders.claim()?;
            if sender.packet().is_null() {
                // This waiter only asks when it could send, so it is woken, and the search continues.
                wakes.push(sender.complete());
                continue;
            }
            // SAFETY: the sender is claimed by us, so its slot is ours. [X1]
            let content = unsafe { Slot::of_claim(self.channel, &sender).take() };
            return Some((sender, content));
        }
    }

    /// Returns the place where a claimed waiter's value lies, or will lie.
    fn room_of(&self, claim: &Claim) -> *mut T {
        // SAFETY: the waiter is claimed by us, so its slot is ours. [X1]
        unsafe { Slot::of_claim(self.channel, claim).room() }
    }

    /// Claims the first waiting receiver.
    #[inline]
    pub(crate) fn claim_receiver(&mut self, wakes: &mut Wakes) -> Option<Claim> {
        loop {
            let receiver = self.gate.receivers.claim()?;
            if !receiver.packet().is_null() {
                return Some(receiver);
            }
            // This waiter only asks when it could receive, so it is woken, and the search continues.
            wakes.push(receiver.complete());
        }
    }

    /// Moves a value to a claimed receiver, and completes its wait.
    ///
    /// # Safety
    /// `value` must point to a value. The receiver owns that value after the call.
    #[inline]
    pub(crate) unsafe fn hand(&mut self, receiver: Claim, value: *const T, wakes: &mut Wakes) {
        // SAFETY: the receiver is claimed by us, so its slot is ours [X1]. The caller promises that `value` points to
        // a value.
        unsafe { Slot::of_claim(self.channel, &receiver).put(value) };
        wakes.push(receiver.complete());
    }

    /// Prepares the send of a select. Reserves a place in the buffer or claims a waiting receiver, so that the later
    /// send has a place for its value. Returns `Unmade` if the channel is closed, and `None` if there is neither room
    /// nor a receiver.
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

    /// Sends a value into the reserved place. Returns false if the channel was closed meanwhile.
    ///
    /// # Safety
    /// `value` must point to a value. The channel owns that value if the result is true.
    pub(crate) unsafe fn fill(&mut self, value: *const T, wakes: &mut Wakes) -> bool {
        // mutant: drop end of the reservation
        self.gate.reserved -= 1;
        if self.gate.closed {
            return false;
        }
        match self.claim_receiver(wakes) {
            // SAFETY: the caller promises that `value` points to a value, which the receiver now owns.
            Some(receiver) => unsafe { self.hand(receiver, value, wakes) },
            // SAFETY: the caller promises that `value` points to a value, which the buffer now owns.
            None => self.buffer(|buffer| unsafe { buffer.push_back(value) }),
        }
        true
    }

    /// Cancels the reservation of a place.
    pub(crate) fn release(&mut self, wakes: &mut Wakes) {
        // mutant: drop end of the reservation
        self.gate.reserved -= 1;
        // mutant: drop word to who waits for room
        self.admit(wakes);
    }

    /// Takes back a value from a receiver that cannot use it. The value goes to the next receiver. [V4]
    ///
    /// # Safety
    /// `value` must point to a value. The channel owns that value after the call.
    pub(crate) unsafe fn give_back(&mut self, value: *const T, wakes: &mut Wakes) {
        match self.claim_receiver(wakes) {
            // SAFETY: the caller promises that `value` points to a value, which the receiver now owns.
            Some(receiver) => unsafe { self.hand(receiver, value, wakes) },
            // SAFETY: the caller promises that `value` points to a value, which the buffer now owns.
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

    /// Returns whether a receive would not wait.
    pub(crate) fn can_take(&mut self) -> bool {
        self.gate.closed || self.len() > 0 || self.gate.senders.has_packet()
    }

    /// Returns whether a send would not wait.
    pub(crate) fn can_put(&mut self) -> bool {
        self.gate.closed || self.has_room() || self.gate.receivers.has_packet()
    }

    /// Returns whether the buffer has no room for a value.
    pub(crate) fn is_full(&mut self) -> bool {
        !self.has_room()
    }
}
