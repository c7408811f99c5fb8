//! Arm: one event that a select waits for: a receive, a send, or the cancellation of a token. It holds the slot
//! through which its value passes. Only a chosen arm holds anything. If the arm is not finished, `reset` gives back
//! what it holds.
//!
//! A receive has its value when it is chosen. A send is chosen without a value, so that no value is made or moved for
//! an arm that is not chosen. A place in the buffer, or a waiting receiver, is reserved for the value until `finish`
//! sends it.
//! Invariants: [V4], [V7].
//! Checked by: verification/loom/select.rs.
#![allow(unsafe_code)]

use crate::cancel::CancelToken;
use crate::chan::channel::{Channel, Take};
use crate::chan::door::{ChannelCore, ChannelState};
use crate::chan::error::{RecvError, SendError};
use crate::chan::receiver::{Flavor, Receiver};
use crate::chan::sender::Sender;
use crate::chan::slot::{Content, Slot};
use crate::sched::core::clock;
use crate::wait::trace::Told;
use crate::wait::{Claim, Node, Wakes};
use std::cell::{Cell, UnsafeCell};
use std::mem::MaybeUninit;
use std::ptr;

/// An arm in the form that a select takes. Code expanded from `select!` can only pass it on.
pub struct AnyArm<'a>(pub(super) &'a dyn Arm);

/// The result of trying an arm.
#[must_use]
pub(super) enum Tried {
    NotReady,
    /// The arm is chosen, and holds what `finish` needs.
    Ready,
    /// The arm is a receive, and its sender is a select that has not made its value yet.
    Later(Claim),
}

/// An arm with any type of values. Only a select calls these methods. It links the arm's node in at most one list at a
/// time, and unlinks it before the node, the wait or the arm goes.
pub(super) trait Arm {
    /// Returns the core of the arm's channel, if the arm has a channel.
    fn door(&self) -> Option<&ChannelCore>;

    /// Returns the identity of the arm's channel, the same as `Sender::address` and `Receiver::address`.
    fn address(&self) -> *const () {
        ptr::null()
    }

    /// Returns whether the arm sends.
    fn sends(&self) -> bool {
        false
    }

    /// Returns the entry for the history of a checked program: the operation, the kind of object, and its address.
    fn told(&self) -> Told {
        (if self.sends() { "send" } else { "recv" }, "channel", self.address())
    }

    /// Performs the operation if that is possible now. `gate` is the locked state of the arm's channel.
    fn attempt(&self, gate: Option<&mut ChannelState>, wakes: &mut Wakes) -> Tried;

    /// Returns whether the operation is possible now.
    fn is_ready(&self, gate: Option<&mut ChannelState>) -> bool;

    /// Returns the address of the slot that the arm's node carries.
    fn packet(&self) -> *mut () {
        ptr::null_mut()
    }

    /// Links the node of an arm that has no channel. Returns false if the arm is ready already.
    ///
    /// # Safety
    /// The caller must meet the conditions of [`List::link`](crate::wait::List::link), and must unlink the node by
    /// `unlink`.
    unsafe fn link(&self, _node: &Node) -> bool {
        true
    }

    /// Undoes `link`.
    fn unlink(&self, _node: &Node) {}

    /// Returns when the arm becomes ready by itself.
    fn due(&self) -> Option<u64> {
        None
    }

    /// Returns whether the arm was chosen. Called after the wait was completed. If the result is false, the select
    /// starts again.
    fn was_chosen(&self) -> bool;

    /// Tells a select that was chosen to send which receiver its value is for. If `own` is `None`, tells it to start
    /// again.
    ///
    /// # Safety
    /// `from` must claim a sender of this arm's channel, and `own` must claim this arm's node. The caller must hold
    /// the channel's lock.
    unsafe fn take_later(&self, _from: Claim, _own: Option<Claim>, _wakes: &mut Wakes) {}

    /// Gives back what the arm holds.
    fn reset(&self);
}

/// An arm that receives.
pub(super) struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    /// Points to `room` once the room has its final place.
    slot: Slot<T>,
    room: UnsafeCell<MaybeUninit<T>>,
}

/// An arm that sends. A chosen arm stays in place until it has sent its value or was released (see `debt`).
pub(super) struct SendArm<'a, T> {
    channel: &'a Channel<T>,
    /// If the arm is chosen, its slot is accessed only under the channel's lock. [V10]
    slot: Slot<T>,
    /// The arm was chosen, and has neither sent a value nor been released.
    chosen: Cell<bool>,
}

