//! The future that ends when a token is cancelled. [V9]
//! Checked by: verification/loom/alarm.rs, proptests/runtime/awaited.rs.
#![allow(unsafe_code)]

use super::timely::Timely;
use crate::wait::token::Token;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Ends when a token is cancelled. See
/// [`CancelToken::cancelled_async`](crate::cancel::CancelToken::cancelled_async).
#[must_use = "a future waits only when it is awaited"]
pub struct CancelledAsync<'a>(Timely<'a, ()>);

impl<'a> CancelledAsync<'a> {
    pub(crate) fn new(token: &'a Token) -> Self {
        CancelledAsync(Timely::new(token))
    }
}

impl Future for CancelledAsync<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: the field is pinned as we are: nothing moves it before it is dropped.
        unsafe { self.into_ref().map_unchecked(|own| &own.0) }.poll(cx.waker())
    }
}

impl fmt::Debug for CancelledAsync<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledAsync").finish_non_exhaustive()
    }
}
