//! Limit: what may end a wait early, namely a deadline, the cancelling of a token, or both.

use super::token::Token;
use super::{Ended, Node, Wait};
use crate::sched::core::clock;
use crate::sched::core::wake_handle::ParkedRef;
use crate::sched::suspend::park;
use std::panic::Location;
use std::ptr;
use std::time::Duration;

/// The arm by which a cancelled token completes a wait.
pub const CANCELLED: u32 = u32::MAX / 2;

/// The limit of a wait: a deadline, a token, both or neither.
#[derive(Clone, Copy, Default)]
pub struct WaitLimit<'a> {
    deadline: Option<u64>,
    token: Option<&'a Token>,
}

/// How a limited wait ended. After `TimedOut` and `Cancelled`, every node may still be linked.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A waker completed the wait through the node of this arm.
    Fired(u32),
    /// The deadline passed.
    TimedOut,
    /// The token was cancelled.
    Cancelled,
}

impl<'a> WaitLimit<'a> {
    /// No limit.
    pub const NONE: WaitLimit<'static> = WaitLimit { deadline: None, token: None };

    /// Makes a limit that ends a wait when the scheduler's clock reaches `deadline`.
    pub fn until(deadline: u64) -> Self {
        WaitLimit { deadline: Some(deadline), token: None }
    }

    /// Makes a limit that ends a wait after this duration, counted from now.
    pub fn after(limit: Duration) -> Self {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        WaitLimit::until(clock::now().saturating_add(nanos))
    }

    /// Makes a limit that ends a wait when `token` is cancelled.
    pub(crate) fn token(token: &'a Token) -> Self {
        WaitLimit { deadline: None, token: Some(token) }
    }

    /// Adds a deadline. The earlier of the two deadlines counts.
    pub fn no_later_than(self, deadline: Option<u64>) -> Self {
        WaitLimit { deadline: earlier(self.deadline, deadline), ..self }
    }

    /// Returns the deadline of the limit itself, without that of its token.
    pub fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Returns the token, if the limit has a token.
    pub(crate) fn own_token(&self) -> Option<&'a Token> {
        self.token
    }

    /// Returns true if this limit never ends a wait.
    #[inline]
    pub(crate) fn is_unlimited(&self) -> bool {
        self.deadline.is_none() && self.token.is_none()
    }

    /// Begins a wait of the caller on one list. The wait must then be passed to [`wait`](Self::wait) with this
    /// limit.
    ///
    /// # Panics
    /// Panics if [`Wait::of_caller`] panics.
    pub fn begin(self, place: &'static Location<'static>) -> Wait {
        let who = Wait::caller(self.is_unlimited());
        self.begin_with(who.unwrap_or_else(|| Wait::refuse(place)))
    }

    /// Works like [`begin`](Self::begin), for a caller that [`Wait::caller`] has returned.
    #[inline]
    pub(crate) fn begin_with(self, who: ParkedRef) -> Wait {
        match self {
            WaitLimit { deadline: None, token: None } => Wait::steadfast_of(who),
            _ => Wait::of(who),
        }
    }

    /// Blocks the caller until `wait` is completed or the limit is reached. Once the limit is reached, no waker
    /// completes the wait any more. The caller must not hold the lock of any list.
    pub fn wait(self, wait: &Wait, place: &'static Location<'static>) -> Outcome {
        let Some(token) = self.token else { return self.wait_for(wait, place, self.deadline) };
        // This check comes first, because nothing may unwind once the node is linked.
        park::check_may_suspend(place);
        let node = Node::new(wait, CANCELLED, ptr::null_mut());
        // SAFETY: the node is in no list, and `delist` unlinks it below, because `wait_for` does not unwind. So node
        // and wait do not move while the node is linked.
        if !unsafe { token.enlist(&node) } && wait.cancel_wait() {
            return Outcome::Cancelled;
        }
        let deadline = earlier(self.deadline, token.deadline());
        let outcome = self.wait_for(wait, place, deadline);
        token.delist(&node);
        self.attribute_timeout(outcome)
    }

    /// Decides whether the deadline that passed was the limit's own or that of its token.
    fn attribute_timeout(self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::TimedOut if self.token.is_some_and(|token| token.is_cancelled(clock::now)) => {
                Outcome::Cancelled
            }
            outcome => outcome,
        }
    }

    /// Parks the caller until `ready` returns true, or the limit is reached. `ready` is called after each wake-up.
    /// The code that makes `ready` return true must unpark the caller. Panics before parking inside `no_suspend`.
    pub(crate) fn park_until(
        self,
        place: &'static Location<'static>,
        mut ready: impl FnMut() -> bool,
    ) -> Outcome {
        let wait = Wait::of_caller(place);
        let node = Node::new(&wait, CANCELLED, ptr::null_mut());
        // SAFETY: the node is in no list, and `delist` unlinks it below. Nothing in between unwinds, because `ready`
        // is our own code. So node and wait do not move while the node is linked.
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
