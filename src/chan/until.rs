//! Until: how long a send or a receive may wait. The clock is read only if the operation must wait.
#![forbid(unsafe_code)]

use crate::cancel::CancelToken;
use crate::sched::core::wake_handle::ParkedRef;
use crate::wait::instant::Instant;
use crate::wait::limit::Outcome;
use crate::wait::{Wait, WaitLimit};
use std::panic::Location;
use std::time::Duration;

#[derive(Clone, Copy)]
pub(crate) enum Until<'a> {
    Forever,
    After(Duration),
    Deadline(Instant),
    Cancelled(&'a CancelToken),
    Limit(WaitLimit<'a>),
}

impl<'a> Until<'a> {
    /// Returns the limit. It is computed at the first call and stays the same.
    pub(crate) fn limit(&mut self) -> WaitLimit<'a> {
        let limit = match *self {
            Until::Forever => WaitLimit::NONE,
            Until::After(duration) => WaitLimit::after(duration),
            Until::Deadline(at) => WaitLimit::until(at.nanos()),
            Until::Cancelled(token) => token.limit(),
            Until::Limit(limit) => limit,
        };
        *self = Until::Limit(limit);
        limit
    }

    /// Returns the caller as a waiter, if it is allowed to wait.
    #[inline]
    pub(crate) fn caller(&self) -> Option<ParkedRef> {
        Wait::caller(matches!(self, Until::Forever))
    }

    /// Makes a wait for [`caller`](Self::caller) that can be cancelled if there is a limit.
    #[inline]
    pub(crate) fn wait(&self, who: ParkedRef) -> Wait {
        match self {
            Until::Forever => Wait::steadfast_of(who),
            _ => Wait::of(who),
        }
    }

    /// Waits until the wait that [`wait`](Self::wait) made is completed, or until the limit is reached.
    #[inline]
    pub(crate) fn end(&mut self, wait: &Wait, place: &'static Location<'static>) -> Outcome {
        match self {
            Until::Forever => Outcome::Fired(wait.until_fired(place)),
            _ => self.limit().wait(wait, place),
        }
    }

    /// Returns whether the token was cancelled before the operation tried anything.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        matches!(self, Until::Cancelled(token) if token.is_cancelled())
    }
}
