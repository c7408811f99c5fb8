//! Written: the items that `select!` expands to, as `selvedge::__macro_support`. They are not part of the API.
//!
//! Any safe code can call them, because a macro expands to code of its caller. So an arm can only be made, put into a
//! select, and finished. No arm can be in two places of one select, and no arm can be finished while a select waits
//! with it, because a select borrows its arms exclusively.
//! Checked by: verification/house/door.rs.
#![forbid(unsafe_code)]

use super::arm;
pub use super::arm::AnyArm;
use super::arm::Arm;
use super::choose::{Aim, choose};
use super::{MOST_ARMS, NO_ARM};
use crate::cancel::CancelToken;
use crate::chan::error::{RecvError, SendError};
use crate::chan::receiver::Receiver;
use crate::chan::sender::Sender;
use crate::chan::until::Until;
use std::ops::Deref;
use std::panic::Location;
use std::time::Duration;

/// A receiver, or a pointer to a receiver.
pub trait AsReceiver {
    /// The type of the values.
    type Value;
    /// Returns the receiver.
    fn as_receiver(&self) -> &Receiver<Self::Value>;
}

/// A sender, or a pointer to a sender.
pub trait AsSender {
    /// The type of the values.
    type Value;
    /// Returns the sender.
    fn as_sender(&self) -> &Sender<Self::Value>;
}

impl<T> AsReceiver for Receiver<T> {
    type Value = T;

    fn as_receiver(&self) -> &Receiver<T> {
        self
    }
}

impl<T> AsSender for Sender<T> {
    type Value = T;

    fn as_sender(&self) -> &Sender<T> {
        self
    }
}

impl<P: Deref<Target: AsReceiver>> AsReceiver for P {
    type Value = <P::Target as AsReceiver>::Value;

    fn as_receiver(&self) -> &Receiver<Self::Value> {
        (**self).as_receiver()
    }
}

impl<P: Deref<Target: AsSender>> AsSender for P {
    type Value = <P::Target as AsSender>::Value;

    fn as_sender(&self) -> &Sender<Self::Value> {
        (**self).as_sender()
    }
}

/// An arm that receives.
pub struct RecvArm<'a, T>(arm::RecvArm<'a, T>);

/// An arm that sends.
pub struct SendArm<'a, T>(arm::SendArm<'a, T>);

/// An arm that waits until a token is cancelled.
pub struct CancelArm<'a>(arm::CancelArm<'a>);

impl<'a, T> RecvArm<'a, T> {
    /// Makes an arm that is on no list.
    #[inline]
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        RecvArm(arm::RecvArm::new(receiver))
    }

    /// Returns the arm in the form that a select takes.
    #[inline]
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(&self.0)
    }

    /// Returns what the arm has received. Returns an error if the arm was not chosen, or was finished before.
    #[inline]
    pub fn finish(&self) -> Result<T, RecvError> {
        self.0.finish()
    }
}

impl<'a, T> SendArm<'a, T> {
    /// Makes an arm that is on no list.
    #[inline]
    pub fn new(sender: &'a Sender<T>) -> Self {
        SendArm(arm::SendArm::new(sender))
    }

    /// Returns the arm in the form that a select takes.
    #[inline]
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(&self.0)
    }

    /// Returns the handle that finishes the arm after it was chosen.
    #[inline]
    pub fn chosen(&self) -> Chosen<'_, 'a, T> {
        Chosen(&self.0)
    }
}

impl<'a> CancelArm<'a> {
    /// Makes an arm that is on no list.
    #[inline]
    pub fn new(token: &'a CancelToken) -> Self {
        CancelArm(arm::CancelArm::new(token))
    }

    /// Returns the arm in the form that a select takes.
    #[inline]
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(&self.0)
    }
}

/// A chosen arm that has no value yet. If it is dropped without a value, the arm is released.
pub struct Chosen<'c, 'a, T>(&'c arm::SendArm<'a, T>);

impl<T> Chosen<'_, '_, T> {
    /// Sends `value`. Returns an error that holds the value if the arm was not chosen or the channel is closed.
    #[inline]
    pub fn finish(self, value: T) -> Result<(), SendError<T>> {
        self.0.finish(value)
    }
}

impl<T> Drop for Chosen<'_, '_, T> {
    fn drop(&mut self) {
        self.0.reset();
    }
}

/// The number that stands for the default: no arm was chosen.
pub const DEFAULT: usize = usize::MAX;

/// Waits until an arm is ready, and returns its number.
#[track_caller]
pub fn select(arms: &[AnyArm<'_>]) -> usize {
    assert!(!arms.is_empty(), "{NO_ARM}");
    run(arms, Some(Until::Forever), Location::caller())
}

/// Returns the number of an arm that is ready, or `DEFAULT`. Does not wait.
#[track_caller]
pub fn try_select(arms: &[AnyArm<'_>]) -> usize {
    run(arms, None, Location::caller())
}

/// Waits for at most `limit` until an arm is ready. Returns its number, or `DEFAULT`.
#[track_caller]
pub fn select_timeout(arms: &[AnyArm<'_>], limit: Duration) -> usize {
    run(arms, Some(Until::After(limit)), Location::caller())
}

fn run(arms: &[AnyArm<'_>], until: Option<Until<'_>>, place: &'static Location<'static>) -> usize {
    assert!(arms.len() <= MOST_ARMS, "a select has at most {MOST_ARMS} arms: split it");
    choose(arms, Aim::Do, until, place).unwrap_or(DEFAULT)
}
