//! Tokens: the tree of tokens, and the waits under each of them.
//!
//! cancel: for the token and all tokens below it, breadth first: under the lock of its children, set CANCELLED and
//! collect the children; complete every enlisted wait. Then set COMPLETE on each of these tokens.
//! child: under the parent's lock: linked, or already cancelled when it is made.   enlist: under the waiters' lock:
//! linked, or refused.
//! drop: unlinked from the parent, which is dropped too if this was its last reference.
//!
//! A token owns a reference to its parent; a parent has weak references to its children. No step is recursive, so a
//! deep tree needs no stack.
//!
//! [Y1] Once `cancel` has returned, each wait under the token or a token below it is completed, and no wait begins
//! there.  [Y2] A token that is dropped leaves nothing behind in its parent.
//! Checked by: verification/loom/cancel.rs, proptests/cancel.rs.

use super::{List, Node, Wakes};
use crate::observe::broken;
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::{Arc, Mutex, Weak};
use crate::sched::core::clock;

/// The token was cancelled before its deadline.
const CANCELLED: u32 = 1;
/// The token was cancelled by a call that came after its deadline.
const EXPIRED: u32 = 2;
/// All tokens below this token are cancelled, too.
const COMPLETE: u32 = 4;

/// A token.
pub(crate) struct Token {
    /// Bits that are set and never cleared.
    word: AtomicU32,
    /// The deadline by the scheduler's clock. It is not later than the parent's deadline.
    deadline: Option<u64>,
    place: Option<Place>,
    pub(crate) children: Mutex<Children>,
    waiters: Mutex<List>,
}

/// The position of a token below its parent.
struct Place {
    parent: Arc<Token>,
    index: usize,
}

/// Why a token is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// The token, or a token above it, was cancelled.
    Cancelled,
    /// The deadline of the token, or of a token above it, passed first.
    DeadlinePassed,
}

impl Token {
    pub(crate) fn root(deadline: Option<u64>) -> Arc<Token> {
        Arc::new(Token::new(0, deadline, None))
    }

    fn new(word: u32, deadline: Option<u64>, place: Option<Place>) -> Token {
        Token {
            word: AtomicU32::new(word),
            deadline,
            place,
            children: Mutex::new(Children::default()),
            waiters: Mutex::new(List::new()),
        }
    }

    /// Makes a token below this token. Its deadline is the earlier of `deadline` and this token's deadline.
    pub(crate) fn child(self: &Arc<Self>, deadline: Option<u64>) -> Arc<Token> {
        let deadline = match (self.deadline, deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let mut children = self.children.lock();
        // Relaxed: the flags are read under the lock, and the child needs nothing that happened before the
        // cancelling.
        let word = self.word.load(Ordering::Relaxed);
        if word != 0 {
            return Arc::new(Token::new(word | COMPLETE, deadline, None));
        }
        let index = children.vacant();
        let place = Some(Place { parent: Arc::clone(self), index });
        let child = Arc::new(Token::new(0, deadline, place));
        children.put(index, Arc::downgrade(&child));
        child
    }

    /// Cancels this token and all tokens below it. [Y1]
    pub(crate) fn cancel(self: &Arc<Self>) {
        // Acquire: pairs with the Release below, so that a caller that finds COMPLETE set may rely on it.
        if self.word.load(Ordering::Acquire) & COMPLETE != 0 {
            return;
        }
        let mut all = vec![Arc::clone(self)];
        let mut next = 0;
        while let Some(token) = all.get(next).map(Arc::clone) {
            token.cancel_alone(&mut all);
            next += 1;
        }
        for token in &all {
            // Release: pairs with the Acquire above.
            token.word.fetch_or(COMPLETE, Ordering::Release);
        }
    }

    /// Cancels only this token, and appends its children to `all`, the tokens that are still to be cancelled.
    fn cancel_alone(&self, all: &mut Vec<Arc<Token>>) {
        let why = if self.has_expired(clock::now()) { EXPIRED } else { CANCELLED };
        let children = self.children.lock();
        // Release: pairs with the Acquire in `flags`, so that what happened before the cancelling is visible to the
        // reader.
        self.word.fetch_or(why, Ordering::Release);
        // mutant: drop word to those below
        all.extend(children.alive());
        drop(children);
        let mut wakes = Wakes::new();
        let mut waiters = self.waiters.lock();
        while let Some(claim) = waiters.claim() {
            wakes.push(claim.complete());
        }
        drop(waiters);
        wakes.wake();
    }

    /// Returns true if the token is cancelled, or if its deadline is not after `now`.
    pub(crate) fn is_cancelled(&self, now: impl FnOnce() -> u64) -> bool {
        self.flags() != 0 || self.deadline.is_some_and(|deadline| deadline <= now())
    }

    pub(crate) fn reason(&self) -> Option<CancelReason> {
        match self.flags() {
            0 if self.has_expired(clock::now()) => Some(CancelReason::DeadlinePassed),
            0 => None,
            word if word & CANCELLED != 0 => Some(CancelReason::Cancelled),
            _ => Some(CancelReason::DeadlinePassed),
        }
    }

    /// Returns the deadline, if there is one.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// Returns the time at which the token is cancelled, as far as is known now. Returns 0 if the token is already
    /// cancelled.
    pub(crate) fn due(&self) -> Option<u64> {
        if self.flags() != 0 { Some(0) } else { self.deadline }
    }

    fn has_expired(&self, now: u64) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }

