//! The owner-only list and the inbox against a `VecDeque`, the inbox also with real threads.
//! [L1] [B1] [B3]

use crate::{Node, assert_conserved, scaled};
use proptest::prelude::*;
use selvedge::internals::structures::{List, RemoteQueue};
use std::collections::VecDeque;
use std::thread;

#[derive(Clone, Debug)]
enum Step {
    PushBack,
    PushFront,
    PopFront,
    Append(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::PushBack),
        1 => Just(Step::PushFront),
        2 => Just(Step::PopFront),
        1 => (0usize..5).prop_map(Step::Append),
    ]
}

fn drain(list: &mut List<Node>) -> Vec<usize> {
    std::iter::from_fn(|| list.pop_front()).map(Node::unbox).collect()
}

fn fresh(ids: std::ops::Range<usize>) -> List<Node> {
    let mut list = List::new();
    for id in ids {
        // SAFETY: fresh; freed only after it was popped.
        unsafe { list.push_back(Node::boxed(id)) };
    }
    list
}

proptest! {
    #[test]
    fn list_does_as_the_oracle_says(steps in prop::collection::vec(step(), 0..200)) {
        let mut list = List::new();
        let mut oracle = VecDeque::new();
        let mut ids = 0;
        for step in steps {
            match step {
                Step::PushBack => {
                    list.append(&mut fresh(ids..ids + 1));
                    oracle.push_back(ids);
                    ids += 1;
                }
                Step::PushFront => {
                    // SAFETY: fresh; freed only after it was popped.
                    unsafe { list.push_front(Node::boxed(ids)) };
                    oracle.push_front(ids);
                    ids += 1;
                }
                Step::PopFront => {
                    prop_assert_eq!(list.pop_front().map(Node::unbox), oracle.pop_front());
                }
                Step::Append(n) => {
                    let mut tail = fresh(ids..ids + n);
                    list.append(&mut tail);
                    prop_assert_eq!((tail.len(), tail.is_empty()), (0, true));
                    oracle.extend(ids..ids + n);
                    ids += n;
                }
            }
            prop_assert_eq!((list.len(), list.is_empty()), (oracle.len(), oracle.is_empty()));
            // SAFETY: it is in the list, so it is alive.
            let front = list.front().map(|node| unsafe { node.as_ref() }.id);
            prop_assert_eq!(front, oracle.front().copied());
        }
        prop_assert_eq!(drain(&mut list), Vec::from(oracle));
    }

    #[test]
    fn inbox_gives_all_in_order(rounds in prop::collection::vec(0usize..6, 0..20)) {
        let inbox = RemoteQueue::new();
        for n in rounds {
            push(&inbox, 0..n);
            prop_assert_eq!(inbox.is_empty(), n == 0);
            prop_assert_eq!(drain_remote(&inbox), (0..n).collect::<Vec<_>>());
            prop_assert!(inbox.is_empty());
        }
    }
}

fn push(inbox: &RemoteQueue<Node>, ids: std::ops::Range<usize>) {
    for id in ids {
        // SAFETY:
        // - fresh;
        // - freed only after it was drained;
        // - a number and a link, for any thread.
        unsafe { inbox.push(Node::boxed(id)) };
    }
}

fn drain_remote(inbox: &RemoteQueue<Node>) -> Vec<usize> {
    let mut taken = Vec::new();
    let n = inbox.drain(|node| taken.push(Node::unbox(node)));
    assert_eq!(n, taken.len());
    taken
}

#[test]
fn inbox_conserves_items_and_the_order_of_each_producer() {
    const PUSHERS: usize = 3;
    const EACH: usize = scaled(30_000);
    let inbox = RemoteQueue::new();
    let taken = thread::scope(|scope| {
        let pushers: [_; PUSHERS] = std::array::from_fn(|n| {
            let inbox = &inbox;
            scope.spawn(move || push(inbox, n * EACH..(n + 1) * EACH))
        });
        let mut taken = Vec::new();
        while !pushers.iter().all(|pusher| pusher.is_finished()) {
            taken.extend(drain_remote(&inbox));
        }
        pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
        taken.extend(drain_remote(&inbox));
        taken
    });
    for n in 0..PUSHERS {
        let of_one = taken.iter().filter(|id| **id / EACH == n);
        assert!(of_one.is_sorted(), "B3: each producer's items leave in the order of its pushes");
    }
    assert_conserved(PUSHERS * EACH, taken);
}
