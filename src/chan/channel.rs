//! Channel: a buffer and two lists of waiters under one lock. `locked.rs` has the operations under the lock. An
//! operation either completes at once, if need be with the first waiter of the other side, or links its node and
//! waits.
//!
//! put: if a receiver waits, move the value into its slot and complete its wait. Else, if there is room, move the
//!     value into the buffer. Else the channel is full.
//! take: if the buffer has a value, take it and admit the value of the first waiting sender. Else, if a sender waits,
//!     take the value from its slot and complete its wait. Else the channel is closed or empty.
//! close: mark the channel as closed, and complete all waits without a value.
//! reserve, fill: used by the send of a select, which makes its value after it was chosen. A place in the buffer is
//!     reserved, or a receiver is claimed, until the value is there, the select lets go, or the receiver leaves.
//! give back: used by a receiver that was handed a value and cannot use it. It is a put to the front of the buffer,
//!     even if there is no room. So a channel without a buffer may hold a value for a while.
//!
//! Claimed waits are completed under the lock, and their waiters are woken after the lock was released. User code
//! (`Drop` and wakers) runs without the lock. Values are moved by pointer. The result of each function that moves a
//! value tells whether it moved the value.
//! [V1] A receiver waits only while the buffer is empty and no sender waits with a value.
//! [V2] A sender waits only while there is no room and no receiver waits.
//! [V3] Values leave in the order in which they were put, except that values given back come first.
//! [V4] A value is received once, or is returned to its sender, or is dropped with the channel.
//! [V5] After close nobody waits and nothing is put, but values that were put before can still be taken.
//! [V10] A receiver to which a select owes a value may leave at any time if it is a future. It tells the select, under
//! the lock, and the value goes to the next receiver or to the front of the buffer.
//! Checked by: verification/loom/chan.rs, verification/loom/select.rs, verification/shuttle/channels.rs,
//! verification/shuttle/waits.rs, proptests/runtime/channels.rs, proptests/runtime/chan_oracle.rs.
#![allow(unsafe_code)]

use super::buffer::Buffer;
use super::door::{ChannelCore, ChannelState};
use super::locked::Locked;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::wait::{Claim, Wakes, trace};

/// The capacity of a channel that is never full.
pub(crate) const UNBOUNDED: usize = usize::MAX;

/// What both ends share. The biased lock comes first; its own documentation tells which fields share a cache line.
#[repr(C)]
pub(crate) struct Channel<T> {
    door: ChannelCore,
    /// Accessed only under the lock in `door`.
    pub(super) buffer: UnsafeCell<Buffer<T>>,
    pub(super) capacity: usize,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

// SAFETY: the buffer is accessed only under the lock, and values move between threads because `T: Send`.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as for `Send`.
unsafe impl<T: Send> Sync for Channel<T> {}

#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The channel has taken the value.
    Done,
    Full,
    Closed,
}

#[must_use]
pub(crate) enum Take {
    /// The value was moved to the place that the caller named.
    Value,
    /// A select was chosen as sender but has not made its value yet. The caller must tell the select which receiver
    /// the value is for (`take_later`).
    Later(Claim),
    Empty,
    Closed,
}

impl<T> Channel<T> {
    /// Makes a channel with one sender and one receiver.
    pub(crate) fn new(capacity: usize) -> Self {
        let room = if capacity == UNBOUNDED { 0 } else { capacity };
        Channel {
            capacity,
            door: ChannelCore::new(),
            buffer: UnsafeCell::new(Buffer::new(room)),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
        }
    }

    pub(crate) fn lock(&self) -> Locked<'_, T> {
        Locked::new(self.door.lock(), self)
    }

    pub(crate) fn door(&self) -> &ChannelCore {
        &self.door
    }

    /// Returns a view of this channel as locked. The caller holds the lock.
    ///
    /// # Safety
    /// `gate` must be the state that is guarded by this channel's lock.
    pub(crate) unsafe fn locked_by<'a>(
        &'a self,
        gate: &'a mut ChannelState,
    ) -> Locked<'a, T, &'a mut ChannelState> {
        Locked::new(gate, self)
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

    /// Removes a sender. The last sender closes the channel; values that were sent can still be received.
    pub(crate) fn drop_sender(&self) {
        if is_last(&self.senders) {
            self.close();
        }
    }

    /// Removes a receiver. The last receiver closes the channel and drops the values that nobody will receive.
    pub(crate) fn drop_receiver(&self) {
        if is_last(&self.receivers) {
            self.close();
            // A sender or a future may still put a value after this. Such a value is dropped with the channel, because
            // nobody receives it.
            let rest = self.lock().buffer(|buffer| std::mem::replace(buffer, Buffer::new(0)));
            trace::gone("channel", self, rest.len());
            drop(rest);
        }
    }

    /// Takes back a value from a receiver that cannot use it. [V4]
    ///
    /// # Safety
    /// `value` must point to a value. The channel owns that value after the call.
    pub(crate) unsafe fn give_back(&self, value: *const T) {
        let mut wakes = Wakes::new();
        // SAFETY: the caller promises that `value` points to a value that it hands over.
        unsafe { self.lock().give_back(value, &mut wakes) };
        wakes.wake();
    }

    /// Closes the channel. Returns false if it was closed before.
    pub(crate) fn close(&self) -> bool {
        trace::quick("close", "channel", self);
        let mut wakes = Wakes::new();
        let first = self.lock().close(&mut wakes);
        wakes.wake();
        first
    }
}

fn add(count: &AtomicUsize) {
    // Relaxed: the caller has an end already, so the count cannot reach zero meanwhile.
    if count.fetch_add(1, Ordering::Relaxed) > usize::MAX / 2 {
        std::process::abort();
    }
}

fn is_last(count: &AtomicUsize) -> bool {
    // Relaxed: the last one takes the lock next, and the other ends did all their work under that lock.
    count.fetch_sub(1, Ordering::Relaxed) == 1
}