    fn flags(&self) -> u32 {
        // Acquire: pairs with the Release in `cancel_alone`.
        self.word.load(Ordering::Acquire)
    }

    /// Returns the list of waits under this token. All of them are completed when the token is cancelled.
    pub(crate) fn waiters(&self) -> &Mutex<List> {
        &self.waiters
    }

    /// Links a wait that is completed when the token is cancelled. Returns false if the token is already cancelled.
    /// [Y1]
    ///
    /// # Safety
    /// The caller must keep the safety contract of [`List::link`], and must call `delist` before node or wait is
    /// dropped.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn enlist(&self, node: &Node) -> bool {
        let mut waiters = self.waiters.lock();
        // The lock is held during this check. If the token is not cancelled now, its canceller has not yet taken the
        // waiters, and will complete this wait too.
        // mutant: wait under what is cancelled: replace self.flags() != 0 with false
        if self.flags() != 0 {
            return false;
        }
        // SAFETY: the caller guarantees what `link` requires of the node and its wait.
        unsafe { waiters.link(node) };
        true
    }

    /// Unlinks the node that `enlist` has linked, if it is still linked.
    pub(crate) fn delist(&self, node: &Node) {
        self.waiters.lock().unlink(node);
    }
}

/// Unlinks the token from its parent. [Y2]
impl Drop for Token {
    fn drop(&mut self) {
        let mut place = self.place.take();
        while let Some(Place { parent, index }) = place {
            parent.children.lock().remove(index);
            // If this was the last reference to the parent, the parent is dropped here. The next round of the loop
            // then unlinks the parent from its own parent.
            place = Arc::into_inner(parent).and_then(|mut parent| parent.place.take());
        }
    }
}

/// The tokens below a token: a table with a list of its vacant slots. The length of the table is the greatest
/// number of children so far.
#[derive(Default)]
pub(crate) struct Children {
    pub(crate) slots: Vec<Slot>,
    /// The first vacant slot, or the table's length if there is none.
    vacant: usize,
}

pub(crate) enum Slot {
    Taken(Weak<Token>),
    /// The next vacant slot, or the length of the table when this slot became vacant.
    Vacant(usize),
}

impl Children {
    /// Returns the index of a vacant slot, without taking it.
    fn vacant(&mut self) -> usize {
        if self.vacant == self.slots.len() {
            self.slots.push(Slot::Vacant(self.vacant + 1));
        }
        self.vacant
    }

    fn put(&mut self, index: usize, child: Weak<Token>) {
        let Slot::Vacant(next) = std::mem::replace(&mut self.slots[index], Slot::Taken(child))
        else {
            broken("put", "a vacant slot", "a child");
        };
        self.vacant = next;
    }

    fn remove(&mut self, index: usize) {
        self.slots[index] = Slot::Vacant(self.vacant);
        self.vacant = index;
    }

    fn alive(&self) -> impl Iterator<Item = Arc<Token>> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Taken(child) => child.upgrade(),
            Slot::Vacant(_) => None,
        })
    }
}
