//! Arm: one thing that a select waits for: to receive, to send, or that a token is cancelled. It holds
//! the slot through which its value passes. Only a chosen arm holds anything; where it is not finished,
//! `reset` gives that back.
//!
//! A receive brings its value when it is chosen. A send is chosen without a value, so that none is
//! made, or moved, for an arm that does not win: a place in the buffer, or a receiver that waits, is
//! kept for it until `finish` sends.
//! Invariants: [V4], [V7].
//! Checked by: verification/loom/select.rs.
#![allow(unsafe_code)]

use super::super::channel::{Channel, Take};
use super::super::door::{Door, Gate};
use super::super::error::{RecvError, SendError};
use super::super::receiver::{Flavor, Receiver};
use super::super::sender::Sender;
use super::super::slot::{Content, Slot};
use crate::cancel::CancelToken;
use crate::sched;
use crate::wait::trace::Told;
use crate::wait::{Claim, Node, Wakes};
use std::ptr;

/// What came of a try.
#[must_use]
pub enum Tried {
    NotReady,
    /// Chosen: the arm holds what `finish` needs.
    Ready,
    /// A receive is chosen by a select that has yet to make its value.
    Later(Claim),
}

/// An arm, whatever the type of its values. Only a select calls its methods: it links the arm's node
/// in at most one list at a time, and unlinks it before node, wait or arm goes.
pub trait Arm {
    /// The channel's, if it has one.
    fn door(&self) -> Option<&Door>;

    /// What tells its channel from others: as `Sender::address`, `Receiver::address`.
    fn address(&self) -> *const () {
        ptr::null()
    }

    /// Whether it sends.
    fn sends(&self) -> bool {
        false
    }

    /// For the history of a checked program: its part, to what kind of thing, which is where.
    fn told(&self) -> Told {
        (if self.sends() { "send" } else { "recv" }, "channel", self.address())
    }

    /// Does its part, if that is possible now. `gate`: that of the arm's door, locked.
    fn attempt(&self, gate: Option<&mut Gate>, wakes: &mut Wakes) -> Tried;

    /// Whether it could do its part now.
    fn is_ready(&self, gate: Option<&mut Gate>) -> bool;

    /// What its node carries.
    fn packet(&self) -> *mut () {
        ptr::null_mut()
    }

    /// Links its node, where there is no door; false if it is ready after all.
    fn link(&self, _node: &Node) -> bool {
        true
    }

    /// Undoes `link`.
    fn unlink(&self, _node: &Node) {}

    /// When it becomes ready by itself.
    fn due(&self) -> Option<u64> {
        None
    }

    /// After it was fired: whether it was chosen. If not, all begins anew.
    fn was_chosen(&self) -> bool;

    /// Tells a select that was chosen to send for whom its value is; or, with no `own`, that it was
    /// chosen for nobody.
    ///
    /// # Safety
    /// The claims are: of a sender of this arm's channel, and of this arm's own node. The channel is
    /// locked.
    unsafe fn take_later(&self, _from: Claim, _own: Option<Claim>, _wakes: &mut Wakes) {}

    /// Lets go of what it was given.
    fn reset(&self);
}

/// An arm that receives.
pub struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    slot: Slot<T>,
}

/// An arm that sends.
pub struct SendArm<'a, T> {
    channel: &'a Channel<T>,
    slot: Slot<T>,
}

/// An arm that waits until a token is cancelled.
pub struct CancelArm<'a> {
    token: &'a CancelToken,
}

impl<'a, T> RecvArm<'a, T> {
    /// An arm that is on no list.
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        RecvArm { receiver, slot: Slot::new(Content::Nothing) }
    }

    /// What it has received; once, and after it was chosen.
    pub fn finish(&self) -> Result<T, RecvError> {
        // SAFETY: the wait has ended. [X2]
        finish_recv(unsafe { self.slot.take() })
    }
}

pub(super) fn finish_recv<T>(content: Content<T>) -> Result<T, RecvError> {
    match content {
        Content::Value(value) => Ok(value),
        _ => Err(RecvError),
    }
}

