//! The injector against a `VecDeque`, then with real threads. [J1] [J3]

use crate::{Node, assert_conserved, scaled};
use proptest::prelude::*;
use selvedge::internals::structures::GlobalQueue;
use std::collections::VecDeque;
use std::thread;

#[derive(Clone, Debug)]
enum Step {
    Push,
    PushBatch(usize),
    PushMany(usize),
    Pop,
    PopBatch(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Push),
        (0usize..6).prop_map(Step::PushBatch),
        // Some blocks.
        (0usize..1500).prop_map(Step::PushMany),
        Just(Step::Pop),
        (0usize..100).prop_map(Step::PopBatch),
    ]
}

fn push_batch(injector: &GlobalQueue<Node>, ids: std::ops::Range<usize>) {
    // SAFETY:
    // - fresh, each once;
    // - freed only after it was popped;
    // - a number and a link, for any thread.
    unsafe { injector.push_batch(&mut ids.map(Node::boxed)) };
}

fn pop_batch(injector: &GlobalQueue<Node>, max: usize) -> Vec<usize> {
    let mut batch = Vec::new();
    let n = injector.pop_batch(max, &mut |node| batch.push(Node::unbox(node)));
    assert_eq!(n, batch.len());
    batch
}

fn pop_all(injector: &GlobalQueue<Node>) -> Vec<usize> {
    std::iter::from_fn(|| injector.pop()).map(Node::unbox).collect()
}

proptest! {
    #[test]
    fn injector_does_as_the_oracle_says(steps in prop::collection::vec(step(), 0..200)) {
        let injector = GlobalQueue::new();
        let mut oracle = VecDeque::new();
        let mut ids = 0;
        for step in steps {
            match step {
                Step::Push => {
                    // SAFETY: as in `push_batch`.
                    unsafe { injector.push(Node::boxed(ids)) };
                    oracle.push_back(ids);
                    ids += 1;
                }
                Step::PushBatch(n) | Step::PushMany(n) => {
                    push_batch(&injector, ids..ids + n);
                    oracle.extend(ids..ids + n);
                    ids += n;
                }
                Step::Pop => prop_assert_eq!(injector.pop().map(Node::unbox), oracle.pop_front()),
                Step::PopBatch(max) => {
                    let expected: Vec<_> = oracle.drain(..max.min(32).min(oracle.len())).collect();
                    prop_assert_eq!(pop_batch(&injector, max), expected);
                }
            }
            prop_assert_eq!(injector.len(), oracle.len());
            prop_assert_eq!(injector.is_empty(), oracle.is_empty());
        }
        prop_assert_eq!(pop_all(&injector), Vec::from(oracle));
    }
}

#[test]
fn threads_conserve_items() {
    const PUSHERS: usize = 2;
    const EACH: usize = scaled(30_000);
    let injector = GlobalQueue::new();
    let left = thread::scope(|scope| {
        for pusher in 0..PUSHERS {
            let (injector, first) = (&injector, pusher * EACH);
            scope.spawn(move || {
                for at in (first..first + EACH).step_by(3) {
                    push_batch(injector, at..at + 3);
                }
            });
        }
        let takers = [1, 7].map(|max| {
            let injector = &injector;
            scope.spawn(move || {
                let mut taken = Vec::new();
                for _ in 0..EACH {
                    taken.extend(pop_batch(injector, max));
                }
                taken
            })
        });
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
    });
    let left = [left, pop_all(&injector)].concat();
    assert!(injector.is_empty());
    assert_conserved(PUSHERS * EACH, left);
}
