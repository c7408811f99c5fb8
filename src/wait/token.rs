//! Tree: tokens, those below them, and those who wait under them.
//!
//! cancel: for the token and all below it, breadth first: under the lock of its children set CANCELLED
//!     and note them; fire every wait enlisted. Then set COMPLETE on each.
//! child: under the parent's lock: linked, or born cancelled.   enlist: under the waiters' lock:
//!     linked, or refused.   drop: unlinked from the parent, whose last reference it may be.
//!
//! A token keeps its parent; a parent knows its children weakly. No step recurses: the depth of a tree
//! costs no stack.
//!
//! [Y1] Once `cancel` has returned, each wait under the token or one below it has been fired, and none
//! begins there.  [Y2] A token that goes leaves nothing with its parent.
//! Checked by: verification/loom/cancel.rs, proptests/cancel.rs.

use super::{List, Node, Wakes};
use crate::observe::broken;
use crate::platform::atomic::{AtomicU32, Ordering};
use crate::platform::{Arc, Mutex, Weak};
use crate::sched::core::clock;

/// Cancelled before its deadline.
const CANCELLED: u32 = 1;
/// Cancelled by somebody when its deadline had passed.
const EXPIRED: u32 = 2;
/// All below it are cancelled too.
const COMPLETE: u32 = 4;

/// A token.
pub(crate) struct Token {
    /// Bits that only come.
    word: AtomicU32,
    /// By the scheduler's clock; not later than the parent's.
    deadline: Option<u64>,
    place: Option<Place>,
    pub(crate) children: Mutex<Children>,
    waiters: Mutex<List>,
}

/// Where a token hangs.
struct Place {
    parent: Arc<Token>,
    index: usize,
}

/// Why a token is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// Somebody cancelled it, or one above it.
    Cancelled,
    /// Its deadline passed first, or that of one above it.
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

    /// A token below this one, with `deadline` or this one's, whichever is earlier.
    pub(crate) fn child(self: &Arc<Self>, deadline: Option<u64>) -> Arc<Token> {
        let deadline = match (self.deadline, deadline) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let mut children = self.children.lock();
        // Relaxed: under the lock; what came before the cancelling is not needed to be cancelled.
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

    /// Cancels it and all below it. [Y1]
    pub(crate) fn cancel(self: &Arc<Self>) {
        // Acquire: pairs with the Release below: whoever finds it complete may rely on it.
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

    /// Cancels it, and appends its children to those that are to be cancelled.
    fn cancel_alone(&self, all: &mut Vec<Arc<Token>>) {
        let why = if self.has_expired(clock::now()) { EXPIRED } else { CANCELLED };
        let children = self.children.lock();
        // Release: pairs with the Acquire in `flags`: what the canceller did before is seen.
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

    /// Whether it is cancelled, or was to be by `now`.
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

    /// When it is cancelled at the latest.
    pub(crate) fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    /// When it is cancelled as far as is known now: at once, if it is.
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

    /// Those who wait under it. Fired, all of them, once it is cancelled.
    pub(crate) fn waiters(&self) -> &Mutex<List> {
        &self.waiters
    }

    /// Links a wait, to be fired when the token is cancelled; false if it is cancelled already. [Y1]
    ///
    /// # Safety
    /// As [`List::link`]: `delist` is called before node or wait goes.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn enlist(&self, node: &Node) -> bool {
        let mut waiters = self.waiters.lock();
        // Under the lock: if it isn't cancelled now, its canceller has yet to come for the waiters.
        // mutant: wait under what is cancelled: replace self.flags() != 0 with false
        if self.flags() != 0 {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { waiters.link(node) };
        true
    }

    /// Unlinks what `enlist` has linked, if that is still linked.
    pub(crate) fn delist(&self, node: &Node) {
        self.waiters.lock().unlink(node);
    }
}

/// [Y2]
impl Drop for Token {
    fn drop(&mut self) {
        let mut place = self.place.take();
        while let Some(Place { parent, index }) = place {
            parent.children.lock().remove(index);
            // Where this was the parent's last reference, it goes here, and its own place next.
            place = Arc::into_inner(parent).and_then(|mut parent| parent.place.take());
        }
    }
}

/// Those below a token: a table with a list of its vacant slots. It is as long as there ever were
/// children at a time.
#[derive(Default)]
pub(crate) struct Children {
    pub(crate) slots: Vec<Slot>,
    /// The first vacant slot, or the table's length.
    vacant: usize,
}

pub(crate) enum Slot {
    Taken(Weak<Token>),
    /// The next vacant one, or the table's length at that time.
    Vacant(usize),
}

impl Children {
    /// A vacant slot, still so.
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
