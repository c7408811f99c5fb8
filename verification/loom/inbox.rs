//! The inbox: [B1]–[B4].

use crate::harness::{Bound, Scenario, assert_conserved, assert_in_order, join, spawn};
use crate::injector::Node;
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::{AtomicU32, Ordering, fence};
use selvedge::internals::structures::RemoteQueue;

fn push(inbox: &RemoteQueue<Node>, id: usize) {
    // SAFETY:
    // - fresh, so in no queue;
    // - freed only after it was drained;
    // - made of race-checked cells, for any thread.
    unsafe { inbox.push(Node::boxed(id)) };
}

fn drain(inbox: &RemoteQueue<Node>) -> Vec<usize> {
    let mut taken = Vec::new();
    let n = inbox.drain(|node| taken.push(Node::unbox(node)));
    assert_eq!(n, taken.len());
    taken
}

/// 2 threads: 3 pushes | 2 drains, complete. First in, first out.
#[test]
fn items_leave_in_the_order_of_their_pushes() {
    Scenario {
        name: "inbox: items leave in the order of their pushes",
        threads: 2,
        operations: "3 push | 2 drain",
    }
    .check(Bound::Complete, || {
        let inbox = Arc::new(RemoteQueue::new());
        let pusher = {
            let inbox = Arc::clone(&inbox);
            spawn(move || (1..=3).for_each(|id| push(&inbox, id)))
        };
        let mut taken = [drain(&inbox), drain(&inbox)].concat();
        join(pusher);
        taken.extend(drain(&inbox));
        assert_eq!(taken, [1, 2, 3], "B3");
    });
}

/// 3 threads: 2 pushes | 1 push | 2 drains.
#[test]
fn each_item_is_drained_once() {
    Scenario {
        name: "inbox: each item is drained once",
        threads: 3,
        operations: "2 push | 1 push | 2 drain",
    }
    .check(Bound::usual(), || {
        let inbox = Arc::new(RemoteQueue::new());
        let pushers = [1..=2, 3..=3].map(|ids| {
            let inbox = Arc::clone(&inbox);
            spawn(move || ids.for_each(|id| push(&inbox, id)))
        });
        let mut taken = [drain(&inbox), drain(&inbox)].concat();
        pushers.into_iter().for_each(join);
        taken.extend(drain(&inbox));
        let of_first: Vec<_> = taken.iter().copied().filter(|id| *id < 3).collect();
        assert_in_order(&of_first);
        assert_conserved(3, taken);
    });
}

/// 2 threads: 2 pushes | drain, push each of them again, drain. The same node comes back while the
/// other pusher may hold it as the newest: no ABA.
#[test]
fn drained_items_may_come_back_at_once() {
    Scenario {
        name: "inbox: drained items may come back at once",
        threads: 3,
        operations: "1 push | 1 push | 1 push, drain and push again",
    }
    .check(Bound::usual(), || {
        let inbox = Arc::new(RemoteQueue::new());
        push(&inbox, 1);
        let pushers = [2, 3].map(|id| {
            let inbox = Arc::clone(&inbox);
            spawn(move || push(&inbox, id))
        });
        let mut again = Vec::new();
        inbox.drain(|node| again.push(node));
        for node in again {
            // SAFETY: just drained, so in no queue; otherwise as in `push`.
            unsafe { inbox.push(node) };
        }
        let mut taken = drain(&inbox);
        pushers.into_iter().for_each(join);
        taken.extend(drain(&inbox));
        assert_conserved(3, taken);
    });
}

/// 2 threads: push, fence, read the idle word | set it, fence, `is_empty`. Complete. Not both miss.
#[test]
fn fenced_recheck_misses_no_push() {
    Scenario {
        name: "inbox: a fenced recheck misses no push",
        threads: 2,
        operations: "push, fence, read idle | set idle, fence, is_empty",
    }
    .check(Bound::Complete, || {
        let inbox = Arc::new(RemoteQueue::new());
        let idle = Arc::new(AtomicU32::new(0));
        let owner = {
            let (inbox, idle) = (Arc::clone(&inbox), Arc::clone(&idle));
            spawn(move || {
                idle.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if inbox.is_empty() {
                    idle.fetch_add(2, Ordering::Relaxed);
                }
            })
        };
        push(&inbox, 1);
        fence(Ordering::SeqCst);
        let saw_idle = idle.load(Ordering::Relaxed) != 0;
        join(owner);
        let went_to_sleep = idle.load(Ordering::Relaxed) == 3;
        assert!(saw_idle || !went_to_sleep, "B4: the pusher saw nobody idle, the owner no item");
        assert_eq!(drain(&inbox), [1]);
    });
}
