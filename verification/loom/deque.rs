//! The stealing deque: [D1]–[D6]. Capacity 2 forces wrap-around and overflow; slots and items are
//! race-checked cells; the indices cross u32's own wrap-around at the third push.

use crate::harness::{Bound, Payload, Scenario, assert_conserved, assert_in_order, join, spawn};
use selvedge::internals::platform::atomic::{AtomicU32, Ordering, fence};
use selvedge::internals::platform::{Arc, Mutex};
use selvedge::internals::structures::{Local, Steal, run_queue};

type Items = Vec<usize>;

fn push(owner: &Local<Payload>, id: usize, overflowed: &mut Items) {
    owner.push(Payload::new(id), |batch| {
        let batch: Items = batch.map(|item| item.take()).collect();
        assert_in_order(&batch);
        overflowed.extend(batch);
    });
}

fn pop(owner: &Local<Payload>) -> Option<usize> {
    owner.pop().map(|item| item.take())
}

fn drain(owner: &Local<Payload>) -> Items {
    std::iter::from_fn(|| pop(owner)).collect()
}

/// A thief with a deque of its own: steals half `times` times, runs all that it got.
fn steal_half(from: &Steal<Payload>, times: usize) -> Items {
    let (own, _) = run_queue(2);
    let mut taken = Items::new();
    for _ in 0..times {
        taken.extend(from.steal_half(&own).map(|item| item.take()));
        taken.extend(drain(&own));
    }
    assert_in_order(&taken);
    taken
}

fn steal_one(from: &Steal<Payload>, times: usize) -> Items {
    let taken: Items =
        (0..times).filter_map(|_| from.steal_one()).map(|item| item.take()).collect();
    assert_in_order(&taken);
    taken
}

type Thief = fn(&Steal<Payload>, usize) -> Items;

/// One owner that runs `owner_part`, one thread for each thief; every item leaves exactly once.
fn conserve(
    pushes: usize,
    thieves: &[(Thief, usize)],
    owner_part: impl Fn(&Local<Payload>, &mut Items, &mut Items),
) {
    let (owner, stealer) = run_queue(2);
    let loot = Arc::new(Mutex::new(Items::new()));
    let threads: Vec<_> = thieves
        .iter()
        .map(|&(thief, times)| {
            let (stealer, loot) = (stealer.clone(), Arc::clone(&loot));
            spawn(move || {
                let taken = thief(&stealer, times);
                drop(stealer);
                loot.lock().extend(taken);
            })
        })
        .collect();
    let (mut popped, mut overflowed) = (Items::new(), Items::new());
    owner_part(&owner, &mut popped, &mut overflowed);
    threads.into_iter().for_each(join);
    let open = stealer.steal_one().map(|item| item.take());
    assert!(open.is_some() || owner.is_empty(), "D5: no claim outlives its batch");
    popped.extend(open);
    popped.extend(drain(&owner));
    assert_in_order(&popped);
    let all = [popped, overflowed, std::mem::take(&mut *loot.lock())].concat();
    assert_conserved(pushes, all);
}

/// 2 threads: 3 pushes, 1 pop | 1 steal_half, complete.
#[test]
fn half_is_stolen_while_the_owner_wraps_around() {
    Scenario {
        name: "deque: half is stolen while the owner wraps around",
        threads: 2,
        operations: "2 push, 1 pop, 1 push | 1 steal_half",
    }
    .check(Bound::Complete, || {
        conserve(3, &[(steal_half, 1)], |owner, popped, overflowed| {
            push(owner, 1, overflowed);
            push(owner, 2, overflowed);
            popped.extend(pop(owner));
            push(owner, 3, overflowed);
        });
    });
}

