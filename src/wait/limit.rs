//! Limit: what may end a wait early: a deadline, a token that is cancelled, or both.

use super::token::Token;
use super::{Ended, Node, Wait};
use crate::sched::core::clock;
use crate::sched::core::wake_handle::ParkedRef;
use crate::sched::suspend::park;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

/// The arm by which a cancelled token fires a wait.
pub const CANCELLED: u32 = u32::MAX / 2;

/// How long a caller is ready to wait.
#[derive(Clone, Copy, Default)]
pub struct WaitLimit<'a> {
    deadline: Option<u64>,
    token: Option<&'a Token>,
}

/// How a limited wait ended; after the last two, every node may still be linked.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Fired, through the node of this arm.
    Fired(u32),
    /// The time ran out.
    TimedOut,
    /// The token was cancelled.
    Cancelled,
}

impl<'a> WaitLimit<'a> {
    /// For ever.
    pub const NONE: WaitLimit<'static> = WaitLimit { deadline: None, token: None };

    /// Until the scheduler's clock shows `deadline`.
    pub fn until(deadline: u64) -> Self {
        WaitLimit { deadline: Some(deadline), token: None }
    }

    /// For so long from now.
    pub fn after(limit: Duration) -> Self {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        WaitLimit::until(clock::now().saturating_add(nanos))
    }

    /// Until `token` is cancelled.
    pub(crate) fn token(token: &'a Token) -> Self {
        WaitLimit { deadline: None, token: Some(token) }
    }

    /// No later than `deadline`, either.
    pub fn no_later_than(self, deadline: Option<u64>) -> Self {
        WaitLimit { deadline: earlier(self.deadline, deadline), ..self }
    }

    /// The deadline of the limit itself, not that of its token.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// The token, if there is one.
    pub(crate) fn own_token(&self) -> Option<&'a Token> {
        self.token
    }

    /// Whether it never ends a wait.
    #[inline]
    pub(crate) fn is_unlimited(&self) -> bool {
        self.deadline.is_none() && self.token.is_none()
    }

    /// A wait of the caller on one list, to be ended by [`wait`](Self::wait) with this limit.
    ///
    /// # Panics
    /// As [`Wait::of_caller`].
    pub fn begin(self, place: &'static Location<'static>) -> Wait {
        let who = Wait::caller(self.is_unlimited());
        self.begin_with(who.unwrap_or_else(|| Wait::refuse(place)))
    }

    /// As [`begin`](Self::begin), of [`Wait::caller`].
    #[inline]
    pub(crate) fn begin_with(self, who: ParkedRef) -> Wait {
        match self {
            WaitLimit { deadline: None, token: None } => Wait::steadfast_of(who),
            _ => Wait::of(who),
        }
    }

    /// Waits until `wait` is fired, or the limit is reached: then nobody will fire it any more.
    /// To be called without any list's lock.
    pub fn wait(self, wait: &Wait, place: &'static Location<'static>) -> Outcome {
        let Some(token) = self.token else { return self.wait_for(wait, place, self.deadline) };
        // Once the node is linked nothing may unwind.
        park::check_may_suspend(place);
        let node = Node::new(wait, CANCELLED, ptr::null_mut());
        // SAFETY: the node is unlinked below, and `wait_for` does not unwind.
        if !unsafe { token.enlist(&node) } && wait.cancel_wait() {
            return Outcome::Cancelled;
        }
        let deadline = earlier(self.deadline, token.deadline());
        let outcome = self.wait_for(wait, place, deadline);
        token.delist(&node);
        self.attribute_timeout(outcome)
    }

    /// Whose deadline it was.
    fn attribute_timeout(self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::TimedOut if self.token.is_some_and(|token| token.is_cancelled(clock::now)) => {
                Outcome::Cancelled
            }
            outcome => outcome,
        }
    }

    /// Parks until `ready` answers true, or the limit is reached. It is asked after each wake-up, and
    /// whatever makes it true unparks the caller. Inside `no_suspend`, panics before it parks.
    pub(crate) fn park_until(
        self,
        place: &'static Location<'static>,
        mut ready: impl FnMut() -> bool,
    ) -> Outcome {
        let wait = Wait::of_caller(place);
        let node = Node::new(&wait, CANCELLED, ptr::null_mut());
        // SAFETY: the node is unlinked below, and nothing between unwinds: `ready` is ours.
        if self.token.is_some_and(|token| unsafe { !token.enlist(&node) }) {
            return Outcome::Cancelled;
        }
        let deadline = earlier(self.deadline, self.token.and_then(Token::deadline));
        let outcome = loop {
            if ready() {
                break Outcome::Fired(0);
            }
            if wait.fired().is_some() {
                break Outcome::Cancelled;
            }
            match deadline {
                None => park::park_without_fail(place),
                Some(deadline) if park::park_until(place, deadline) => {}
                Some(_) if ready() => break Outcome::Fired(0),
                Some(_) => break Outcome::TimedOut,
            }
        };
        if let Some(token) = self.token {
            token.delist(&node);
        }
        self.attribute_timeout(outcome)
    }

    fn wait_for(
        self,
        wait: &Wait,
        place: &'static Location<'static>,
        deadline: Option<u64>,
    ) -> Outcome {
        match wait.wait(place, deadline) {
            Ended::Fired(CANCELLED) => Outcome::Cancelled,
            Ended::Fired(arm) => Outcome::Fired(arm),
            Ended::TimedOut => Outcome::TimedOut,
        }
    }
}

fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
