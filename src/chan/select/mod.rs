//! Select: waits for several channels at once, and performs one operation: that of the arm that is ready first.
//!
//! | file | content |
//! |---|---|
//! | `mod` | `Select`, for a list of arms that is made at run time |
//! | `macros` | `select!`, for arms that are known at compile time |
//! | `written` | the functions and types that `select!` expands to |
//! | `choose` | the algorithm that chooses an arm |
//! | `arm` | the operations of an arm |
//! | `few` | an array of up to 64 elements in a frame |
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

/// The largest number of arms that a select can have.
pub const MOST_ARMS: usize = 64;

const NO_ARM: &str =
    "a select with no arm would wait for ever: add an arm, or use try_select or a time limit";

type Place = &'static Location<'static>;

/// A select over a list of arms that is made at run time. If the arms are known at compile time,
/// [`select!`](crate::select) is shorter and allocates nothing.
///
/// A select waits until one of its arms is ready, and performs the operation of that arm. If several arms are ready at
/// once, it chooses one of them at random. The same channel may be in several arms. An arm with a closed channel is
/// ready, and its operation returns the error. A `Select` can be used again and again.
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
    /// Makes a select without arms.
    pub fn new() -> Self {
        Select::default()
    }

    /// Adds an arm that receives from `receiver`, and returns the index of the arm. Allocates.
    ///
    /// # Panics
    /// Panics if there are 64 arms already.
    #[track_caller]
    pub fn recv<T>(&mut self, receiver: &'a Receiver<T>) -> usize {
        self.add(Box::new(RecvArm::new(receiver)))
    }

    /// Adds an arm that sends to `sender`, and returns the index of the arm. The value is needed only after the arm
    /// was chosen. Allocates.
    ///
    /// # Panics
    /// Panics if there are 64 arms already.
    #[track_caller]
    pub fn send<T>(&mut self, sender: &'a Sender<T>) -> usize {
        self.add(Box::new(SendArm::new(sender)))
    }

    /// Adds an arm that is ready once `token` is cancelled, and returns the index of the arm. Allocates.
    ///
    /// # Panics
    /// Panics if there are 64 arms already.
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

    /// Removes an arm. The indices of the other arms stay the same, and the index of the removed arm is not used
    /// again.
    ///
    /// # Panics
    /// Panics if there is no such arm.
    #[track_caller]
    pub fn remove(&mut self, index: usize) {
        let at = self.arms.iter().position(|(own, _)| *own == index);
        let (_, arm) =
            self.arms.remove(at.unwrap_or_else(|| panic!("no arm has the index {index}")));
        arm.reset();
    }

    /// Waits until an arm is ready, and chooses it. The caller must finish the operation of the arm with the value
    /// that is returned. Parks a goroutine or blocks a plain thread while it waits.
    ///
    /// # Panics
    /// Panics if there is no arm, because it would wait for ever. Also panics inside [`no_suspend`](crate::no_suspend)
    /// if it would wait.
    #[track_caller]
    pub fn select(&mut self) -> SelectedOperation<'_> {
        assert!(!self.arms.is_empty(), "{NO_ARM}");
        let at = self.choose(Aim::Do, Some(Until::Forever), Location::caller());
        self.selected(at.expect("no limit was set"))
    }

    /// Chooses an arm like [`select`](Self::select), but does not wait. [`Receiver::try_recv`] describes one
    /// exception.
    ///
    /// # Errors
    /// Returns an error if no arm is ready.
    ///
    /// ```
    /// use selvedge::chan::{Select, bounded};
    ///
    /// let (tx, rx) = bounded(1);
    /// let mut select = Select::new();
    /// select.recv(&rx);
    /// assert!(select.try_select().is_err());
    /// tx.send(7).unwrap();
    /// assert_eq!(select.try_select().unwrap().recv(&rx), Ok(7));
    /// ```
    #[track_caller]
    pub fn try_select(&mut self) -> Result<SelectedOperation<'_>, TrySelectError> {
        match self.choose(Aim::Do, None, Location::caller()) {
            Some(at) => Ok(self.selected(at)),
            None => Err(TrySelectError),
        }
    }

    /// Chooses an arm like [`select`](Self::select), but waits for at most `limit`. Without an arm it waits until the
    /// time runs out.
    ///
    /// # Errors
    /// Returns an error if the time runs out.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would wait.
    #[track_caller]
    pub fn select_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<SelectedOperation<'_>, SelectTimeoutError> {
        let at = self.choose(Aim::Do, Some(Until::After(limit)), Location::caller());
        at.map(|at| self.selected(at)).ok_or(SelectTimeoutError)
    }

    /// Chooses an arm like [`select_timeout`](Self::select_timeout), but waits until `deadline` at the latest.
    ///
    /// # Errors
    /// Returns an error if the time runs out.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would wait.
    #[track_caller]
    pub fn select_deadline(
        &mut self,
        deadline: impl Into<Instant>,
    ) -> Result<SelectedOperation<'_>, SelectTimeoutError> {
        let until = Until::Deadline(deadline.into());
        let at = self.choose(Aim::Do, Some(until), Location::caller());
        at.map(|at| self.selected(at)).ok_or(SelectTimeoutError)
    }

    /// Waits until an arm is ready, and returns the index of that arm. It does not perform the operation. Another
    /// thread may be faster, so the operation may have to wait after all. Parks a goroutine or blocks a plain thread
    /// while it waits.
    ///
    /// # Panics
    /// Panics under the same conditions as [`select`](Self::select).
    #[track_caller]
    pub fn ready(&mut self) -> usize {
        assert!(!self.arms.is_empty(), "{NO_ARM}");
        let at = self.choose(Aim::Know, Some(Until::Forever), Location::caller());
        self.arms[at.expect("no limit was set")].0
    }

    /// Returns the index of an arm that is ready, like [`ready`](Self::ready), but does not wait.
    ///
    /// # Errors
    /// Returns an error if no arm is ready.
    #[track_caller]
    pub fn try_ready(&mut self) -> Result<usize, TrySelectError> {
        let at = self.choose(Aim::Know, None, Location::caller());
        at.map(|at| self.arms[at].0).ok_or(TrySelectError)
    }

    /// Returns the index of an arm that is ready, like [`ready`](Self::ready), but waits for at most `limit`.
    ///
    /// # Errors
    /// Returns an error if the time runs out.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend) if it would wait.
    #[track_caller]
    pub fn ready_timeout(&mut self, limit: Duration) -> Result<usize, SelectTimeoutError> {
        let at = self.choose(Aim::Know, Some(Until::After(limit)), Location::caller());
        at.map(|at| self.arms[at].0).ok_or(SelectTimeoutError)
    }

    fn choose(&mut self, aim: Aim, until: Option<Until<'_>>, place: Place) -> Option<usize> {
        let mut arms = few::ArrayVec::new();
        for (_, arm) in &self.arms {
            // An earlier operation may have been forgotten, neither finished nor dropped. What its arm still holds
            // goes back.
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

/// Dropping a select gives back what a forgotten operation still holds.
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

/// An arm that was chosen. The caller must finish it with [`recv`](Self::recv) or [`send`](Self::send).
///
/// Nothing is lost if it is dropped instead: a received value goes to the next receiver, and a reserved place becomes
/// free.
#[must_use = "a chosen arm is finished by `recv` or `send`"]
pub struct SelectedOperation<'s> {
    index: usize,
    arm: &'s dyn Arm,
}

impl SelectedOperation<'_> {
    /// Returns the index of the arm.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Returns the value that was received.
    ///
    /// # Errors
    /// Returns an error if the channel is empty and either closed or without a sender.
    ///
    /// # Panics
    /// Panics if the arm does not receive, or if its channel is not that of `receiver`.
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        let is_own = !self.arm.sends() && self.arm.address() == receiver.address();
        assert!(is_own, "the chosen arm does not receive from this receiver: ask for its index");
        // SAFETY: this is the slot of an arm of this same channel, so its values are `T`. The wait has ended. [X2]
        arm::finish_recv(unsafe { &*self.arm.packet().cast::<Slot<T>>() })
    }

    /// Sends `value`. Never waits.
    ///
    /// # Errors
    /// Returns an error that holds the value if the channel is closed or all receivers are gone.
    ///
    /// # Panics
    /// Panics if the arm does not send, or if its channel is not that of `sender`.
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>, value: T) -> Result<(), SendError<T>> {
        let is_own = self.arm.sends() && self.arm.address() == sender.address();
        assert!(is_own, "the chosen arm does not send to this sender: ask for its index");
        // SAFETY: as in `recv`, the slot is that of an arm of this channel, and the wait has ended.
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
