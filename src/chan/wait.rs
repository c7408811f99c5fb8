//! Waiting at a channel. The caller's frame holds the wait, the node and the slot. It also holds the value, in a place
//! to which the slot points. Below the functions that users call, values are passed by pointer, so that a large value
//! is neither copied from frame to frame nor kept in each frame.
//!
//! send: put the value; or link a node with a slot that points to the value, and wait. When the wait is completed, the
//!     slot is empty if the value was taken, and it still has the value if the channel was closed.
//! recv: take a value; or link a node with an empty slot, and wait. When the wait is completed, the slot has a value,
//!     or it is empty because the channel was closed.
//!     If the sender is a select that has not made its value yet, count the receiver's own wait as claimed by that
//!     select, tell the select where to put the value, and wait for the value without a limit.
//! Invariants: [V4] and those of the channel; [X3], because each wait here ends before its frame does.
//! Checked by: verification/loom/chan.rs.
#![allow(unsafe_code)]

use super::channel::{Channel, Put, Take};
use super::locked::Locked;
use super::slot::{Content, Slot};
use super::until::Until;
use crate::wait::limit::Outcome;
use crate::wait::{Claim, Node, Wait, WaitLimit, Wakes, trace};
use std::mem::{self, MaybeUninit};
use std::panic::Location;

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// As wide as most values, so that it is returned together with such a value in two registers.
#[repr(usize)]
pub(crate) enum WaitFailure {
    /// The channel is full or empty, and the caller does not wait.
    Now,
    TimedOut,
    Cancelled,
    Closed,
}

type Place = &'static Location<'static>;

impl<T> Channel<T> {
    /// Sends `value`. On failure it calls `error` with the reason and the value, and returns what `error` returns.
    #[inline]
    pub(crate) fn send_or<E>(
        &self,
        value: T,
        until: Until<'_>,
        place: Place,
        error: impl FnOnce(WaitFailure, T) -> E,
    ) -> Result<(), E> {
        // SAFETY: `value` is forgotten if it was sent.
        match unsafe { self.send(&raw const value, until, place) } {
            Ok(()) => {
                mem::forget(value);
                Ok(())
            }
            Err(why) => Err(error(why, value)),
        }
    }

    /// Sends `value` if no wait is needed. On failure it calls `error` with the reason and the value, and returns what
    /// `error` returns.
    #[inline]
    pub(crate) fn try_send_or<E>(
        &self,
        value: T,
        error: impl FnOnce(WaitFailure, T) -> E,
    ) -> Result<(), E> {
        trace::quick("try to send on", "channel", self);
        let mut wakes = Wakes::new();
        // SAFETY: `value` is forgotten below if it was sent, and nothing unwinds before that.
        let put = unsafe { self.lock().put(&raw const value, &mut wakes) };
        let sent = match put {
            Put::Done => {
                mem::forget(value);
                Ok(())
            }
            Put::Full => Err(error(WaitFailure::Now, value)),
            Put::Closed => Err(error(WaitFailure::Closed, value)),
        };
        wakes.wake();
        sent
    }

    /// # Safety
    /// `value` must point to a value. The channel owns that value if the result is `Ok`.
    #[inline]
    unsafe fn send(
        &self,
        value: *const T,
        mut until: Until<'_>,
        place: Place,
    ) -> Result<(), WaitFailure> {
        trace::op("send on", "channel", self, place);
        if until.is_over() {
            return Err(WaitFailure::Cancelled);
        }
        let mut locked = self.lock();
        // SAFETY: the caller promises, for this call and the next one, that `value` points to a value.
        if unsafe { locked.put_alone(value) } {
            return Ok(());
        }
        // SAFETY: the caller's promise, as above.
        unsafe { self.send_to_others(value, locked, &mut until, place) }
    }

    /// Out of line, so that a send that meets no waiter does not save the registers that this function needs.
    ///
    /// # Safety
    /// The caller must meet the same conditions as for `send`.
    #[inline(never)]
    unsafe fn send_to_others(
        &self,
        value: *const T,
        mut locked: Locked<'_, T>,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<(), WaitFailure> {
        let mut wakes = Wakes::new();
        // SAFETY: the caller promises, for this call and the next one, that `value` points to a value.
        match unsafe { locked.put(value, &mut wakes) } {
            Put::Done => {
                drop(locked);
                wakes.wake();
                Ok(())
            }
            // SAFETY: the caller's promise, as above.
            Put::Full => unsafe { self.send_waiting(value, locked, &mut wakes, until, place) },
            Put::Closed => Err(WaitFailure::Closed),
        }
    }

