//! Several deques against one `VecDeque` each: a single thread, so every answer is determined; then
//! real threads, where only conservation and order are. [D1] [D3]

use crate::{assert_conserved, scaled};
use proptest::prelude::*;
use selvedge::internals::structures::{Local, Rng, Steal, run_queue};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const DEQUES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Pop(usize),
    StealHalf { from: usize, into: usize },
    StealOne(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..DEQUES).prop_map(Step::Push),
        2 => (0..DEQUES).prop_map(Step::Pop),
        2 => (0..DEQUES, 1..DEQUES)
            .prop_map(|(from, by)| Step::StealHalf { from, into: (from + by) % DEQUES }),
        1 => (0..DEQUES).prop_map(Step::StealOne),
    ]
}

struct Pair {
    owner: Local<Box<usize>>,
    stealer: Steal<Box<usize>>,
    oracle: VecDeque<usize>,
    capacity: usize,
}

impl Pair {
    fn new(capacity: usize) -> Pair {
        let (owner, stealer) = run_queue(capacity);
        Pair { owner, stealer, oracle: VecDeque::new(), capacity }
    }

    fn push(&mut self, id: usize) {
        let mut overflowed = Vec::new();
        self.owner.push(Box::new(id), |batch| overflowed.extend(batch.map(|item| *item)));
        let mut expected = Vec::new();
        if self.oracle.len() == self.capacity {
            expected.extend(self.oracle.drain(..self.capacity / 2));
            expected.push(id);
        } else {
            self.oracle.push_back(id);
        }
        assert_eq!(overflowed, expected, "a full ring gives its older half, then the item");
    }

    fn steal_half(&mut self, into: &mut Pair) {
        let room = into.capacity - into.oracle.len();
        let n = self.oracle.len().div_ceil(2).min(room + 1);
        let mut moved = self.oracle.drain(..n);
        let expected = moved.next();
        into.oracle.extend(moved);
        assert_eq!(self.stealer.steal_half(&into.owner).map(|item| *item), expected);
    }

    fn check_lengths(&self) {
        let len = self.oracle.len();
        assert_eq!((self.owner.len(), self.stealer.len()), (len, len));
        assert_eq!(self.owner.free(), self.capacity - len);
        assert_eq!((self.owner.is_empty(), self.stealer.is_empty()), (len == 0, len == 0));
    }
}

proptest! {
    #[test]
    fn deques_do_as_the_oracle_says(
        exponents in prop::array::uniform3(1u32..5),
        steps in prop::collection::vec(step(), 0..300),
    ) {
        let mut pairs = exponents.map(|e| Pair::new(1 << e));
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(at) => pairs[at].push(id),
                Step::Pop(at) => {
                    let expected = pairs[at].oracle.pop_front();
                    assert_eq!(pairs[at].owner.pop().map(|item| *item), expected);
                }
                Step::StealOne(at) => {
                    let expected = pairs[at].oracle.pop_front();
                    assert_eq!(pairs[at].stealer.steal_one().map(|item| *item), expected);
                }
                Step::StealHalf { from, into } => {
                    let [victim, thief] = pairs.get_disjoint_mut([from, into]).unwrap();
                    victim.steal_half(thief);
                }
            }
            pairs.iter().for_each(Pair::check_lengths);
        }
        // What is left is dropped with the deques: Miri and a leak checker see to that.
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 24 }))]

    #[test]
    fn threads_conserve_items(
        exponent in 1u32..9,
        thieves in 1usize..4,
        seed in any::<u64>(),
    ) {
        run_threads(1 << exponent, thieves, seed, scaled(20_000));
    }
}

fn run_threads(capacity: usize, thieves: usize, seed: u64, items: usize) {
    let (owner, stealer) = run_queue(capacity);
    let done = AtomicBool::new(false);
    let rng = Rng::new(seed);
    let left = thread::scope(|scope| {
        let handles: Vec<_> = (0..thieves)
            .map(|n| {
                let (stealer, done) = (stealer.clone(), &done);
                scope.spawn(move || steal_until(done, &stealer, capacity, n % 2 == 0))
            })
            .collect();
        let (mut popped, mut overflowed) = (Vec::new(), Vec::new());
        for id in 0..items {
            owner.push(Box::new(id), |batch| overflowed.extend(batch.map(|item| *item)));
            if rng.below(3) == 0 {
                popped.extend(owner.pop().map(|item| *item));
            }
        }
        popped.extend(std::iter::from_fn(|| owner.pop()).map(|item| *item));
        assert!(popped.is_sorted(), "the owner takes in the order of its pushes");
        done.store(true, Ordering::Relaxed);
        let stolen = handles.into_iter().flat_map(|handle| handle.join().unwrap());
        [popped, overflowed].concat().into_iter().chain(stolen).collect()
    });
    assert_conserved(items, left);
}

fn steal_until(
    done: &AtomicBool,
    from: &Steal<Box<usize>>,
    capacity: usize,
    half: bool,
) -> Vec<usize> {
    let (own, _) = run_queue(capacity);
    let mut taken = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let first = if half { from.steal_half(&own) } else { from.steal_one() };
        taken.extend(first.map(|item| *item));
        taken.extend(std::iter::from_fn(|| own.pop()).map(|item| *item));
    }
    assert!(taken.is_sorted(), "a thief takes in the order of the pushes");
    taken
}

#[test]
fn a_push_from_within_an_overflow_loses_nothing() {
    let (owner, _stealer) = run_queue(4);
    let mut left = Vec::new();
    for id in 0..4 {
        owner.push(id, |_| unreachable!("4 items fit in 4 slots"));
    }
    owner.push(4, |batch| {
        left.extend(batch.next());
        // The claim stands, so the ring is still full and the new item comes straight back.
        owner.push(5, |inner| left.extend(inner));
        left.extend(owner.pop());
        left.extend(batch);
    });
    left.extend(std::iter::from_fn(|| owner.pop()));
    assert_eq!(left, [0, 5, 2, 1, 4, 3]);
}

#[test]
fn stealing_from_oneself_loses_nothing() {
    let (owner, stealer) = run_queue(4);
    for id in 0..4 {
        owner.push(id, |_| unreachable!("4 items fit in 4 slots"));
    }
    assert_eq!(stealer.steal_half(&owner), Some(0), "no room: only the one to run moves");
    assert_eq!(stealer.steal_half(&owner), Some(1));
    let left: Vec<_> = std::iter::from_fn(|| owner.pop()).collect();
    assert_eq!(left, [3, 2]);
}

#[test]
#[should_panic(expected = "must be a power of two")]
fn capacity_must_be_a_power_of_two() {
    let _ = run_queue::<u32>(3);
}