impl<T> Arm for RecvArm<'_, T> {
    fn door(&self) -> Option<&Door> {
        match &self.receiver.flavor {
            Flavor::Channel(channel) => Some(channel.door()),
            Flavor::Source(_) => None,
        }
    }

    fn address(&self) -> *const () {
        self.receiver.address()
    }

    fn told(&self) -> Told {
        ("recv", self.receiver.kind(), self.address())
    }

    fn attempt(&self, gate: Option<&mut Gate>, wakes: &mut Wakes) -> Tried {
        let value = match (&self.receiver.flavor, gate) {
            (Flavor::Channel(channel), Some(gate)) => {
                // SAFETY: it is that of our door.
                match unsafe { channel.locked_by(gate) }.take(wakes) {
                    Take::Value(value) => value,
                    Take::Later(sender) => return Tried::Later(sender),
                    // The slot has nothing: an error.
                    Take::Closed => return Tried::Ready,
                    Take::Empty => return Tried::NotReady,
                }
            }
            (Flavor::Source(source), _) => match source.take(sched::now()) {
                Some(value) => value,
                None => return Tried::NotReady,
            },
            (Flavor::Channel(_), None) => return Tried::NotReady,
        };
        // SAFETY: the arm is on no list.
        unsafe { self.slot.replace(Content::Value(value)) };
        Tried::Ready
    }

    fn is_ready(&self, gate: Option<&mut Gate>) -> bool {
        match (&self.receiver.flavor, gate) {
            // SAFETY: it is that of our door.
            (Flavor::Channel(channel), Some(gate)) => unsafe { channel.locked_by(gate) }.can_take(),
            (Flavor::Source(source), _) => source.is_ready(),
            (Flavor::Channel(_), None) => false,
        }
    }

    fn packet(&self) -> *mut () {
        self.slot.packet()
    }

    fn link(&self, node: &Node) -> bool {
        if let Flavor::Source(source) = &self.receiver.flavor
            && let Some(waiters) = source.waiters()
        {
            // SAFETY: the select unlinks it.
            unsafe { waiters.lock().link(node) };
        }
        true
    }

    fn unlink(&self, node: &Node) {
        if let Flavor::Source(source) = &self.receiver.flavor
            && let Some(waiters) = source.waiters()
        {
            waiters.lock().unlink(node);
        }
    }

    fn due(&self) -> Option<u64> {
        match &self.receiver.flavor {
            Flavor::Channel(_) => None,
            Flavor::Source(source) => source.due(),
        }
    }

    fn was_chosen(&self) -> bool {
        // A source has been set anew: look again.
        let Flavor::Channel(_) = &self.receiver.flavor else { return false };
        was_chosen(&self.slot)
    }

    unsafe fn take_later(&self, from: Claim, own: Option<Claim>, wakes: &mut Wakes) {
        let Flavor::Channel(channel) = &self.receiver.flavor else { return };
        channel.take_later(from, own, wakes);
    }

    fn reset(&self) {
        // SAFETY: the arm is on no list.
        let Content::Value(value) = (unsafe { self.slot.take() }) else { return };
        match &self.receiver.flavor {
            Flavor::Channel(channel) => channel.give_back(value),
            Flavor::Source(source) => source.give_back(value),
        }
    }
}

/// False once, where its partner has left it.
fn was_chosen<T>(slot: &Slot<T>) -> bool {
    // SAFETY: it was fired, so the slot is ours. [X2]
    match unsafe { slot.take() } {
        Content::Again => false,
        content => {
            // SAFETY: as above.
            unsafe { slot.replace(content) };
            true
        }
    }
}

impl<'a, T> SendArm<'a, T> {
    /// An arm that is on no list.
    pub fn new(sender: &'a Sender<T>) -> Self {
        SendArm { channel: &sender.channel, slot: Slot::new(Content::Unmade) }
    }

