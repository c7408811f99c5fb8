//! Cancellation: a tree of tokens with deadlines. What is given a token returns early, with an error,
//! once the token or one above it is cancelled, or its deadline has passed. Nothing is unwound.
//!
//! cancel: set the flag, fire every wait enlisted, take the children; then the same for each of them.
//! child: under the parent's lock: linked, or born cancelled.   enlist: under the lock: linked, or refused.
//! [Y1] Once `cancel` has returned, no wait under the token or under one below it goes on.
//! Checked by: verification/loom/wait.rs.
#![allow(unsafe_code)]

use crate::platform::atomic::{AtomicBool, Ordering};
use crate::platform::{Arc, Mutex, Weak};
use crate::sched;
use crate::wait::{List, Node};
use std::fmt;
use std::time::Duration;

/// A token that tells those who were given it to stop. Clones are the same token.
///
/// ```
/// use selvedge::CancelToken;
///
/// let request = CancelToken::new();
/// let query = request.child();
/// request.cancel();
/// assert!(query.is_cancelled());
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<Inner>);

struct Inner {
    cancelled: AtomicBool,
    /// By the scheduler's clock; not later than the parent's.
    deadline: Option<u64>,
    parent: Option<CancelToken>,
    state: Mutex<State>,
}

struct State {
    waiters: List,
    children: Vec<Weak<Inner>>,
}

impl CancelToken {
    /// A token without a parent and without a deadline.
    pub fn new() -> Self {
        CancelToken::with(None, None)
    }

    /// A token that is cancelled when this one is; cancelling it leaves this one alone.
    pub fn child(&self) -> Self {
        CancelToken::below(self, self.0.deadline)
    }

    /// As [`child`](Self::child), cancelled at the latest when so much time has passed.
    pub fn child_with_timeout(&self, limit: Duration) -> Self {
        let nanos = u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX);
        let own = sched::now().saturating_add(nanos);
        CancelToken::below(self, Some(self.0.deadline.map_or(own, |deadline| deadline.min(own))))
    }

    fn below(parent: &CancelToken, deadline: Option<u64>) -> Self {
        let child = CancelToken::with(Some(parent.clone()), deadline);
        let mut state = parent.0.state.lock();
        if parent.flag() {
            drop(state);
            child.cancel();
        } else {
            if state.children.len() == state.children.capacity() {
                // Amortized: those that are gone make room first.
                state.children.retain(|child| child.strong_count() > 0);
            }
            state.children.push(Arc::downgrade(&child.0));
        }
        child
    }

    fn with(parent: Option<CancelToken>, deadline: Option<u64>) -> Self {
        let state = Mutex::new(State { waiters: List::new(), children: Vec::new() });
        CancelToken(Arc::new(Inner { cancelled: AtomicBool::new(false), deadline, parent, state }))
    }

    /// Cancels this token and all below it: whoever waits under one of them is woken, and returns
    /// with an error. Never suspends. Doing it twice is doing it once.
    pub fn cancel(&self) {
        let mut rest = vec![self.clone()];
        while let Some(token) = rest.pop() {
            let mut wakes = Vec::new();
            let mut state = token.0.state.lock();
            // Release: pairs with the Acquire in `flag`: what the canceller did before is seen.
            token.0.cancelled.swap(true, Ordering::Release);
            while let Some(claim) = state.waiters.claim() {
                wakes.push(claim.fire());
            }
            let children = std::mem::take(&mut state.children);
            drop(state);
            wakes.into_iter().for_each(crate::wait::Wake::wake);
            rest.extend(children.iter().filter_map(Weak::upgrade).map(CancelToken));
        }
    }

    /// Whether it, or one above it, was cancelled, or its deadline has passed.
    pub fn is_cancelled(&self) -> bool {
        self.flag() || self.0.deadline.is_some_and(|deadline| sched::now() >= deadline)
    }

    fn flag(&self) -> bool {
        // Acquire: pairs with the Release in `cancel`.
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// When it is cancelled at the latest, by the scheduler's clock.
    pub(crate) fn deadline_nanos(&self) -> Option<u64> {
        self.0.deadline
    }

    /// Links a wait, to be fired when the token is cancelled; false if it is cancelled already. [Y1]
    ///
    /// # Safety
    /// As [`List::link`]: `delist` is called before node or wait goes.
    pub(crate) unsafe fn enlist(&self, node: &Node) -> bool {
        let mut state = self.0.state.lock();
        if self.flag() {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { state.waiters.link(node) };
        true
    }

    /// Unlinks what `enlist` has linked, if that is still linked.
    pub(crate) fn delist(&self, node: &Node) {
        self.0.state.lock().waiters.unlink(node);
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
            .field("cancelled", &self.is_cancelled())
            .field("has_parent", &self.0.parent.is_some())
            .finish()
    }
}