/// 2 threads: 4 pushes, 1 pop | 2 steal_one, complete in the long run.
#[test]
fn single_items_are_stolen_while_the_owner_wraps_around() {
    Scenario {
        name: "deque: single items are stolen while the owner wraps around",
        threads: 2,
        operations: "2 push, 1 pop, 2 push | 2 steal_one",
    }
    .check(Bound::complete_if_long(), || {
        conserve(4, &[(steal_one, 2)], |owner, popped, overflowed| {
            push(owner, 1, overflowed);
            push(owner, 2, overflowed);
            popped.extend(pop(owner));
            push(owner, 3, overflowed);
            push(owner, 4, overflowed);
        });
    });
}

/// 2 threads: 4 pushes into 2 slots | 2 steal_half, complete in the long run. The owner's overflow
/// batch and the thief's batch want the same items.
#[test]
fn a_full_ring_overflows_while_a_thief_copies() {
    Scenario {
        name: "deque: a full ring overflows while a thief copies",
        threads: 2,
        operations: "4 push into 2 slots | 2 steal_half",
    }
    .check(Bound::complete_if_long(), || {
        conserve(4, &[(steal_half, 2)], |owner, _, overflowed| {
            for id in 1..=4 {
                push(owner, id, overflowed);
            }
        });
    });
}

/// 2 threads: 2 pushes, 2 pops, 2 pushes | 1 steal_half, complete. The owner pops past a thief that
/// still copies, and the thief's release covers those pops.
#[test]
fn owner_pops_past_a_thief_that_copies() {
    Scenario {
        name: "deque: owner pops past a thief that copies",
        threads: 2,
        operations: "2 push, 2 pop, 2 push | 1 steal_half",
    }
    .check(Bound::complete_if_long(), || {
        conserve(4, &[(steal_half, 1)], |owner, popped, overflowed| {
            push(owner, 1, overflowed);
            push(owner, 2, overflowed);
            popped.extend(pop(owner));
            popped.extend(pop(owner));
            push(owner, 3, overflowed);
            push(owner, 4, overflowed);
        });
    });
}

/// 3 threads: 3 pushes, 1 pop | 1 steal_half | 1 steal_one.
#[test]
fn two_thieves_never_take_the_same_item() {
    Scenario {
        name: "deque: two thieves never take the same item",
        threads: 3,
        operations: "2 push, 1 pop, 1 push | 1 steal_half | 1 steal_one",
    }
    .check(Bound::usual(), || {
        conserve(3, &[(steal_half, 1), (steal_one, 1)], |owner, popped, overflowed| {
            push(owner, 1, overflowed);
            push(owner, 2, overflowed);
            popped.extend(pop(owner));
            push(owner, 3, overflowed);
        });
    });
}

/// 3 threads: 1 push | 1 steal_half into a full ring | 1 steal_one from that ring. Never more than
/// there is room for, and what the first owner wrote reaches a thief's thief.
#[test]
fn stolen_items_are_stolen_again() {
    Scenario {
        name: "deque: stolen items are stolen again",
        threads: 3,
        operations: "2 push, 1 push | 1 steal_half into a full ring | 2 steal_one from that ring",
    }
    .check(Bound::usual(), || {
        let (owner, first) = run_queue::<Payload>(4);
        let (between, second) = run_queue::<Payload>(2);
        let loot = Arc::new(Mutex::new(Items::new()));
        let mut all = Items::new();
        for id in 1..=2 {
            push(&between, id, &mut all);
            push(&owner, id + 2, &mut all);
        }
        let thief = {
            let loot = Arc::clone(&loot);
            spawn(move || {
                let run = first.steal_half(&between).map(|item| item.take());
                loot.lock().extend(run);
            })
        };
        let thiefs_thief = {
            let (second, loot) = (second.clone(), Arc::clone(&loot));
            spawn(move || {
                let run = steal_one(&second, 2);
                loot.lock().extend(run);
            })
        };
        push(&owner, 5, &mut all);
        join(thief);
        join(thiefs_thief);
        all.extend(drain(&owner));
        all.extend(steal_one(&second, 2));
        all.extend(std::mem::take(&mut *loot.lock()));
        assert_conserved(5, all);
    });
}

