//! The injector: [J1]–[J4].

use crate::harness::{Bound, Payload, Scenario, assert_conserved, assert_in_order, join, spawn};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::{AtomicU32, Ordering, fence};
use selvedge::internals::structures::{GlobalQueue, Link, Linked};
use std::ptr::NonNull;

/// An item with a link and a race-checked number; a box that travels as a pointer.
pub struct Node {
    link: Link<Node>,
    pub payload: Payload,
}

// SAFETY: the one link; nothing else touches it.
unsafe impl Linked for Node {
    fn link(&self) -> &Link<Node> {
        &self.link
    }
}

impl Node {
    /// A node on the heap, owned by whoever has the pointer.
    pub fn boxed(id: usize) -> NonNull<Node> {
        NonNull::from(Box::leak(Box::new(Node { link: Link::new(), payload: Payload::new(id) })))
    }

    /// Ends a node that has left its queue; gives its number.
    pub fn unbox(node: NonNull<Node>) -> usize {
        // SAFETY: made by `boxed`; whoever got it from a queue is its only owner. [J1] [B1]
        let node = unsafe { Box::from_raw(node.as_ptr()) };
        node.payload.take()
    }
}

fn push(injector: &GlobalQueue<Node>, id: usize) {
    // SAFETY:
    // - fresh, so in no queue;
    // - freed only after it was popped;
    // - made of race-checked cells, for any thread.
    unsafe { injector.push(Node::boxed(id)) };
}

fn push_batch(injector: &GlobalQueue<Node>, ids: std::ops::RangeInclusive<usize>) {
    // SAFETY: as in `push`; each number has a node of its own.
    unsafe { injector.push_batch(&mut ids.map(Node::boxed)) };
}

fn drain(injector: &GlobalQueue<Node>) -> Vec<usize> {
    let left: Vec<_> = std::iter::from_fn(|| injector.pop().map(Node::unbox)).collect();
    assert!(injector.is_empty(), "J4: the count follows the list");
    left
}

/// 3 threads: 2 pushers, 2 pops by main.
#[test]
fn each_item_is_popped_once() {
    Scenario {
        name: "injector: each item is popped once",
        threads: 3,
        operations: "2 push | 1 push | 2 pop",
    }
    .check(Bound::usual(), || {
        let injector = Arc::new(GlobalQueue::new());
        let pushers = [1..=2, 3..=3].map(|ids| {
            let injector = Arc::clone(&injector);
            spawn(move || ids.for_each(|id| push(&injector, id)))
        });
        let mut popped: Vec<_> = (0..2).filter_map(|_| injector.pop()).map(Node::unbox).collect();
        pushers.into_iter().for_each(join);
        popped.extend(drain(&injector));
        let of_first: Vec<_> = popped.iter().copied().filter(|id| *id < 3).collect();
        assert_in_order(&of_first);
        assert_conserved(3, popped);
    });
}

/// 3 threads: 1 batch of 3 | 1 push | 1 pop_batch of 2, which fills from the front. A batch stays
/// together.
#[test]
fn batches_stay_together() {
    Scenario {
        name: "injector: batches stay together",
        threads: 3,
        operations: "1 push_batch of 3 | 1 push | 1 pop_batch of 2",
    }
    .check(Bound::usual(), || {
        let injector = Arc::new(GlobalQueue::new());
        let pushers = [1..=3, 4..=4].map(|ids| {
            let injector = Arc::clone(&injector);
            spawn(move || push_batch(&injector, ids))
        });
        let mut popped = Vec::new();
        let n = injector.pop_batch(2, &mut |node| popped.push(Node::unbox(node)));
        assert_eq!(n, popped.len());
        assert!(injector.len() <= 4, "J4: each count was the length at some moment");
        pushers.into_iter().for_each(join);
        popped.extend(drain(&injector));
        let four = popped.iter().position(|id| *id == 4);
        assert!(matches!(four, Some(0 | 3)), "J3: a batch stays together: {popped:?}");
        popped.retain(|id| *id != 4);
        assert_eq!(popped, [1, 2, 3], "J3: a batch keeps its order");
    });
}

/// 3 threads: 2 items | 1 pop_batch each of two takers. Disjoint, and the count comes out at zero.
#[test]
fn two_takers_share_the_items() {
    Scenario {
        name: "injector: two takers share the items",
        threads: 3,
        operations: "1 push_batch of 2, 1 push | 1 pop_batch of 2 | 1 pop",
    }
    .check(Bound::usual(), || {
        let injector = Arc::new(GlobalQueue::new());
        let loot = Arc::new(GlobalQueue::new());
        push_batch(&injector, 1..=2);
        let takers = [true, false].map(|batch| {
            let (injector, loot) = (Arc::clone(&injector), Arc::clone(&loot));
            spawn(move || {
                // SAFETY: just popped, so in no queue; otherwise as in `push`.
                let mut keep = |node| unsafe { loot.push(node) };
                if batch {
                    injector.pop_batch(2, &mut keep);
                } else {
                    injector.pop().into_iter().for_each(keep);
                }
                assert!(injector.len() <= 3, "J4: each count was the length at some moment");
            })
        });
        push(&injector, 3);
        takers.into_iter().for_each(join);
        let all = [drain(&injector), drain(&loot)].concat();
        assert_conserved(3, all);
    });
}

/// 2 threads: push, fence, read the idle word | set it, fence, `is_empty`. Complete. Not both miss.
#[test]
fn fenced_recheck_misses_no_push() {
    Scenario {
        name: "injector: a fenced recheck misses no push",
        threads: 2,
        operations: "push, fence, read idle | set idle, fence, is_empty",
    }
    .check(Bound::Complete, || {
        let injector = Arc::new(GlobalQueue::new());
        let idle = Arc::new(AtomicU32::new(0));
        let parker = {
            let (injector, idle) = (Arc::clone(&injector), Arc::clone(&idle));
            spawn(move || {
                idle.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if injector.is_empty() {
                    idle.fetch_add(2, Ordering::Relaxed);
                }
            })
        };
        push(&injector, 1);
        fence(Ordering::SeqCst);
        let saw_idle = idle.load(Ordering::Relaxed) != 0;
        join(parker);
        let went_to_sleep = idle.load(Ordering::Relaxed) == 3;
        assert!(saw_idle || !went_to_sleep, "J4: the pusher saw nobody idle, the parker no item");
        assert_eq!(drain(&injector), [1]);
    });
}
