//! Select: waits for several channels at once, and does with one of them what comes first.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | `Select`, for a list of arms that is made at run time |
//! | `macros` | `select!`, for arms written down |
//! | `choose` | how one is chosen |
//! | `arm` | what an arm does |
//! | `few` | up to 64 things in a frame |
//! Checked by: verification/loom/select.rs, proptests/runtime/select.rs.
#![allow(unsafe_code)]

mod arm;
mod choose;
mod few;
mod macros;
pub mod written;

use crate::cancel::CancelToken;
use crate::chan::error::{RecvError, SelectTimeoutError, SendError, TrySelectError};
use crate::chan::receiver::Receiver;
use crate::chan::sender::Sender;
use crate::chan::slot::Slot;
use crate::chan::until::Until;
use crate::wait::instant::Instant;
use arm::{AnyArm, Arm, CancelArm, RecvArm, SendArm};
use choose::{Aim, choose};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// The most arms that a select has.
pub const MOST_ARMS: usize = 64;

const NO_ARM: &str =
    "select with no arm would wait for ever: add one, or use try_select, or a time limit";

type Place = &'static Location<'static>;

/// A select over a list of arms that is made at run time. Where the arms are known beforehand,
/// [`select!`](crate::select) is shorter and allocates nothing.
///
/// A select waits until one of its arms is ready, and does that arm's part; of those that are ready at
/// once, a random one. One channel may stand in several arms. An arm of a closed channel is ready: it
/// brings the error. It may be used again and again.
///
/// ```
/// use selvedge::chan::{Select, bounded};
///
/// let (tx, rx) = bounded(1);
/// let (full, _keep) = bounded::<i32>(0);
/// tx.send(7).unwrap();
///
/// let mut select = Select::new();
/// let receives = select.recv(&rx);
/// let sends = select.send(&full);
/// let chosen = select.select();
/// match chosen.index() {
///     i if i == receives => assert_eq!(chosen.recv(&rx), Ok(7)),
///     i if i == sends => chosen.send(&full, 8).unwrap(),
///     _ => unreachable!(),
/// }
/// ```
#[derive(Default)]
pub struct Select<'a> {
    arms: Vec<(usize, Box<dyn Arm + 'a>)>,
    next: usize,
}

impl<'a> Select<'a> {
    /// A select without arms.
    pub fn new() -> Self {
        Select::default()
    }