/// 2 threads: 1 push by main, then the owner moves through a mutex | 1 push, 1 pop; main steals 2.
#[test]
fn owner_moves_between_threads_with_the_processor() {
    Scenario {
        name: "deque: owner moves between threads with the processor",
        threads: 2,
        operations: "2 push, hand over, 2 steal_one | take over, 1 pop, 2 push, drain",
    }
    .check(Bound::complete_if_long(), || {
        let (owner, stealer) = run_queue(2);
        let mut overflowed = Items::new();
        push(&owner, 1, &mut overflowed);
        push(&owner, 2, &mut overflowed);
        let slot = Arc::new(Mutex::new((Some(owner), Items::new())));
        let successor = {
            let slot = Arc::clone(&slot);
            spawn(move || {
                let owner = slot.lock().0.take().expect("the seat is handed over once");
                let (mut popped, mut overflowed) = (Items::new(), Items::new());
                popped.extend(pop(&owner));
                push(&owner, 3, &mut overflowed);
                push(&owner, 4, &mut overflowed);
                popped.extend(drain(&owner));
                assert_in_order(&popped);
                popped.extend(overflowed);
                *slot.lock() = (Some(owner), popped);
            })
        };
        overflowed.extend(steal_one(&stealer, 2));
        join(successor);
        let (owner, popped) = std::mem::take(&mut *slot.lock());
        let left = drain(&owner.expect("the successor puts the owner back"));
        assert_conserved(4, [overflowed, popped, left].concat());
    });
}

/// 2 threads: push, fence, read the idle word | set it, fence, `is_empty`. Complete. Not both miss.
#[test]
fn fenced_recheck_misses_no_push() {
    Scenario {
        name: "deque: a fenced recheck misses no push",
        threads: 2,
        operations: "push, fence, read idle | set idle, fence, is_empty",
    }
    .check(Bound::Complete, || {
        let (owner, stealer) = run_queue::<Payload>(2);
        let idle = Arc::new(AtomicU32::new(0));
        let parker = {
            let (stealer, idle) = (stealer.clone(), Arc::clone(&idle));
            spawn(move || {
                idle.fetch_add(1, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if stealer.is_empty() {
                    idle.fetch_add(2, Ordering::Relaxed);
                }
            })
        };
        owner.push(Payload::new(1), |_| unreachable!("1 item fits in 2 slots"));
        fence(Ordering::SeqCst);
        let saw_idle = idle.load(Ordering::Relaxed) != 0;
        join(parker);
        let went_to_sleep = idle.load(Ordering::Relaxed) == 3;
        assert!(saw_idle || !went_to_sleep, "D6: the pusher saw nobody idle, the parker no item");
        assert_eq!(drain(&owner), [1]);
    });
}

/// 2 threads: 2 pushes, 1 pop | 1 steal_half, complete. What is left when both ends go is dropped.
#[test]
fn items_left_behind_are_dropped_once() {
    struct Counted(Arc<AtomicU32>, Payload);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.1.take();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    Scenario {
        name: "deque: items left behind are dropped once",
        threads: 2,
        operations: "3 push into 2 slots | 1 steal_half; all dropped",
    }
    .check(Bound::complete_if_long(), || {
        let dropped = Arc::new(AtomicU32::new(0));
        let (owner, stealer) = run_queue(2);
        let thief = {
            let stealer = stealer.clone();
            spawn(move || {
                let (own, _) = run_queue(2);
                drop(stealer.steal_half(&own));
            })
        };
        for id in 1..=3 {
            // The batch is left in the iterator, which drops it.
            owner.push(Counted(Arc::clone(&dropped), Payload::new(id)), |_batch| {});
        }
        join(thief);
        drop((owner, stealer));
        assert_eq!(dropped.load(Ordering::Relaxed), 3, "each item must be dropped exactly once");
    });
}
