//! Cancellation: a tree of tokens with deadlines. A call that is given a token returns early, with an error, when the
//! token or an ancestor of it is cancelled, or when its deadline has passed. No stack is unwound. The tree itself is
//! in `src/wait/token.rs`.
//! Checked by: verification/loom/cancel.rs, proptests/cancel.rs.

#[cfg(test)]
mod tests;

pub use crate::wait::token::CancelReason;

use crate::platform::Arc;
use crate::sched::core::clock;
use crate::wait::instant::Instant;
use crate::wait::token::Token;
use crate::wait::{Wait, WaitLimit, trace};
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// A token that asks its holders to stop. Clones are the same token.
///
/// Tokens form trees. Cancelling a token cancels its descendants, but not its ancestors. Most waiting functions of
/// this crate have a variant that takes a token, such as [`Receiver::recv_cancel`], [`JoinHandle::join_cancel`],
/// [`sleep_cancel`] and [`park_cancel`]. In a select, [`done`](Self::done) gives a channel that can stand beside
/// other channels. Code that computes should call [`is_cancelled`](Self::is_cancelled) or [`check`](Self::check) from
/// time to time. A [`blocking`](fn@crate::blocking) call cannot be ended early, because it is in the kernel.
///
/// A cancelled token stays cancelled, and children that are made of it later are cancelled too.
///
/// ```
/// use selvedge::{CancelToken, Runtime, chan, go};
///
/// Runtime::new()?.run(|| {
///     let (orders, inbox) = chan::bounded::<u32>(8);
///     let request = CancelToken::new();
///     let token = request.child();
///     let worker = go(move || {
///         let mut done = 0;
///         while inbox.recv_cancel(&token).is_ok() {
///             done += 1;
///         }
///         done
///     });
///     orders.send(1).unwrap();
///     orders.send(2).unwrap();
///     while !orders.is_empty() {
///         selvedge::yield_now();
///     }
///     request.cancel();
///     assert_eq!(worker.join().unwrap(), 2);
/// });
/// # Ok::<(), selvedge::BuildError>(())
/// ```
///
/// [`Receiver::recv_cancel`]: crate::chan::Receiver::recv_cancel
/// [`JoinHandle::join_cancel`]: crate::JoinHandle::join_cancel
/// [`sleep_cancel`]: crate::time::sleep_cancel
/// [`park_cancel`]: crate::park_cancel
#[derive(Clone)]
pub struct CancelToken(Arc<Token>);

/// The error that says that the token is cancelled, or that its deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token is cancelled, or its deadline has passed")
    }
}

impl std::error::Error for Cancelled {}

/// Makes an error of kind [`Other`](std::io::ErrorKind::Other) that contains the `Cancelled`.
impl From<Cancelled> for std::io::Error {
    fn from(cancelled: Cancelled) -> Self {
        std::io::Error::other(cancelled)
    }
}

impl CancelToken {
    /// Makes a token without a parent and without a deadline.
    pub fn new() -> Self {
        CancelToken(Token::root(None))
    }

    /// Makes a token without a parent that is cancelled after `limit` at the latest.
    pub fn with_timeout(limit: Duration) -> Self {
        CancelToken::with_deadline(Instant::now().saturating_add(limit))
    }

    /// Makes a token without a parent that is cancelled at `deadline` at the latest.
    pub fn with_deadline(deadline: impl Into<Instant>) -> Self {
        CancelToken(Token::root(Some(deadline.into().nanos())))
    }

    /// Makes a child token. It is cancelled when this token is cancelled. Cancelling the child does not cancel this
    /// token.
    ///
    /// Costs an allocation and the lock of this token. After the last clone of the child is dropped, this token keeps
    /// nothing of it.
    ///
    /// ```
    /// use selvedge::CancelToken;
    ///
    /// let server = CancelToken::new();
    /// let (first, second) = (server.child(), server.child());
    /// first.cancel();
    /// assert!(!server.is_cancelled() && !second.is_cancelled());
    /// server.cancel();
    /// assert!(second.is_cancelled());
    /// ```
    pub fn child(&self) -> Self {
        CancelToken(self.0.child(None))
    }

    /// Makes a child token like [`child`](Self::child) that is cancelled after `limit` at the latest.
    pub fn child_with_timeout(&self, limit: Duration) -> Self {
        self.child_with_deadline(Instant::now().saturating_add(limit))
    }