    /// # Safety
    /// The caller must meet the same conditions as for `send`.
    #[inline(always)]
    unsafe fn send_waiting(
        &self,
        value: *const T,
        mut locked: Locked<'_, T>,
        wakes: &mut Wakes,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<(), WaitFailure> {
        let slot = Slot::new(Content::Value, value.cast_mut());
        let Some(who) = until.caller() else { refuse(locked, place) };
        let wait = until.wait(who);
        let node = Node::new(&wait, 0, slot.packet());
        // SAFETY: the wait is completed or the node is unlinked before this function ends, and nothing below unwinds.
        // [X3]
        unsafe { locked.gate.senders.link(&node) };
        drop(locked);
        wakes.wake();
        let outcome = until.end(&wait, place);
        if !matches!(outcome, Outcome::Fired(_)) {
            self.lock().gate.senders.unlink(&node);
        }
        // SAFETY: the wait has ended, so the slot is ours. [X2]
        match unsafe { slot.content() } {
            Content::Value => Err(WaitFailure::of(outcome)),
            _ => Ok(()),
        }
    }

    /// Receives a value if no wait is needed. On failure it returns what `error` makes of the reason.
    #[inline]
    pub(crate) fn try_recv_or<E>(
        &self,
        place: Place,
        error: impl FnOnce(WaitFailure) -> E,
    ) -> Result<T, E> {
        trace::brief("try to recv on", "channel", self, place);
        let mut into = MaybeUninit::uninit();
        // SAFETY: `into` is a place for a value.
        match unsafe { self.try_recv(into.as_mut_ptr(), place) } {
            // SAFETY: the result is `Ok`, so `into` has a value.
            Ok(()) => Ok(unsafe { into.assume_init() }),
            Err(why) => Err(error(why)),
        }
    }

    /// Receives a value. On failure it returns what `error` makes of the reason.
    #[inline]
    pub(crate) fn recv_or<E>(
        &self,
        mut until: Until<'_>,
        place: Place,
        error: impl FnOnce(WaitFailure) -> E,
    ) -> Result<T, E> {
        trace::op("recv on", "channel", self, place);
        if until.is_over() {
            return Err(error(WaitFailure::Cancelled));
        }
        let mut into = MaybeUninit::uninit();
        let mut locked = self.lock();
        // SAFETY: `into` is a place for a value.
        if !unsafe { locked.take_alone(into.as_mut_ptr()) } {
            // SAFETY: `into` is a place for a value.
            let received =
                unsafe { self.recv_from_others(into.as_mut_ptr(), locked, &mut until, place) };
            if let Err(why) = received {
                return Err(error(why));
            }
        }
        // SAFETY: each path that did not return an error has put a value into `into`.
        Ok(unsafe { into.assume_init() })
    }

    /// # Safety
    /// `into` must be a place for a value. The caller owns the value there if the result is `Ok`.
    #[inline]
    unsafe fn try_recv(&self, into: *mut T, place: Place) -> Result<(), WaitFailure> {
        let mut wakes = Wakes::new();
        let mut locked = self.lock();
        // SAFETY: the caller promises, for this call and the next one, that `into` is a place for a value.
        let taken = unsafe { locked.take(into, &mut wakes) };
        if let Take::Later(sender) = taken {
            // The select has been chosen, so it will soon make its value. If the caller may not wait for the value,
            // this call acts as if there were no sender.
            // SAFETY: the caller's promise, as above.
            let received = unsafe { self.recv_later(into, sender, locked, wakes, place) };
            return received.unwrap_or(Err(WaitFailure::Now));
        }
        drop(locked);
        wakes.wake();
        match taken {
            Take::Value => Ok(()),
            Take::Closed => Err(WaitFailure::Closed),
            _ => Err(WaitFailure::Now),
        }
    }

    /// Out of line for the same reason as `send_to_others`.
    ///
    /// # Safety
    /// `into` must be a place for a value. The caller owns the value there if the result is `Ok`.
    #[inline(never)]
    unsafe fn recv_from_others<'a>(
        &'a self,
        into: *mut T,
        mut locked: Locked<'a, T>,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<(), WaitFailure> {
        loop {
            let mut wakes = Wakes::new();
            // SAFETY: the caller promises, for all calls in this loop, that `into` is a place for a value.
            let waited = match unsafe { locked.take(into, &mut wakes) } {
                Take::Value => {
                    drop(locked);
                    wakes.wake();
                    return Ok(());
                }
                Take::Closed => return Err(WaitFailure::Closed),
                // SAFETY: the caller's promise, as above.
                Take::Empty => unsafe { self.recv_waiting(into, locked, &mut wakes, until, place) },
                // SAFETY: the caller's promise, as above.
                Take::Later(sender) => unsafe {
                    self.recv_later(into, sender, locked, wakes, place)
                },
            };
            match waited {
                None => {}
                // The caller would have to wait, but is not allowed to: this call panics.
                Some(Err(WaitFailure::Now)) => drop(Wait::of_caller(place)),
                Some(result) => return result,
            }
            locked = self.lock();
        }
    }

