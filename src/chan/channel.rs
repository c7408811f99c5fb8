//! Channel: a buffer and two lists of waiters under one lock. Whoever comes under the lock either
//! does its part at once, with the first waiter of the other side, or links itself and waits.
//!
//! put:  a receiver waits → into its slot, fire it.   room → into the buffer.   else full.
//! take: buffer → take; let the first waiting sender's value in.   a sender waits → from its slot,
//!       fire it.   else closed, or empty.
//! close: mark; fire all waiters with nothing.
//! reserve, fill (a select's send, whose value is made once it was chosen): a place is kept in the
//!       buffer, or a receiver claimed, until the value is there, or the select lets go, or the receiver
//!       leaves.
//! give back (by one that was handed a value, and can't use it): as put, but to the front of the
//!       buffer, room or not: so also a channel without a buffer may hold a value for a while.
//!
//! Those claimed are fired under the lock and woken after it. User code (`Drop` and wakers) runs
//! outside of it.
//! [V1] A receiver waits only while the buffer is empty and no sender waits with a value.
//! [V2] A sender waits only while there is no room and no receiver waits.
//! [V3] Values leave in the order in which they were put; those given back come first.
//! [V4] A value is received once, or comes back to who sent it, or is dropped with the channel.
//! [V5] After close nobody waits, nothing is put, and what was put before is still taken.
//! [V10] A receiver that a select has yet to give its value may leave at any time, if it is a future: it tells
//! the select, under the lock, and the value goes to the next receiver, or is the first in the buffer.
//! Checked by: verification/loom/chan.rs, verification/loom/select.rs, verification/shuttle/channels.rs,
//! verification/shuttle/waits.rs, proptests/runtime/channels.rs, proptests/runtime/chan_oracle.rs.
#![allow(unsafe_code)]

use super::door::{Door, Gate};
use super::slot::{Content, Slot};
use crate::platform::LatchGuard;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::wait::{Claim, Wakes, trace};
use std::collections::VecDeque;
use std::ops::DerefMut;

/// The capacity of a channel that never is full.
pub(crate) const UNBOUNDED: usize = usize::MAX;

/// What both ends share. The latch first: see there for what lies in which cache line.
#[repr(C)]
pub(crate) struct Channel<T> {
    door: Door,
    /// Touched under the gate's lock.
    buffer: UnsafeCell<VecDeque<T>>,
    capacity: usize,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

// SAFETY: the buffer is touched under the lock alone, and values go from thread to thread whole.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Channel<T> {}

#[must_use]
pub(crate) enum Put<T> {
    Done,
    Full(T),
    Closed(T),
}

#[must_use]
pub(crate) enum Take<T> {
    Value(T),
    /// From a select that has yet to make the value: it must be told for whom.
    Later(Claim),
    Empty,
    Closed,
}

impl<T> Channel<T> {
    /// A channel with one sender and one receiver.
    pub(crate) fn new(capacity: usize) -> Self {
        let room = if capacity == UNBOUNDED { 0 } else { capacity };
        Channel {
            capacity,
            door: Door::new(),
            buffer: UnsafeCell::new(VecDeque::with_capacity(room)),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    pub(crate) fn lock(&self) -> Locked<'_, T> {
        Locked { gate: self.door.lock(), channel: self }
    }

    pub(crate) fn door(&self) -> &Door {
        &self.door
    }

    /// As one whose lock the caller holds.
    ///
    /// # Safety
    /// The gate is that of this channel's door.
    pub(crate) unsafe fn locked_by<'a>(
        &'a self,
        gate: &'a mut Gate,
    ) -> Locked<'a, T, &'a mut Gate> {
        Locked { gate, channel: self }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        (self.capacity != UNBOUNDED).then_some(self.capacity)
    }

    pub(crate) fn add_sender(&self) {
        add(&self.senders);
    }

    pub(crate) fn add_receiver(&self) {
        add(&self.receivers);
    }

    /// The last one closes the channel; what was sent can still be received.
    pub(crate) fn drop_sender(&self) {
        if is_last(&self.senders) {
            self.close();
        }
    }

    /// The last one closes the channel, and drops what nobody will receive.
    pub(crate) fn drop_receiver(&self) {
        if is_last(&self.receivers) {
            self.close();
            // What a sender or a future may yet put goes with the channel: nobody receives it.
            let rest = self.lock().buffer(std::mem::take);
            trace::gone("channel", self, rest.len());
            drop(rest);
        }
    }

    /// For what was received by one who can't use it. [V4]
    pub(crate) fn give_back(&self, value: T) {
        let mut wakes = Wakes::new();
        self.lock().give_back(value, &mut wakes);
        wakes.wake();
    }

    /// False if it was closed before.
    pub(crate) fn close(&self) -> bool {
        trace::quick("close", "channel", self);
        let mut wakes = Wakes::new();
        let first = self.lock().close(&mut wakes);
        wakes.wake();
        first
    }
}

fn add(count: &AtomicUsize) {
    // Relaxed: whoever adds one has one.
    if count.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
        std::process::abort();
    }
}

fn is_last(count: &AtomicUsize) -> bool {
    // Relaxed: whoever is last takes the lock, and all that others did they did under the lock.
    count.fetch_sub(1, Ordering::Relaxed) == 1
}

