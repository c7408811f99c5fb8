//! The heap of deadlines against a `BTreeMap` in order of deadlines and pushes. [N1] [N2]

use proptest::prelude::*;
use selvedge::internals::structures::{Heap, NEVER, Ticket};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Step {
    Push(u64),
    PopDue(u64),
    /// Of all tickets ever given, that one: it may have left long ago.
    Cancel(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..40).prop_map(Step::Push),
        3 => (0u64..40).prop_map(Step::PopDue),
        3 => any::<prop::sample::Index>().prop_map(Step::Cancel),
    ]
}

/// Items by deadline and number; numbers are given in order of pushes.
type Oracle = BTreeMap<(u64, u32), ()>;

fn check(heap: &Heap<u32>, oracle: &Oracle) {
    assert_eq!(heap.len(), oracle.len());
    assert_eq!(heap.is_empty(), oracle.is_empty());
    assert_eq!(heap.nearest(), oracle.keys().next().map_or(NEVER, |(deadline, _)| *deadline));
}

fn pop_due(heap: &mut Heap<u32>, oracle: &mut Oracle, now: u64) {
    let first = oracle.keys().next().copied().filter(|(deadline, _)| *deadline <= now);
    assert_eq!(heap.pop_due(now), first.map(|(_, number)| number));
    first.map(|first| oracle.remove(&first));
}

proptest! {
    #[test]
    fn heaps_do_as_the_oracle_says(steps in prop::collection::vec(step(), 0..400)) {
        let mut heap = Heap::new();
        let mut oracle = Oracle::new();
        let mut given: Vec<(Ticket, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Push(deadline) => {
                    let number = given.len() as u32;
                    given.push((heap.push(deadline, number), deadline));
                    oracle.insert((deadline, number), ());
                }
                Step::PopDue(now) => pop_due(&mut heap, &mut oracle, now),
                Step::Cancel(_) if given.is_empty() => {}
                Step::Cancel(index) => {
                    let number = index.index(given.len());
                    let (ticket, deadline) = given[number];
                    let was_in = oracle.remove(&(deadline, number as u32)).is_some();
                    prop_assert_eq!(heap.cancel(ticket, number as u32), was_in);
                }
            }
            check(&heap, &oracle);
        }
        while !oracle.is_empty() {
            pop_due(&mut heap, &mut oracle, NEVER);
        }
        check(&heap, &oracle);
    }
}

#[test]
fn a_heap_that_was_large_gives_its_memory_back_and_goes_on() {
    let mut heap = Heap::new();
    for round in 0..2 {
        let tickets: Vec<_> =
            (0..10_000u32).map(|number| heap.push(u64::from(number % 97), number)).collect();
        for number in (0..10_000).step_by(2) {
            assert!(heap.cancel(tickets[number as usize], number), "round {round}");
        }
        let mut last = (0, 0);
        while let Some(number) = heap.pop_due(97) {
            assert!((number % 97, number) > last || number % 97 == 0, "{number} after {last:?}");
            last = (number % 97, number);
        }
        assert!(heap.is_empty());
        assert!(!heap.cancel(tickets[1], 1), "it has left");
    }
}
