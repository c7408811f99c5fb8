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

/// An arm as a select has it. What `select!` expands to passes it on and can do nothing else with it.
pub struct AnyArm<'a>(pub(super) &'a dyn Arm);

/// What came of a try.
#[must_use]
pub(super) enum Tried {
    NotReady,
    /// Chosen: the arm holds what `finish` needs.
    Ready,
    /// A receive is chosen by a select that has yet to make its value.
    Later(Claim),
}

/// An arm, whatever the type of its values. Only a select calls its methods: it links the arm's node
/// in at most one list at a time, and unlinks it before node, wait or arm goes.
pub(super) trait Arm {
    /// The channel's, if it has one.
    fn door(&self) -> Option<&ChannelCore>;

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
    fn attempt(&self, gate: Option<&mut ChannelState>, wakes: &mut Wakes) -> Tried;

    /// Whether it could do its part now.
    fn is_ready(&self, gate: Option<&mut ChannelState>) -> bool;

    /// What its node carries.
    fn packet(&self) -> *mut () {
        ptr::null_mut()
    }

    /// Links its node, where there is no door; false if it is ready after all.
    ///
    /// # Safety
    /// As [`List::link`](crate::wait::List::link); the caller unlinks it by `unlink`.
    unsafe fn link(&self, _node: &Node) -> bool {
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
pub(super) struct RecvArm<'a, T> {
    receiver: &'a Receiver<T>,
    /// It leads to `room`, once that has its place.
    slot: Slot<T>,
    room: UnsafeCell<MaybeUninit<T>>,
}

/// An arm that sends. One that was chosen stays in place until it has sent, or was let go: see `debt`.
pub(super) struct SendArm<'a, T> {
    channel: &'a Channel<T>,
    /// Of a chosen arm, touched under the channel's lock alone. [V10]
    slot: Slot<T>,
    /// It was chosen, and has neither sent nor been let go.
    chosen: Cell<bool>,
}

/// An arm that waits until a token is cancelled.
pub(super) struct CancelArm<'a> {
    token: &'a CancelToken,
}

impl<'a, T> RecvArm<'a, T> {
    /// An arm that is on no list.
    pub(super) fn new(receiver: &'a Receiver<T>) -> Self {
        let slot = Slot::new(Content::Nothing, ptr::null_mut());
        RecvArm { receiver, slot, room: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// What it has received; an error unless it was chosen, and was not asked before.
    pub(super) fn finish(&self) -> Result<T, RecvError> {
        // A select borrows its arms exclusively until it is done, so the wait has ended.
        finish_recv(&self.slot)
    }

    fn room(&self) -> *mut T {
        self.room.get().cast()
    }
}

/// What the slot of a chosen arm that receives leads to.
pub(super) fn finish_recv<T>(slot: &Slot<T>) -> Result<T, RecvError> {
    // SAFETY: the wait has ended. [X2]
    match unsafe { slot.take() } {
        // SAFETY: the slot says that it is there, and says so once.
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
                // SAFETY: it is that of our door; the arm is on no list, so its room is free.
                match unsafe { channel.locked_by(gate).take(room, wakes) } {
                    Take::Value => {}
                    Take::Later(sender) => return Tried::Later(sender),
                    // The slot has nothing: an error.
                    Take::Closed => return Tried::Ready,
                    Take::Empty => return Tried::NotReady,
                }
            }
            (Flavor::Source(source), _) => match source.take(clock::now()) {
                // SAFETY: as above.
                Some(value) => unsafe { room.write(value) },
                None => return Tried::NotReady,
            },
            (Flavor::Channel(_), None) => return Tried::NotReady,
        }
        self.slot.lie_at(room);
        // SAFETY: the arm is on no list.
        unsafe { self.slot.replace(Content::Value) };
        Tried::Ready
    }

    fn is_ready(&self, gate: Option<&mut ChannelState>) -> bool {
        match (&self.receiver.flavor, gate) {
            // SAFETY: it is that of our door.
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
            // SAFETY: the caller's duty.
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
        let Content::Value = (unsafe { self.slot.take() }) else { return };
        match &self.receiver.flavor {
            // SAFETY: the slot said that it is there, and says so no more.
            Flavor::Channel(channel) => unsafe { channel.give_back(self.room()) },
            // SAFETY: as above.
            Flavor::Source(source) => source.give_back(unsafe { self.room().read() }),
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
    pub(super) fn new(sender: &'a Sender<T>) -> Self {
        let slot = Slot::new(Content::Unmade, ptr::null_mut());
        SendArm { channel: &sender.channel, slot, chosen: Cell::new(false) }
    }

    /// Sends `value`; an error that holds it unless the arm was chosen, and was not finished before.
    pub(super) fn finish(&self, value: T) -> Result<(), SendError<T>> {
        if !self.chosen.take() {
            return Err(SendError(value));
        }
        // SAFETY: it is a chosen arm's, and a select borrows its arms exclusively until it is done, so the
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
        // SAFETY: it is that of our door.
        let content = match unsafe { self.channel.locked_by(gate) }.reserve(wakes) {
            Some(Content::Taker(receiver)) => self.channel.owe(receiver, &self.slot),
            Some(content) => content,
            None => {
                // Where a partner had left it.
                // SAFETY: the arm is on no list.
                unsafe { self.slot.replace(Content::Unmade) };
                return Tried::NotReady;
            }
        };
        // SAFETY: the arm is on no list.
        unsafe { self.slot.replace(content) };
        self.chosen.set(true);
        Tried::Ready
    }

    fn is_ready(&self, gate: Option<&mut ChannelState>) -> bool {
        // SAFETY: it is that of our door.
        gate.is_some_and(|gate| unsafe { self.channel.locked_by(gate) }.can_put())
    }

    fn packet(&self) -> *mut () {
        self.slot.packet()
    }

    fn was_chosen(&self) -> bool {
        // The receiver that it was chosen for may leave. [V10]
        let _locked = self.channel.lock();
        self.chosen.set(was_chosen(&self.slot));
        self.chosen.get()
    }

    fn reset(&self) {
        if self.chosen.take() {
            // SAFETY: it was chosen, and the wait has ended. [X2]
            unsafe { self.channel.let_go(&self.slot) };
        }
    }
}

impl<'a> CancelArm<'a> {
    /// An arm that is on no list.
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
        // SAFETY: the caller's duty.
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