/// A channel whose lock is held.
pub(crate) struct Locked<'a, T, G = LatchGuard<'a, Gate>> {
    pub(crate) gate: G,
    channel: &'a Channel<T>,
}

impl<T, G: DerefMut<Target = Gate>> Locked<'_, T, G> {
    #[inline]
    fn buffer<R>(&mut self, f: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        // SAFETY: the lock is held, and `self` borrowed exclusively.
        self.channel.buffer.with_mut(|buffer| f(unsafe { &mut *buffer }))
    }

    /// Sends into the buffer, if there is room and nobody waits to receive: what most do that have a buffer.
    #[inline]
    pub(crate) fn put_alone(&mut self, value: T) -> Result<(), T> {
        // mutant: past who waits to receive: replace self.gate.receivers.is_empty() with true
        let is_alone = self.gate.receivers.is_empty();
        if self.gate.closed || !is_alone || !self.has_room() {
            return Err(value);
        }
        self.buffer(|buffer| buffer.push_back(value));
        Ok(())
    }

    /// Receives from the buffer, if there is a value and nobody waits to send.
    #[inline]
    pub(crate) fn take_alone(&mut self) -> Option<T> {
        // mutant: past who waits to send: replace self.gate.senders.is_empty() with true
        let is_alone = self.gate.senders.is_empty();
        if is_alone { self.buffer(VecDeque::pop_front) } else { None }
    }

    /// Sends, or says why that can't be done now.
    pub(crate) fn put(&mut self, value: T, wakes: &mut Wakes) -> Put<T> {
        if self.gate.closed {
            return Put::Closed(value);
        }
        if let Some(receiver) = self.claim_receiver(wakes) {
            self.hand(receiver, value, wakes);
            return Put::Done;
        }
        if self.has_room() {
            self.buffer(|buffer| buffer.push_back(value));
            return Put::Done;
        }
        Put::Full(value)
    }

    /// Receives, or says why that can't be done now.
    pub(crate) fn take(&mut self, wakes: &mut Wakes) -> Take<T> {
        if let Some(value) = self.buffer(VecDeque::pop_front) {
            // mutant: drop word to who waits for room
            if !self.gate.senders.is_empty() {
                self.admit(wakes);
            }
            return Take::Value(value);
        }
        let nobody = self.gate.senders.is_empty();
        match if nobody { None } else { self.claim_sender(wakes) } {
            Some((sender, Content::Value(value))) => {
                wakes.push(sender.fire());
                Take::Value(value)
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
                Content::Value(value) => self.buffer(|buffer| buffer.push_back(value)),
                _ => {
                    self.gate.reserved += 1;
                    // SAFETY: claimed, so its slot is ours. [X1]
                    unsafe { Slot::of_claim(self.channel, &sender).replace(Content::Reserved) };
                }
            }
            wakes.push(sender.fire());
        }
    }

    /// The first sender that waits, with what was in its slot: a value, or `Unmade`.
    fn claim_sender(&mut self, wakes: &mut Wakes) -> Option<(Claim, Content<T>)> {
        loop {
            let sender = self.gate.senders.claim()?;
            if sender.packet().is_null() {
                // It only wants to know.
                wakes.push(sender.fire());
                continue;
            }
            // SAFETY: claimed, so its slot is ours. [X1]
            let content = unsafe { Slot::of_claim(self.channel, &sender).take() };
            return Some((sender, content));
        }
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
            wakes.push(receiver.fire());
        }
    }

    /// Gives a claimed receiver its value.
    #[inline]
    pub(crate) fn hand(&mut self, receiver: Claim, value: T, wakes: &mut Wakes) {
        // SAFETY: claimed, so its slot is ours. [X1]
        unsafe { Slot::of_claim(self.channel, &receiver).replace(Content::Value(value)) };
        wakes.push(receiver.fire());
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

    /// Sends into the place that was reserved, unless the channel was closed meanwhile.
    pub(crate) fn fill(&mut self, value: T, wakes: &mut Wakes) -> Result<(), T> {
        // mutant: drop end of the reservation
        self.gate.reserved -= 1;
        if self.gate.closed {
            return Err(value);
        }
        match self.claim_receiver(wakes) {
            Some(receiver) => self.hand(receiver, value, wakes),
            None => self.buffer(|buffer| buffer.push_back(value)),
        }
        Ok(())
    }

    /// Gives up the place that was reserved.
    pub(crate) fn release(&mut self, wakes: &mut Wakes) {
        // mutant: drop end of the reservation
        self.gate.reserved -= 1;
        // mutant: drop word to who waits for room
        self.admit(wakes);
    }

    /// Takes back a value from one who can't use it: the next receiver gets it. [V4]
    pub(crate) fn give_back(&mut self, value: T, wakes: &mut Wakes) {
        match self.claim_receiver(wakes) {
            Some(receiver) => self.hand(receiver, value, wakes),
            None => self.buffer(|buffer| buffer.push_front(value)),
        }
    }

    fn close(&mut self, wakes: &mut Wakes) -> bool {
        if std::mem::replace(&mut self.gate.closed, true) {
            return false;
        }
        while let Some(waiter) = self.gate.receivers.claim() {
            wakes.push(waiter.fire());
        }
        while let Some(waiter) = self.gate.senders.claim() {
            wakes.push(waiter.fire());
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
