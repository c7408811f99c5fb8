//! Cancelled: a token used as a channel, and as a future that becomes ready when the token is cancelled. [V9]
//! Checked by: verification/loom/alarm.rs, proptests/runtime/awaited.rs.
#![allow(unsafe_code)]

use super::Receiver;
use super::source::Source;
use super::timely::SourceFuture;
use crate::cancel::CancelToken;
use crate::platform::{Arc, Mutex};
use crate::wait::List;
use crate::wait::token::Token;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

impl CancelToken {
    /// Returns a future that waits like [`wait`](Self::wait). It becomes ready when the token is cancelled or its
    /// deadline has passed. Any executor can await it.
    ///
    /// # Panics
    /// The future panics if it is polled again after it was ready. If the token has a deadline, the future also panics
    /// under the same conditions as that of [`sleep_async`](crate::time::sleep_async).
    ///
    /// ```
    /// use selvedge::{CancelToken, block_on};
    /// use std::time::Duration;
    ///
    /// let token = CancelToken::with_timeout(Duration::from_millis(1));
    /// block_on(token.cancelled_async());
    /// assert!(token.is_cancelled());
    /// ```
    pub fn cancelled_async(&self) -> CancelledAsync<'_> {
        CancelledAsync::new(self.core())
    }

    /// Returns a receiver that has a value `()` at any time after the token is cancelled, as often as it is asked. It
    /// is meant for a select, where it can stand beside other receivers.
    ///
    /// ```
    /// use selvedge::{CancelToken, chan};
    ///
    /// let token = CancelToken::new();
    /// let (_tx, numbers) = chan::bounded::<i32>(1);
    /// token.cancel();
    /// let stopped = token.done();
    /// let done = selvedge::select! {
    ///     recv(numbers) -> _ => false,
    ///     recv(stopped) -> _ => true,
    /// };
    /// assert!(done);
    /// ```
    pub fn done(&self) -> Receiver<()> {
        Receiver::of_source(Arc::<Token>::clone(self.core()))
    }
}

/// The source of the receiver that `done` returns.
impl Source<()> for Token {
    fn take(&self, now: u64) -> Option<()> {
        self.is_cancelled(|| now).then_some(())
    }

    fn kind(&self) -> &'static str {
        "token"
    }

    fn due(&self) -> Option<u64> {
        Token::due(self)
    }

    fn waiters(&self) -> Option<&Mutex<List>> {
        Some(Token::waiters(self))
    }
}

/// A future that becomes ready when a token is cancelled. See
/// [`CancelToken::cancelled_async`](crate::cancel::CancelToken::cancelled_async).
#[must_use = "a future waits only when it is awaited"]
pub struct CancelledAsync<'a>(SourceFuture<'a, ()>);

impl<'a> CancelledAsync<'a> {
    pub(crate) fn new(token: &'a Token) -> Self {
        CancelledAsync(SourceFuture::new(token))
    }
}

impl Future for CancelledAsync<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the field is pinned because `self` is pinned, and nothing moves the field before it is dropped.
        unsafe { self.into_ref().map_unchecked(|own| &own.0) }.poll(cx.waker())
    }
}

impl fmt::Debug for CancelledAsync<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledAsync").finish_non_exhaustive()
    }
}
