//! Waiting at a channel: the caller's frame holds the wait, the node and the slot.
//!
//! send: put, or link with the value in the slot, and wait. Fired: the slot is empty (taken), or the
//!       value is still there (closed).
//! recv: take, or link with an empty slot, and wait. Fired: a value; or nothing (closed).
//!       From a select that has yet to make its value: count the own wait as claimed by it, say where
//!       to put the value, and wait for that without a limit.
//! Invariants: [V4] and those of the channel; [X3] since each wait here ends before its frame does.
//! Checked by: verification/loom/chan.rs.
#![allow(unsafe_code)]

use super::channel::{Channel, Locked, Put, Take};
use super::slot::{Content, Slot};
use super::until::Until;
use crate::wait::limit::Outcome;
use crate::wait::{Claim, Limit, Node, Wait, Wakes, trace};
use std::panic::Location;

/// Why a wait ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// As wide as most values: with one of those it then passes in two registers.
#[repr(usize)]
pub(crate) enum Why {
    /// Full, or empty, and the caller won't wait.
    Now,
    TimedOut,
    Cancelled,
    Closed,
}

type Place = &'static Location<'static>;

impl<T> Channel<T> {
    #[inline]
    pub(crate) fn try_send(&self, value: T) -> Result<(), (Why, T)> {
        trace::quick("try to send on", "channel", self);
        let mut wakes = Wakes::new();
        let put = self.lock().put(value, &mut wakes);
        wakes.wake();
        match put {
            Put::Done => Ok(()),
            Put::Full(value) => Err((Why::Now, value)),
            Put::Closed(value) => Err((Why::Closed, value)),
        }
    }

    #[inline]
    pub(crate) fn send(
        &self,
        value: T,
        mut until: Until<'_>,
        place: Place,
    ) -> Result<(), (Why, T)> {
        trace::op("send on", "channel", self, place);
        if until.is_over() {
            return Err((Why::Cancelled, value));
        }
        let mut locked = self.lock();
        match locked.put_alone(value) {
            Ok(()) => Ok(()),
            Err(value) => self.send_to_others(value, locked, &mut until, place),
        }
    }

    /// Out of line, so that who meets nobody pays for none of its registers.
    #[inline(never)]
    fn send_to_others(
        &self,
        value: T,
        mut locked: Locked<'_, T>,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<(), (Why, T)> {
        let mut wakes = Wakes::new();
        match locked.put(value, &mut wakes) {
            Put::Done => {
                drop(locked);
                wakes.wake();
                Ok(())
            }
            Put::Full(value) => self.send_waiting(value, locked, &mut wakes, until, place),
            Put::Closed(value) => Err((Why::Closed, value)),
        }
    }

    #[inline(always)]
    fn send_waiting(
        &self,
        value: T,
        locked: Locked<'_, T>,
        wakes: &mut Wakes,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<(), (Why, T)> {
        let slot = Slot::new(Content::Value(value));
        // Declared after the slot: where this panics, the lock goes before the value.
        let mut locked = locked;
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
        match (unsafe { slot.take() }, outcome) {
            (Content::Value(value), outcome) => Err((Why::of(outcome), value)),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn try_recv(&self, place: Place) -> Result<T, Why> {
        trace::brief("try to recv on", "channel", self, place);
        let mut wakes = Wakes::new();
        let mut locked = self.lock();
        let taken = locked.take(&mut wakes);
        if let Take::Later(sender) = taken {
            // It has been chosen, so it will soon make its value. Where that can't be waited for, it
            // is as if nobody were there.
            return self.recv_later(sender, locked, wakes, place).unwrap_or(Err(Why::Now));
        }
        drop(locked);
        wakes.wake();
        match taken {
            Take::Value(value) => Ok(value),
            Take::Closed => Err(Why::Closed),
            _ => Err(Why::Now),
        }
    }

    #[inline]
    pub(crate) fn recv(&self, mut until: Until<'_>, place: Place) -> Result<T, Why> {
        trace::op("recv on", "channel", self, place);
        if until.is_over() {
            return Err(Why::Cancelled);
        }
        let mut locked = self.lock();
        match locked.take_alone() {
            Some(value) => Ok(value),
            None => self.recv_from_others(locked, &mut until, place),
        }
    }

    /// As `send_to_others`.
    #[inline(never)]
    fn recv_from_others<'a>(
        &'a self,
        mut locked: Locked<'a, T>,
        until: &mut Until<'_>,
        place: Place,
    ) -> Result<T, Why> {
        loop {
            let mut wakes = Wakes::new();
            let waited = match locked.take(&mut wakes) {
                Take::Value(value) => {
                    drop(locked);
                    wakes.wake();
                    return Ok(value);
                }
                Take::Closed => return Err(Why::Closed),
                Take::Empty => self.recv_waiting(locked, &mut wakes, until, place),
                Take::Later(sender) => self.recv_later(sender, locked, wakes, place),
            };
            match waited {
                None => {}
                // It must wait, and may not: this panics.
                Some(Err(Why::Now)) => drop(Wait::of_caller(place)),
                Some(result) => return result,
            }
            locked = self.lock();
        }
    }

    /// `None`: to begin anew.
    #[inline(always)]
    fn recv_waiting(
        &self,
        mut locked: Locked<'_, T>,
        wakes: &mut Wakes,
        until: &mut Until<'_>,
        place: Place,
    ) -> Option<Result<T, Why>> {
        let slot = Slot::new(Content::Nothing);
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
    #[cold]
    fn recv_later(
        &self,
        sender: Claim,
        locked: Locked<'_, T>,
        mut wakes: Wakes,
        place: Place,
    ) -> Option<Result<T, Why>> {
        let Some(who) = Wait::caller(false) else {
            self.take_later(sender, None, &mut wakes);
            drop(locked);
            wakes.wake();
            return Some(Err(Why::Now));
        };
        let wait = Wait::steadfast_of(who);
        let slot = Slot::new(Content::Nothing);
        let node = Node::new(&wait, 0, slot.packet());
        // SAFETY: this frame waits, below, until the claim is fired. [X3]
        let own = unsafe { Claim::of_own(&node) };
        self.take_later(sender, Some(own), &mut wakes);
        drop(locked);
        wakes.wake();
        let outcome = Limit::NONE.wait(&wait, place);
        received(&slot, outcome)
    }
}

/// Panics, without the lock: the panic hook may use the very channel. [Q3]
#[cold]
fn refuse<T>(locked: Locked<'_, T>, place: Place) -> ! {
    drop(locked);
    Wait::refuse(place)
}

/// What a receiver's wait has brought; `None`: to begin anew.
fn received<T>(slot: &Slot<T>, outcome: Outcome) -> Option<Result<T, Why>> {
    // SAFETY: the wait has ended. [X2]
    match unsafe { slot.take() } {
        Content::Value(value) => Some(Ok(value)),
        Content::Again => None,
        _ => Some(Err(Why::of(outcome))),
    }
}

impl Why {
    /// For the history of a checked program.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Why::Now => "can't be done now",
            Why::TimedOut => "times out",
            Why::Cancelled => "cancelled",
            Why::Closed => "closed",
        }
    }

    fn of(outcome: Outcome) -> Why {
        match outcome {
            Outcome::Fired(_) => Why::Closed,
            Outcome::TimedOut => Why::TimedOut,
            Outcome::Cancelled => Why::Cancelled,
        }
    }
}
