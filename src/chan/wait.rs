//! Waiting at a channel: the caller's frame holds the wait, the node and the slot, and, in a place that the
//! slot names, the value. Below the two functions that users call, values are passed by pointer: so a large
//! one is neither copied from frame to frame nor kept in each of them.
//!
//! send: put, or link with a slot that leads to the value, and wait. Fired: the slot is empty (the value was
//!       taken), or it is not (closed).
//! recv: take, or link with an empty slot, and wait. Fired: a value; or nothing (closed).
//!       From a select that has yet to make its value: count the own wait as claimed by it, say where
//!       to put the value, and wait for that without a limit.
//! Invariants: [V4] and those of the channel; [X3] since each wait here ends before its frame does.
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
// As wide as most values: with one of those it then passes in two registers.
#[repr(usize)]
pub(crate) enum WaitFailure {
    /// Full, or empty, and the caller won't wait.
    Now,
    TimedOut,
    Cancelled,
    Closed,
}

type Place = &'static Location<'static>;

impl<T> Channel<T> {
    /// Sends; or gives the value back, in the error that `error` makes of it.
    #[inline]
    pub(crate) fn send_or<E>(
        &self,
        value: T,
        until: Until<'_>,
        place: Place,
        error: impl FnOnce(WaitFailure, T) -> E,
    ) -> Result<(), E> {
        // SAFETY: forgotten if it was sent.
        match unsafe { self.send(&raw const value, until, place) } {
            Ok(()) => {
                mem::forget(value);
                Ok(())
            }
            Err(why) => Err(error(why, value)),
        }
    }

    /// Sends if it need not wait; or gives the value back, in the error that `error` makes of it.
    #[inline]
    pub(crate) fn try_send_or<E>(
        &self,
        value: T,
        error: impl FnOnce(WaitFailure, T) -> E,
    ) -> Result<(), E> {
        trace::quick("try to send on", "channel", self);
        let mut wakes = Wakes::new();
        // SAFETY: forgotten if it was sent; nothing unwinds before.
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
    /// `value` points to a value, which is the channel's if the answer is `Ok`.
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
        // SAFETY: the caller's promise, here and below.
        if unsafe { locked.put_alone(value) } {
            return Ok(());
        }
        // SAFETY: as above.
        unsafe { self.send_to_others(value, locked, &mut until, place) }
    }

    /// Out of line, so that who meets nobody pays for none of its registers.
    ///
    /// # Safety
    /// As `send`.
    #[inline(never)]
    unsafe fn send_to_others(
        &self,
        value: *const T,
        mut locked: Locked<'_, T>,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<(), WaitFailure> {
        let mut wakes = Wakes::new();
        // SAFETY: the caller's promise, here and below.
        match unsafe { locked.put(value, &mut wakes) } {
            Put::Done => {
                drop(locked);
                wakes.wake();
                Ok(())
            }
            // SAFETY: as above.
            Put::Full => unsafe { self.send_waiting(value, locked, &mut wakes, until, place) },
            Put::Closed => Err(WaitFailure::Closed),
        }
    }

