//! Cancellation: a tree of tokens with deadlines. What is given a token returns early, with an error,
//! once the token or one above it is cancelled, or its deadline has passed. Nothing is unwound.
//! How: `tree`. Checked by: verification/loom/cancel.rs, proptests/cancel.rs.

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

/// Tells those who were given it to stop. Clones are the same token.
///
/// Tokens form trees: cancelling one cancels all below it, and none above. Whatever waits, here, has a
/// variant that takes a token: [`Receiver::recv_cancel`], [`JoinHandle::join_cancel`],
/// [`sleep_cancel`], [`park_cancel`]; in a select, [`done`](Self::done) is a channel like others.
/// Code that computes asks [`is_cancelled`](Self::is_cancelled), or [`check`](Self::check), now and
/// then. What can't be ended early is [`blocking`](fn@crate::blocking): the kernel has it.
///
/// A token that was cancelled stays so, and so is every child made of it later.
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

/// The token is cancelled, or its deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token is cancelled, or its deadline has passed")
    }
}

impl std::error::Error for Cancelled {}

/// Of kind [`Other`](std::io::ErrorKind::Other), with the `Cancelled` within.
impl From<Cancelled> for std::io::Error {
    fn from(cancelled: Cancelled) -> Self {
        std::io::Error::other(cancelled)
    }
}

impl CancelToken {
    /// A token without a parent and without a deadline.
    pub fn new() -> Self {
        CancelToken(Token::root(None))
    }

    /// A token without a parent, cancelled at the latest when so much time has passed.
    pub fn with_timeout(limit: Duration) -> Self {
        CancelToken::with_deadline(Instant::now().saturating_add(limit))
    }

    /// A token without a parent, cancelled at the latest at `deadline`.
    pub fn with_deadline(deadline: impl Into<Instant>) -> Self {
        CancelToken(Token::root(Some(deadline.into().nanos())))
    }

    /// A token that is cancelled when this one is; cancelling it leaves this one alone.
    ///
    /// Costs an allocation and this token's lock. When the last clone is dropped nothing of it stays
    /// here.
    pub fn child(&self) -> Self {
        CancelToken(self.0.child(None))
    }

    /// As [`child`](Self::child), cancelled at the latest when so much time has passed.
    pub fn child_with_timeout(&self, limit: Duration) -> Self {
        self.child_with_deadline(Instant::now().saturating_add(limit))
    }

    /// As [`child`](Self::child), cancelled at the latest at `deadline`, or at this one's if that is
    /// earlier.
    pub fn child_with_deadline(&self, deadline: impl Into<Instant>) -> Self {
        CancelToken(self.0.child(Some(deadline.into().nanos())))
    }

    /// Cancels this token and all below it: whoever waits under one of them is woken, and returns
    /// with an error. Doing it twice is doing it once.
    ///
    /// When it returns, all of them are cancelled, also where another call was under way. What
    /// happened before is seen by whoever finds a token cancelled. Never suspends. Costs time in the
    /// number of tokens below and of those who wait, not in their depth.
    pub fn cancel(&self) {
        trace::quick("cancel", "token", self.address());
        self.0.cancel();
    }

    /// What tells it from others.
    pub(crate) fn address(&self) -> *const () {
        (&raw const *self.0).cast()
    }

    /// Cancels the token when the guard is dropped, as when its frame is left by `?` or by a panic.
    ///
    /// ```
    /// let token = selvedge::CancelToken::new();
    /// drop(token.cancel_on_drop());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn cancel_on_drop(&self) -> CancelGuard {
        CancelGuard(Some(self.clone()))
    }

    /// Whether it, or one above it, was cancelled, or its deadline has passed. One load; with a
    /// deadline, a look at the clock as well.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled(clock::now)
    }

    /// [`is_cancelled`](Self::is_cancelled), for `?`.
    ///
    /// # Errors
    /// If it is.
    pub fn check(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    /// Why it is cancelled; `None` if it isn't.
    pub fn reason(&self) -> Option<CancelReason> {
        self.0.reason()
    }

    /// When it is cancelled at the latest: its own deadline, or an earlier one above it.
    pub fn deadline(&self) -> Option<Instant> {
        self.0.deadline().map(Instant::from_nanos)
    }

    /// How long it is until the deadline; zero if that has passed.
    pub fn remaining(&self) -> Option<Duration> {
        Some(self.deadline()?.saturating_duration_since(Instant::now()))
    }

    /// Waits until it is cancelled, or its deadline has passed. Parks a goroutine, blocks a plain
    /// thread.
    ///
    /// # Panics
    /// Inside [`no_suspend`](crate::no_suspend), unless it is cancelled already.
    #[track_caller]
    pub fn wait(&self) {
        let place = Location::caller();
        if !self.is_cancelled() {
            trace::op("wait for", "token", self.address(), place);
            let _ = self.limit().wait(&Wait::of_caller(place), place);
        }
    }

    /// What a wait under it needs.
    pub(crate) fn core(&self) -> &Arc<Token> {
        &self.0
    }

    /// The limit of a wait that ends when it is cancelled.
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

/// Cancels a token when it is dropped; made by [`CancelToken::cancel_on_drop`].
#[derive(Debug)]
#[must_use = "dropped at once, it cancels at once"]
pub struct CancelGuard(Option<CancelToken>);

impl CancelGuard {
    /// Lets the token be.
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
