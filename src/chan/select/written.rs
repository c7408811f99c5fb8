//! Written: what `select!` expands to, as `selvedge::__macro_support`. No part of the API.
//!
//! All of it can be called by safe code of anybody, since that is what a macro expands to. So an arm shows
//! nothing but how it is made, put into a select, and finished; and none can be in two places of one select,
//! or be finished while a select waits with it, because a select borrows its arms exclusively.
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

/// A receiver, or what leads to one.
pub trait AsReceiver {
    /// Of its values.
    type Value;
    /// The receiver.
    fn as_receiver(&self) -> &Receiver<Self::Value>;
}

/// A sender, or what leads to one.
pub trait AsSender {
    /// Of its values.
    type Value;
    /// The sender.
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
    /// An arm that is on no list.
    #[inline]
    pub fn new(receiver: &'a Receiver<T>) -> Self {
        RecvArm(arm::RecvArm::new(receiver))
    }

    /// For a select.
    #[inline]
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(&self.0)
    }

    /// What it has received; an error unless it was chosen, and was not asked before.
    #[inline]
    pub fn finish(&self) -> Result<T, RecvError> {
        self.0.finish()
    }
}

impl<'a, T> SendArm<'a, T> {
    /// An arm that is on no list.
    #[inline]
    pub fn new(sender: &'a Sender<T>) -> Self {
        SendArm(arm::SendArm::new(sender))
    }

    /// For a select.
    #[inline]
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(&self.0)
    }

    /// To be finished, after it was chosen.
    #[inline]
    pub fn chosen(&self) -> Chosen<'_, 'a, T> {
        Chosen(&self.0)
    }
}

impl<'a> CancelArm<'a> {
    /// An arm that is on no list.
    #[inline]
    pub fn new(token: &'a CancelToken) -> Self {
        CancelArm(arm::CancelArm::new(token))
    }

    /// For a select.
    #[inline]
    pub fn any(&mut self) -> AnyArm<'_> {
        AnyArm(&self.0)
    }
}

/// A chosen arm whose value is being made. If that fails, the arm is let go.
pub struct Chosen<'c, 'a, T>(&'c arm::SendArm<'a, T>);

impl<T> Chosen<'_, '_, T> {
    /// Sends; an error that holds the value unless the arm was chosen.
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

/// No arm was chosen, but the default.
pub const DEFAULT: usize = usize::MAX;

/// Waits until an arm is ready. Its number.
#[track_caller]
pub fn select(arms: &[AnyArm<'_>]) -> usize {
    assert!(!arms.is_empty(), "{NO_ARM}");
    run(arms, Some(Until::Forever), Location::caller())
}

/// Does not wait.
#[track_caller]
pub fn try_select(arms: &[AnyArm<'_>]) -> usize {
    run(arms, None, Location::caller())
}

/// Waits for at most so long.
#[track_caller]
pub fn select_timeout(arms: &[AnyArm<'_>], limit: Duration) -> usize {
    run(arms, Some(Until::After(limit)), Location::caller())
}

fn run(arms: &[AnyArm<'_>], until: Option<Until<'_>>, place: &'static Location<'static>) -> usize {
    assert!(arms.len() <= MOST_ARMS, "a select has at most {MOST_ARMS} arms: split it");
    choose(arms, Aim::Do, until, place).unwrap_or(DEFAULT)
}