    /// To be finished, after it was chosen.
    pub fn chosen(&self) -> Chosen<'_, 'a, T> {
        Chosen(self)
    }
}

/// A chosen arm whose value is being made. If that fails, the arm is let go.
pub struct Chosen<'c, 'a, T>(&'c SendArm<'a, T>);

impl<T> Chosen<'_, '_, T> {
    /// Sends.
    pub fn finish(self, value: T) -> Result<(), SendError<T>> {
        // SAFETY: the wait has ended. [X2]
        finish_send(self.0.channel, unsafe { self.0.slot.replace(Content::Unmade) }, value)
    }
}

impl<T> Drop for Chosen<'_, '_, T> {
    fn drop(&mut self) {
        self.0.reset();
    }
}

pub(super) fn finish_send<T>(
    channel: &Channel<T>,
    content: Content<T>,
    value: T,
) -> Result<(), SendError<T>> {
    let mut wakes = Wakes::new();
    let sent = match content {
        Content::Reserved => channel.lock().fill(value, &mut wakes),
        Content::Taker(receiver) => {
            channel.lock().hand(receiver, value, &mut wakes);
            Ok(())
        }
        _ => Err(value),
    };
    wakes.wake();
    sent.map_err(SendError)
}

impl<T> Arm for SendArm<'_, T> {
    fn door(&self) -> Option<&Door> {
        Some(self.channel.door())
    }

    fn sends(&self) -> bool {
        true
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self.channel).cast()
    }

    fn attempt(&self, gate: Option<&mut Gate>, wakes: &mut Wakes) -> Tried {
        let Some(gate) = gate else { return Tried::NotReady };
        // SAFETY: it is that of our door.
        let Some(content) = unsafe { self.channel.locked_by(gate) }.reserve(wakes) else {
            // Where a partner had left it.
            // SAFETY: the arm is on no list.
            unsafe { self.slot.replace(Content::Unmade) };
            return Tried::NotReady;
        };
        // SAFETY: the arm is on no list.
        unsafe { self.slot.replace(content) };
        Tried::Ready
    }

    fn is_ready(&self, gate: Option<&mut Gate>) -> bool {
        // SAFETY: it is that of our door.
        gate.is_some_and(|gate| unsafe { self.channel.locked_by(gate) }.can_put())
    }

    fn packet(&self) -> *mut () {
        self.slot.packet()
    }

    fn was_chosen(&self) -> bool {
        was_chosen(&self.slot)
    }

    fn reset(&self) {
        let mut wakes = Wakes::new();
        // SAFETY: the arm is on no list.
        match unsafe { self.slot.replace(Content::Unmade) } {
            Content::Reserved => self.channel.lock().release(&mut wakes),
            Content::Taker(receiver) => {
                let _locked = self.channel.lock();
                self.channel.turn_away(receiver, &mut wakes);
            }
            _ => {}
        }
        wakes.wake();
    }
}

impl<'a> CancelArm<'a> {
    /// An arm that is on no list.
    pub fn new(token: &'a CancelToken) -> Self {
        CancelArm { token }
    }
}

impl Arm for CancelArm<'_> {
    fn door(&self) -> Option<&Door> {
        None
    }

    fn told(&self) -> Told {
        ("cancel", "token", self.token.address())
    }

    fn attempt(&self, _gate: Option<&mut Gate>, _wakes: &mut Wakes) -> Tried {
        if self.token.is_cancelled() { Tried::Ready } else { Tried::NotReady }
    }

    fn is_ready(&self, _gate: Option<&mut Gate>) -> bool {
        self.token.is_cancelled()
    }

    fn link(&self, node: &Node) -> bool {
        // SAFETY: the select unlinks it.
        unsafe { self.token.enlist(node) }
    }

    fn unlink(&self, node: &Node) {
        self.token.delist(node);
    }

    fn due(&self) -> Option<u64> {
        self.token.deadline_nanos()
    }

    fn was_chosen(&self) -> bool {
        true
    }

    fn reset(&self) {}
}