    /// # Safety
    /// As `send`.
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
        // SAFETY: fired or unlinked before this function ends; nothing below unwinds. [X3]
        unsafe { locked.gate.senders.link(&node) };
        drop(locked);
        wakes.wake();
        let outcome = until.end(&wait, place);
        if !matches!(outcome, Outcome::Fired(_)) {
            self.lock().gate.senders.unlink(&node);
        }
        // SAFETY: the wait has ended. [X2]
        match unsafe { slot.content() } {
            Content::Value => Err(WaitFailure::of(outcome)),
            _ => Ok(()),
        }
    }

    /// Receives if it need not wait; or returns the error that `error` makes of the reason.
    #[inline]
    pub(crate) fn try_recv_or<E>(
        &self,
        place: Place,
        error: impl FnOnce(WaitFailure) -> E,
    ) -> Result<T, E> {
        trace::brief("try to recv on", "channel", self, place);
        let mut into = MaybeUninit::uninit();
        // SAFETY: a place for it.
        match unsafe { self.try_recv(into.as_mut_ptr(), place) } {
            // SAFETY: it was received.
            Ok(()) => Ok(unsafe { into.assume_init() }),
            Err(why) => Err(error(why)),
        }
    }

    /// Receives; or returns the error that `error` makes of the reason.
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
        // SAFETY: a place for it.
        if !unsafe { locked.take_alone(into.as_mut_ptr()) } {
            // SAFETY: as above.
            let received =
                unsafe { self.recv_from_others(into.as_mut_ptr(), locked, &mut until, place) };
            if let Err(why) = received {
                return Err(error(why));
            }
        }
        // SAFETY: it was received.
        Ok(unsafe { into.assume_init() })
    }

    /// # Safety
    /// `into` is a place for a value, which is the caller's if the answer is `Ok`.
    #[inline]
    unsafe fn try_recv(&self, into: *mut T, place: Place) -> Result<(), WaitFailure> {
        let mut wakes = Wakes::new();
        let mut locked = self.lock();
        // SAFETY: the caller's promise, here and below.
        let taken = unsafe { locked.take(into, &mut wakes) };
        if let Take::Later(sender) = taken {
            // It has been chosen, so it will soon make its value. Where that can't be waited for, it
            // is as if nobody were there.
            // SAFETY: as above.
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

    /// As `send_to_others`.
    ///
    /// # Safety
    /// `into` is a place for a value, which is the caller's if the answer is `Ok`.
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
            // SAFETY: the caller's promise, here and below.
            let waited = match unsafe { locked.take(into, &mut wakes) } {
                Take::Value => {
                    drop(locked);
                    wakes.wake();
                    return Ok(());
                }
                Take::Closed => return Err(WaitFailure::Closed),
                // SAFETY: as above.
                Take::Empty => unsafe { self.recv_waiting(into, locked, &mut wakes, until, place) },
                // SAFETY: as above.
                Take::Later(sender) => unsafe {
                    self.recv_later(into, sender, locked, wakes, place)
                },
            };
            match waited {
                None => {}
                // It must wait, and may not: this panics.
                Some(Err(WaitFailure::Now)) => drop(Wait::of_caller(place)),
                Some(result) => return result,
            }
            locked = self.lock();
        }
    }

    /// `None`: to begin anew.
    ///
    /// # Safety
    /// As `recv_from_others`.
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
        // SAFETY: fired or unlinked before this function ends; nothing below unwinds. [X3]
        unsafe { locked.gate.receivers.link(&node) };
        drop(locked);
        wakes.wake();
        let outcome = until.end(&wait, place);
        if !matches!(outcome, Outcome::Fired(_)) {
            self.lock().gate.receivers.unlink(&node);
        }
        received(&slot, outcome)
    }

    /// Takes from a select that was chosen, and has yet to make the value.
    ///
    /// # Safety
    /// As `recv_from_others`.
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
        // SAFETY: this frame waits, below, until the claim is fired. [X3]
        let own = unsafe { Claim::of_own(&node) };
        self.take_later(sender, Some(own), &mut wakes);
        drop(locked);
        wakes.wake();
        let outcome = WaitLimit::NONE.wait(&wait, place);
        received(&slot, outcome)
    }
}

/// Panics, without the lock: the panic hook may use the very channel. [Q3]
#[cold]
fn refuse<T>(locked: Locked<'_, T>, place: Place) -> ! {
    drop(locked);
    Wait::refuse(place)
}

/// What a receiver's wait has brought: `Ok`, a value in its room. `None`: to begin anew.
fn received<T>(slot: &Slot<T>, outcome: Outcome) -> Option<Result<(), WaitFailure>> {
    // SAFETY: the wait has ended. [X2]
    match unsafe { slot.content() } {
        Content::Value => Some(Ok(())),
        Content::Again => None,
        _ => Some(Err(WaitFailure::of(outcome))),
    }
}

impl WaitFailure {
    /// For the history of a checked program.
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