    /// Links a node and waits. Returns `None` if the caller must start again.
    ///
    /// # Safety
    /// The caller must meet the same conditions as for `recv_from_others`.
    #[inline(always)]
    unsafe fn recv_waiting(
        &self,
        into: *mut T,
        mut locked: Locked<'_, T>,
        wakes: &mut Wakes,
        until: &mut Until<'_>,
        place: Place,
    ) -> Option<Result<(), WaitFailure>> {
        let slot = Slot::new(Content::Nothing, into);
        let Some(who) = until.caller() else { refuse(locked, place) };
        let wait = until.wait(who);
        let node = Node::new(&wait, 0, slot.packet());
        // SAFETY: the wait is completed or the node is unlinked before this function ends, and nothing below unwinds.
        // [X3]
        unsafe { locked.gate.receivers.link(&node) };
        drop(locked);
        wakes.wake();
        let outcome = until.end(&wait, place);
        if !matches!(outcome, Outcome::Fired(_)) {
            self.lock().gate.receivers.unlink(&node);
        }
        received(&slot, outcome)
    }

    /// Receives from a select that was chosen but has not made its value yet. Returns `None` if the caller must start
    /// again.
    ///
    /// # Safety
    /// The caller must meet the same conditions as for `recv_from_others`.
    #[cold]
    unsafe fn recv_later(
        &self,
        into: *mut T,
        sender: Claim,
        locked: Locked<'_, T>,
        mut wakes: Wakes,
        place: Place,
    ) -> Option<Result<(), WaitFailure>> {
        let Some(who) = Wait::caller(false) else {
            self.take_later(sender, None, &mut wakes);
            drop(locked);
            wakes.wake();
            return Some(Err(WaitFailure::Now));
        };
        let wait = Wait::steadfast_of(who);
        let slot = Slot::new(Content::Nothing, into);
        let node = Node::new(&wait, 0, slot.packet());
        // SAFETY: this frame waits, below, until the claim is completed. [X3]
        let own = unsafe { Claim::of_own(&node) };
        self.take_later(sender, Some(own), &mut wakes);
        drop(locked);
        wakes.wake();
        let outcome = WaitLimit::NONE.wait(&wait, place);
        received(&slot, outcome)
    }
}

/// Releases the lock, then panics. The panic hook may use this same channel, so the lock must not be held. [Q3]
#[cold]
fn refuse<T>(locked: Locked<'_, T>, place: Place) -> ! {
    drop(locked);
    Wait::refuse(place)
}

/// Returns what a receiver's wait has brought: `Ok` if there is a value in the room, and `None` if the receiver must
/// start again.
fn received<T>(slot: &Slot<T>, outcome: Outcome) -> Option<Result<(), WaitFailure>> {
    // SAFETY: the wait has ended, so the slot is ours. [X2]
    match unsafe { slot.content() } {
        Content::Value => Some(Ok(())),
        Content::Again => None,
        _ => Some(Err(WaitFailure::of(outcome))),
    }
}

impl WaitFailure {
    /// Returns the text for the history of a checked program.
    pub(crate) fn text(self) -> &'static str {
        match self {
            WaitFailure::Now => "can't be done now",
            WaitFailure::TimedOut => "times out",
            WaitFailure::Cancelled => "cancelled",
            WaitFailure::Closed => "closed",
        }
    }

    fn of(outcome: Outcome) -> WaitFailure {
        match outcome {
            Outcome::Fired(_) => WaitFailure::Closed,
            Outcome::TimedOut => WaitFailure::TimedOut,
            Outcome::Cancelled => WaitFailure::Cancelled,
        }
    }
}