/// An arm that waits until a token is cancelled.
pub(super) struct CancelArm<'a> {
    token: &'a CancelToken,
}

impl<'a, T> RecvArm<'a, T> {
    /// Makes an arm that is on no list.
    pub(super) fn new(receiver: &'a Receiver<T>) -> Self {
        let slot = Slot::new(Content::Nothing, ptr::null_mut());
        RecvArm { receiver, slot, room: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Returns what the arm has received. Returns an error if the arm was not chosen, or was finished before.
    pub(super) fn finish(&self) -> Result<T, RecvError> {
        // A select borrows its arms exclusively until it is done, so the wait has ended.
        finish_recv(&self.slot)
    }

    fn room(&self) -> *mut T {
        self.room.get().cast()
    }
}

/// Returns the value of a chosen arm that receives, or an error if its slot has none.
pub(super) fn finish_recv<T>(slot: &Slot<T>) -> Result<T, RecvError> {
    // SAFETY: the wait has ended, so the slot is ours. [X2]
    match unsafe { slot.take() } {
        // SAFETY: the slot said that the value is there, and `take` has emptied the slot, so the value is read only
        // once.
        Content::Value => Ok(unsafe { slot.room().read() }),
        _ => Err(RecvError),
    }
}

impl<T> Arm for RecvArm<'_, T> {
    fn door(&self) -> Option<&ChannelCore> {
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

    fn attempt(&self, gate: Option<&mut ChannelState>, wakes: &mut Wakes) -> Tried {
        let room = self.room();
        match (&self.receiver.flavor, gate) {
            (Flavor::Channel(channel), Some(gate)) => {
                // SAFETY: `gate` is the state of our channel. The arm is on no list, so its room is free.
                match unsafe { channel.locked_by(gate).take(room, wakes) } {
                    Take::Value => {}
                    Take::Later(sender) => return Tried::Later(sender),
                    // The slot is empty, so `finish` returns an error.
                    Take::Closed => return Tried::Ready,
                    Take::Empty => return Tried::NotReady,
                }
            }
            (Flavor::Source(source), _) => match source.take(clock::now()) {
                // SAFETY: the arm is on no list, so its room is free.
                Some(value) => unsafe { room.write(value) },
                None => return Tried::NotReady,
            },
            (Flavor::Channel(_), None) => return Tried::NotReady,
        }
        self.slot.lie_at(room);
        // SAFETY: the arm is on no list, so the slot is ours.
        unsafe { self.slot.replace(Content::Value) };
        Tried::Ready
    }

    fn is_ready(&self, gate: Option<&mut ChannelState>) -> bool {
        match (&self.receiver.flavor, gate) {
            // SAFETY: `gate` is the state of our channel.
            (Flavor::Channel(channel), Some(gate)) => unsafe { channel.locked_by(gate) }.can_take(),
            (Flavor::Source(source), _) => source.is_ready(),
            (Flavor::Channel(_), None) => false,
        }
    }

    fn packet(&self) -> *mut () {
        self.slot.lie_at(self.room());
        self.slot.packet()
    }

    unsafe fn link(&self, node: &Node) -> bool {
        if let Flavor::Source(source) = &self.receiver.flavor
            && let Some(waiters) = source.waiters()
        {
            // SAFETY: the caller meets the conditions of `List::link`.
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
        // A source completes the wait only when it was set again, so the arms must be tried again.
        let Flavor::Channel(_) = &self.receiver.flavor else { return false };
        was_chosen(&self.slot)
    }

    unsafe fn take_later(&self, from: Claim, own: Option<Claim>, wakes: &mut Wakes) {
        let Flavor::Channel(channel) = &self.receiver.flavor else { return };
        channel.take_later(from, own, wakes);
    }

    fn reset(&self) {
        // SAFETY: the arm is on no list, so the slot is ours.
        let Content::Value = (unsafe { self.slot.take() }) else { return };
        match &self.receiver.flavor {
            // SAFETY: the slot said that the value is there, and `take` has emptied the slot.
            Flavor::Channel(channel) => unsafe { channel.give_back(self.room()) },
            // SAFETY: as above.
            Flavor::Source(source) => source.give_back(unsafe { self.room().read() }),
        }
    }
}

/// Returns whether the arm was chosen. Returns false if its partner has told it to start again.
fn was_chosen<T>(slot: &Slot<T>) -> bool {
    // SAFETY: the wait was completed, so the slot is ours. [X2]
    match unsafe { slot.take() } {
        Content::Again => false,
        content => {
            // SAFETY: the slot is ours, as above.
            unsafe { slot.replace(content) };
            true
        }
    }
}

impl<'a, T> SendArm<'a, T> {
    /// Makes an arm that is on no list.
    pub(super) fn new(sender: &'a Sender<T>) -> Self {
        let slot = Slot::new(Content::Unmade, ptr::null_mut());
        SendArm { channel: &sender.channel, slot, chosen: Cell::new(false) }
    }

    /// Sends `value`. Returns an error that holds it if the arm was not chosen, or was finished before.
    pub(super) fn finish(&self, value: T) -> Result<(), SendError<T>> {
        if !self.chosen.take() {
            return Err(SendError(value));
        }
        // SAFETY: the slot is that of a chosen arm. A select borrows its arms exclusively until it is done, so the
        // wait has ended. [X2]
        unsafe { self.channel.settle(&self.slot, value) }
    }
}

impl<T> Arm for SendArm<'_, T> {
    fn door(&self) -> Option<&ChannelCore> {
        Some(self.channel.door())
    }

    fn sends(&self) -> bool {
        true
    }

    fn address(&self) -> *const () {
        std::ptr::from_ref(self.channel).cast()
    }

    fn attempt(&self, gate: Option<&mut ChannelState>, wakes: &mut Wakes) -> Tried {
        let Some(gate) = gate else { return Tried::NotReady };
        // SAFETY: `gate` is the state of our channel.
        let content = match unsafe { self.channel.locked_by(gate) }.reserve(wakes) {
            Some(Content::Taker(receiver)) => self.channel.owe(receiver, &self.slot),
            Some(content) => content,
            None => {
                // A partner may have left other content in the slot, so it is set again.
                // SAFETY: the arm is on no list, so the slot is ours.
                unsafe { self.slot.replace(Content::Unmade) };
                return Tried::NotReady;
            }
        };
        // SAFETY: the arm is on no list, so the slot is ours.
        unsafe { self.slot.replace(content) };
        self.chosen.set(true);
        Tried::Ready
    }

    fn is_ready(&self, gate: Option<&mut ChannelState>) -> bool {
        // SAFETY: `gate` is the state of our channel.
        gate.is_some_and(|gate| unsafe { self.channel.locked_by(gate) }.can_put())
    }

    fn packet(&self) -> *mut () {
        self.slot.packet()
    }

    fn was_chosen(&self) -> bool {
        // The lock is needed because the receiver that this arm was chosen for may leave at any time. [V10]
        let _locked = self.channel.lock();
        self.chosen.set(was_chosen(&self.slot));
        self.chosen.get()
    }

    fn reset(&self) {
        if self.chosen.take() {
            // SAFETY: the arm was chosen, and the wait has ended. [X2]
            unsafe { self.channel.let_go(&self.slot) };
        }
    }
}

impl<'a> CancelArm<'a> {
    /// Makes an arm that is on no list.
    pub(super) fn new(token: &'a CancelToken) -> Self {
        CancelArm { token }
    }
}

impl Arm for CancelArm<'_> {
    fn door(&self) -> Option<&ChannelCore> {
        None
    }

    fn told(&self) -> Told {
        ("cancel", "token", self.token.address())
    }

    fn attempt(&self, _gate: Option<&mut ChannelState>, _wakes: &mut Wakes) -> Tried {
        if self.token.is_cancelled() { Tried::Ready } else { Tried::NotReady }
    }

    fn is_ready(&self, _gate: Option<&mut ChannelState>) -> bool {
        self.token.is_cancelled()
    }

    unsafe fn link(&self, node: &Node) -> bool {
        // SAFETY: the caller meets the conditions of `List::link`.
        unsafe { self.token.core().enlist(node) }
    }

    fn unlink(&self, node: &Node) {
        self.token.core().delist(node);
    }

    fn due(&self) -> Option<u64> {
        self.token.core().deadline()
    }

    fn was_chosen(&self) -> bool {
        true
    }

    fn reset(&self) {}
}
