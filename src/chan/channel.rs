//! Channel: a buffer and two lists of waiters under one lock (what happens under it: `locked.rs`). Whoever comes under the lock either
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
//! outside of it. Values are moved from where they lie to where they shall lie, by pointer: each function
//! that moves one says by its answer whether it did.
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

use super::buffer::Buffer;
use super::door::{ChannelCore, ChannelState};
use super::locked::Locked;
use crate::platform::atomic::{AtomicUsize, Ordering};
use crate::platform::cell::UnsafeCell;
use crate::wait::{Claim, Wakes, trace};

/// The capacity of a channel that never is full.
pub(crate) const UNBOUNDED: usize = usize::MAX;

/// What both ends share. The latch first: see there for what lies in which cache line.
#[repr(C)]
pub(crate) struct Channel<T> {
    door: ChannelCore,
    /// Touched under the gate's lock.
    pub(super) buffer: UnsafeCell<Buffer<T>>,
    pub(super) capacity: usize,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

// SAFETY: the buffer is touched under the lock alone, and values go from thread to thread whole.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Channel<T> {}

#[must_use]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    /// The value is the channel's.
    Done,
    Full,
    Closed,
}

#[must_use]
pub(crate) enum Take {
    /// The value is the caller's, where it wanted it.
    Value,
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

    /// As one whose lock the caller holds.
    ///
    /// # Safety
    /// The gate is that of this channel's door.
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
            let rest = self.lock().buffer(|buffer| std::mem::replace(buffer, Buffer::new(0)));
            trace::gone("channel", self, rest.len());
            drop(rest);
        }
    }

    /// For what was received by one who can't use it. [V4]
    ///
    /// # Safety
    /// `value` points to a value, which is the channel's from here on.
    pub(crate) unsafe fn give_back(&self, value: *const T) {
        let mut wakes = Wakes::new();
        // SAFETY: the caller's promise.
        unsafe { self.lock().give_back(value, &mut wakes) };
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