    /// Adds an arm that receives. Allocates. The answer is its index.
    ///
    /// # Panics
    /// If there are 64 arms.
    #[track_caller]
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(Box::new(RecvArm::new(receiver)))
    }

    /// Adds an arm that sends. Its value is needed only when it was chosen. Allocates. The answer is
    /// its index.
    ///
    /// # Panics
    /// If there are 64 arms.
    #[track_caller]
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(Box::new(SendArm::new(sender)))
    }

    /// Adds an arm that is ready once `token` is cancelled. Allocates. The answer is its index.
    ///
    /// # Panics
    /// If there are 64 arms.
    #[track_caller]
    pub fn cancel(&mut self, token: &'a CancelToken) -> usize {
        self.add(Box::new(CancelArm::new(token)))
    }

    #[track_caller]
    fn add(&mut self, arm: Box<dyn Arm + 'a>) -> usize {
        assert!(self.arms.len() < MOST_ARMS, "a select has at most {MOST_ARMS} arms: split it");
        let index = self.next;
        self.next += 1;
        self.arms.push((index, arm));
        index
    }

    /// Removes an arm. The indices of the others stay as they are, and its own is not used again.
    ///
    /// # Panics
    /// If there is no such arm.
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        let at = self.arms.iter().position(|(own, _)| *own == index);
        let (_, arm) =
            self.arms.remove(at.unwrap_or_else(|| panic!("no arm has the index {index}")));
        arm.reset();
    }

    /// Waits until an arm is ready, and does its part, which is finished by what is returned. Parks a
    /// goroutine; blocks a plain thread.
    ///
    /// # Panics
    /// If there is no arm, which would wait for ever; inside [`no_suspend`](crate::no_suspend), if it
    /// would wait.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'_> {
        assert!(!self.arms.is_empty(), "{NO_ARM}");
        let at = self.choose(Aim::Do, Some(Until::Forever), Location::caller());
        self.selected(at.expect("no limit was set"))
    }

    /// As [`select`](Self::select), without waiting; see [`Receiver::try_recv`] for one exception.
    ///
    /// # Errors
    /// If no arm is ready.
    #[track_caller]
    pub fn try_select(&mut self) -> Result<SelectedOperation<'_>, TrySelectError> {
        match self.choose(Aim::Do, None, Location::caller()) {
            Some(at) => Ok(self.selected(at)),
            None => Err(TrySelectError),
        }
    }

    /// As [`select`](Self::select), for at most so long. Without an arm it just waits.
    ///
    /// # Errors
    /// If the time runs out.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would wait.
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<SelectedOperation<'_>, SelectTimeoutError> {
        let at = self.choose(Aim::Do, Some(Until::After(limit)), Location::caller());
        at.map(|at| self.selected(at)).ok_or(SelectTimeoutError)
    }

    /// As [`select_timeout`](Self::select_timeout), until `deadline`.
    ///
    /// # Errors
    /// If the time runs out.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would wait.
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: impl Into<Instant>,
    ) -> Result<SelectedOperation<'_>, SelectTimeoutError> {
        let until = Until::Deadline(deadline.into());
        let at = self.choose(Aim::Do, Some(until), Location::caller());
        at.map(|at| self.selected(at)).ok_or(SelectTimeoutError)
    }

    /// Waits until an arm is ready, and says which one, but doesn't do its part: by the time that the
    /// caller does, somebody else may have been quicker. Parks a goroutine; blocks a plain thread.
    ///
    /// # Panics
    /// As [`select`](Self::select).
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert!(!self.arms.is_empty(), "{NO_ARM}");
        let at = self.choose(Aim::Know, Some(Until::Forever), Location::caller());
        self.arms[at.expect("no limit was set")].0
    }

    /// As [`ready`](Self::ready), without waiting.
    ///
    /// # Errors
    /// If no arm is ready.
    #[track_caller]
    pub fn try_ready(&mut self) -> Result<usize, TrySelectError> {
        let at = self.choose(Aim::Know, None, Location::caller());
        at.map(|at| self.arms[at].0).ok_or(TrySelectError)
    }

    /// As [`ready`](Self::ready), for at most so long.
    ///
    /// # Errors
    /// If the time runs out.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), if it would wait.
    #[track_caller]
    pub fn ready_timeout(&mut self, limit: Duration) -> Result<usize, SelectTimeoutError> {
        let at = self.choose(Aim::Know, Some(Until::After(limit)), Location::caller());
        at.map(|at| self.arms[at].0).ok_or(SelectTimeoutError)
    }

    fn choose(&mut self, aim: Aim, until: Option<Until<'_>>, place: Place) -> Option<usize> {
        let mut arms = few::ArrayVec::new();
        for (_, arm) in &self.arms {
            // What an operation has left that was not finished, and not dropped either.
            arm.reset();
            arms.push(AnyArm(&**arm));
        }
        choose(&arms, aim, until, place)
    }

    fn selected(&mut self, at: usize) -> SelectedOperation<'_> {
        let (index, arm) = &self.arms[at];
        SelectedOperation { index: *index, arm: &**arm }
    }
}

/// What a forgotten operation has left goes back.
impl Drop for Select<'_> {
    fn drop(&mut self) {
        self.arms.iter().for_each(|(_, arm)| arm.reset());
    }
}

impl fmt::Debug for Select<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Select").field("arms", &self.arms.len()).finish()
    }
}

/// An arm that was chosen, to be finished by [`recv`](Self::recv) or [`send`](Self::send).
///
/// Where it is dropped instead, nothing is lost: a value that it has received goes to the next
/// receiver, and a place that was kept for a value is free again.
#[must_use = "a chosen arm is finished by `recv` or `send`"]
pub struct SelectedOperation<'s> {
    index: usize,
    arm: &'s dyn Arm,
}

impl SelectedOperation<'_> {
    /// The index of the arm.
    pub fn index(&self) -> usize {
        self.index
    }

    /// What was received.
    ///
    /// # Errors
    /// If the channel is empty, and closed or without a sender.
    ///
    /// # Panics
    /// If the arm does not receive, or not from `receiver`.
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        let is_own = !self.arm.sends() && self.arm.address() == receiver.address();
        assert!(is_own, "the chosen arm does not receive from this receiver: ask for its index");
        // SAFETY: it is the slot of an arm of this very channel, whose values are `T`; the wait has
        // ended. [X2]
        arm::finish_recv(unsafe { &*self.arm.packet().cast::<Slot<T>>() })
    }

    /// Sends `value`. Never waits.
    ///
    /// # Errors
    /// If the channel is closed, or all receivers are gone. The error holds the value.
    ///
    /// # Panics
    /// If the arm does not send, or not to `sender`.
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        let is_own = self.arm.sends() && self.arm.address() == sender.address();
        assert!(is_own, "the chosen arm does not send to this sender: ask for its index");
        // SAFETY: as in `recv`.
        unsafe { sender.channel.settle(&*self.arm.packet().cast::<Slot<T>>(), value) }
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        self.arm.reset();
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SelectedOperation").field("index", &self.index).finish_non_exhaustive()
    }
}
