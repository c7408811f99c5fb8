//! Written: what `select!` expands to. No part of the API.
#![forbid(unsafe_code)]

use super::super::receiver::Receiver;
use super::super::sender::Sender;
use super::super::until::Until;
pub use super::arm::{Arm, CancelArm, RecvArm, SendArm};
use super::choose::{Aim, choose};
use super::{MOST_ARMS, NO_ARM};
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

/// No arm was chosen, but the default.
pub const DEFAULT: usize = usize::MAX;

/// Waits until an arm is ready. Its number.
#[track_caller]
pub fn select(arms: &[&dyn Arm]) -> usize {
    assert!(!arms.is_empty(), "{NO_ARM}");
    run(arms, Some(Until::Forever), Location::caller())
}

/// Does not wait.
#[track_caller]
pub fn try_select(arms: &[&dyn Arm]) -> usize {
    run(arms, None, Location::caller())
}

/// Waits for at most so long.
#[track_caller]
pub fn select_timeout(arms: &[&dyn Arm], limit: Duration) -> usize {
    run(arms, Some(Until::After(limit)), Location::caller())
}

fn run(arms: &[&dyn Arm], until: Option<Until<'_>>, place: &'static Location<'static>) -> usize {
    assert!(arms.len() <= MOST_ARMS, "a select has at most {MOST_ARMS} arms: split it");
    choose(arms, Aim::Do, until, place).unwrap_or(DEFAULT)
}