    /// Makes a child token like [`child`](Self::child) that is cancelled at the latest at `deadline`, or at the
    /// deadline of this token if that is earlier.
    pub fn child_with_deadline(&self, deadline: impl Into<Instant>) -> Self {
        CancelToken(self.0.child(Some(deadline.into().nanos())))
    }

    /// Cancels this token and its descendants. Every call that waits under one of them is woken, and returns with an
    /// error. Calling this again has no effect.
    ///
    /// When this returns, all of these tokens are cancelled, even if another `cancel` call was in progress. A thread
    /// that finds a token cancelled sees what happened before it was cancelled. Never suspends. The time grows with
    /// the number of descendants and of waiters, but not with the depth of the tree.
    pub fn cancel(&self) {
        trace::quick("cancel", "token", self.address());
        self.0.cancel();
    }

    /// Returns the identity of the token.
    pub(crate) fn address(&self) -> *const () {
        (&raw const *self.0).cast()
    }

    /// Returns a guard that cancels the token when it is dropped, for example when its frame is left by `?` or by a
    /// panic.
    ///
    /// ```
    /// let token = selvedge::CancelToken::new();
    /// drop(token.cancel_on_drop());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn cancel_on_drop(&self) -> CancelGuard {
        CancelGuard(Some(self.clone()))
    }

    /// Returns whether this token or an ancestor was cancelled, or its deadline has passed. Costs one load, and a look
    /// at the clock if there is a deadline.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled(clock::now)
    }

    /// Does the same as [`is_cancelled`](Self::is_cancelled), for use with `?`.
    ///
    /// # Errors
    /// Returns an error if the token is cancelled.
    ///
    /// ```
    /// use selvedge::{CancelToken, Cancelled};
    ///
    /// fn sum(numbers: &[u64], token: &CancelToken) -> Result<u64, Cancelled> {
    ///     let mut sum = 0;
    ///     for part in numbers.chunks(1000) {
    ///         token.check()?;
    ///         sum += part.iter().sum::<u64>();
    ///     }
    ///     Ok(sum)
    /// }
    ///
    /// let token = CancelToken::new();
    /// assert_eq!(sum(&[1, 2], &token), Ok(3));
    /// token.cancel();
    /// assert_eq!(sum(&[1, 2], &token), Err(Cancelled));
    /// ```
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Returns the reason why the token is cancelled, or `None` if it is not cancelled.
    ///
    /// ```
    /// use selvedge::{CancelReason, CancelToken};
    /// use std::time::Duration;
    ///
    /// let token = CancelToken::with_timeout(Duration::ZERO);
    /// assert_eq!(token.reason(), Some(CancelReason::DeadlinePassed));
    /// ```
    pub fn reason(&self) -> Option<CancelReason> {
        self.0.reason()
    }

    /// Returns when the token is cancelled at the latest. This is its own deadline, or an earlier deadline of an
    /// ancestor.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline().map(Instant::from_nanos)
    }

    /// Returns the time that is left until the deadline, which is zero if the deadline has passed. Returns `None` if
    /// there is no deadline.
    pub fn remaining(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_duration_since(Instant::now()))
    }

    /// Waits until the token is cancelled or its deadline has passed. Parks a goroutine or blocks a plain thread.
    ///
    /// # Panics
    /// Panics inside [`no_suspend`](crate::no_suspend), unless the token is cancelled already.
    #[track_caller]
    pub fn wait(&self) {
        let place = Location::caller();
        if !self.is_cancelled() {
            trace::op("wait for", "token", self.address(), place);
            let _ = self.limit().wait(&Wait::of_caller(place), place);
        }
    }

    /// Returns the part of the token that waits need.
    pub(crate) fn core(&self) -> &Arc<Token> {
        &self.0
    }

    /// Returns a limit for waits that end when the token is cancelled.
    pub(crate) fn limit(&self) -> WaitLimit<'_> {
        WaitLimit::token(&self.0)
    }
}

impl Default for CancelToken {
    fn default() -> Self {
        CancelToken::new()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken")
            .field("reason", &self.reason())
            .field("deadline", &self.deadline())
            .finish()
    }
}

/// A guard that cancels a token when it is dropped. Made by [`CancelToken::cancel_on_drop`].
#[derive(Debug)]
#[must_use = "if unused, the token is cancelled at once"]
pub struct CancelGuard(Option<CancelToken>);

impl CancelGuard {
    /// Drops the guard without cancelling the token.
    pub fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if let Some(token) = &self.0 {
            token.cancel();
        }
    }
}
