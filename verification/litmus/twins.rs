//! Twins: each ordering pattern of `src/`, by itself, with the orderings as parameters. With those of
//! `src/` it holds in every execution; with each weaker one it is caught. A twin that is no longer
//! caught says that loom has gone blind there, and that the models which rest on it prove less.
//! Which pattern stands where in `src/`: docs/checking.md.

use crate::explore::{check, in_child, rejects, spawn};
use crate::shapes::{RACE, Slot, hand_over, words};
use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::{AtomicUsize, Ordering, fence};
use std::fmt::Debug;

/// `program` holds with the orderings `right`, and is caught with each of `wrong`.
#[track_caller]
fn twin<O: Copy + Debug + Send + Sync + 'static>(
    name: &str,
    right: O,
    wrong: &[O],
    program: fn(O),
) {
    if !in_child() {
        check(move || program(right));
    }
    for (number, &wrong) in wrong.iter().enumerate() {
        let caught = rejects(&format!("{name}#{number}"), &[RACE, WRONG], move || program(wrong));
        assert!(caught, "{name}: loom no longer catches {wrong:?}: docs/checking.md, its envelope");
    }
}

/// The first words of what a twin says that is caught by its outcome.
const WRONG: &str = "litmus: ";

#[test]
fn a_store_publishes() {
    let wrong = [(Relaxed, Acquire), (Release, Relaxed)];
    twin("twins::a_store_publishes", (Release, Acquire), &wrong, |(publish, observe)| {
        hand_over(move |word| word.store(1, publish), |word| word.load(observe) == 1);
    });
}

#[test]
fn an_rmw_publishes() {
    let wrong = [(Relaxed, Acquire), (Release, Relaxed), (Acquire, Acquire), (Release, Release)];
    twin("twins::an_rmw_publishes", (Release, Acquire), &wrong, |(publish, observe)| {
        let publish = move |word: &AtomicUsize| _ = word.fetch_or(1, publish);
        hand_over(publish, |word| word.swap(0, observe) == 1);
    });
}

#[test]
fn a_slot_is_written_again_after_its_reader() {
    let wrong = [(Relaxed, Acquire), (Release, Relaxed)];
    let name = "twins::a_slot_is_written_again_after_its_reader";
    twin(name, (Release, Acquire), &wrong, |(cancel_wait, look)| {
        // Bit 1: a reader is at the slot.
        let (slot, head) = (Slot::new(), Arc::new(AtomicUsize::new(1)));
        let reader = {
            let (slot, head) = (Arc::clone(&slot), Arc::clone(&head));
            spawn(move || {
                slot.read();
                head.fetch_and(0, cancel_wait);
            })
        };
        if head.load(look) == 0 {
            slot.write(2);
        }
        reader.join();
    });
}

#[test]
fn whoever_swaps_sees_all_who_pushed() {
    // The release sequence that each pusher begins goes on through the RMWs of the others.
    let wrong = [(Relaxed, Acquire), (Release, Relaxed)];
    let name = "twins::whoever_swaps_sees_all_who_pushed";
    twin(name, (Release, Acquire), &wrong, |(push, drain)| {
        let (slots, [newest, _]) = ([Slot::new(), Slot::new()], words());
        let pushers = [0, 1].map(|i| {
            let (slot, newest) = (Arc::clone(&slots[i]), Arc::clone(&newest));
            spawn(move || {
                slot.write(7);
                newest.fetch_or(1 << i, push);
            })
        });
        let pushed = newest.swap(0, drain);
        for (i, slot) in slots.iter().enumerate() {
            if pushed & 1 << i != 0 {
                assert_eq!(slot.read(), 7);
            }
        }
        pushers.into_iter().for_each(|pusher| pusher.join());
    });
}

#[test]
fn the_last_reference_sees_them_all() {
    let name = "twins::the_last_reference_sees_them_all";
    twin(name, AcqRel, &[Acquire, Release, Relaxed], |drop_one| {
        let (slot, references) = (Slot::new(), Arc::new(AtomicUsize::new(2)));
        let other = {
            let (slot, references) = (Arc::clone(&slot), Arc::clone(&references));
            spawn(move || drop_reference(&slot, &references, drop_one))
        };
        drop_reference(&slot, &references, drop_one);
        other.join();
    });
}

fn drop_reference(slot: &Slot, references: &AtomicUsize, drop_one: Ordering) {
    slot.read();
    if references.fetch_sub(1, drop_one) == 1 {
        slot.write(0); // recycled
    }
}

#[test]
fn one_of_two_sees_the_other() {
    // Publish: an RMW on the queue, a fence, a look at who is idle. Sleep: an RMW on who is idle, a
    // fence, a recheck of the queue.
    let wrong = [(AcqRel, SeqCst), (SeqCst, AcqRel), (AcqRel, AcqRel)];
    twin("twins::one_of_two_sees_the_other", (SeqCst, SeqCst), &wrong, |(publish, sleep)| {
        let [queue, idle] = words();
        let publisher = {
            let (queue, idle) = (Arc::clone(&queue), Arc::clone(&idle));
            spawn(move || {
                queue.fetch_add(1, Relaxed);
                fence(publish);
                idle.load(Relaxed) == 1
            })
        };
        idle.fetch_add(1, AcqRel);
        fence(sleep);
        let found = queue.load(Relaxed) == 1;
        let wakes = publisher.join();
        assert!(found || wakes, "{WRONG}the work is lost");
    });
}

#[test]
fn one_of_two_has_the_processor() {
    type Orders = (Ordering, Ordering, Ordering, Ordering);
    let right: Orders = (SeqCst, SeqCst, Release, Acquire);
    let wrong: [Orders; 4] = [
        (AcqRel, SeqCst, Release, Acquire),
        (SeqCst, AcqRel, Release, Acquire),
        (SeqCst, SeqCst, Relaxed, Acquire),
        (SeqCst, SeqCst, Release, Relaxed),
    ];
    let name = "twins::one_of_two_has_the_processor";
    twin(name, right, &wrong, |(enter, try_revoke, leave, look)| {
        let (queues, [inside, retaken]) = (Slot::new(), words());
        let monitor = {
            let (queues, inside) = (Arc::clone(&queues), Arc::clone(&inside));
            let retaken = Arc::clone(&retaken);
            spawn(move || {
                retaken.store(1, Relaxed);
                fence(try_revoke);
                if inside.load(look) == 0 {
                    queues.write(1);
                }
            })
        };
        inside.store(1, Relaxed);
        fence(enter);
        if retaken.load(Acquire) == 0 {
            queues.write(2);
        }
        inside.store(0, leave);
        monitor.join();
    });
}

#[test]
fn parked_or_readied() {
    const PARKED: usize = 1;
    const PERMIT: usize = 2;
    type Orders = (Ordering, Ordering, Ordering);
    let right: Orders = (Release, AcqRel, Acquire);
    let wrong: [Orders; 4] = [
        (Relaxed, AcqRel, Acquire),
        (Release, Release, Acquire),
        (Release, Acquire, Acquire),
        (Release, AcqRel, Relaxed),
    ];
    twin("twins::parked_or_readied", right, &wrong, |(park, unpark, end)| {
        let (stack, message, [word, _]) = (Slot::new(), Slot::new(), words());
        let unparker = {
            let (stack, message, word) =
                (Arc::clone(&stack), Arc::clone(&message), Arc::clone(&word));
            spawn(move || {
                message.write(7);
                if word.fetch_or(PERMIT, unpark) & PARKED != 0 {
                    stack.write(2); // resumed here
                }
            })
        };
        stack.write(1);
        if word.compare_exchange(0, PARKED, park, Relaxed).is_err() {
            // A permit came first: it goes on here, and sees what came before the permit.
            assert_eq!(word.swap(0, end), PERMIT);
            assert_eq!(message.read(), 7);
        }
        unparker.join();
    });
}

#[test]
fn who_has_ended_had_begun() {
    // Counted as spawned by one thread, as ended by another; read the other way round by a third.
    let wrong = [(Relaxed, Acquire), (Release, Relaxed)];
    let name = "twins::who_has_ended_had_begun";
    twin(name, (Release, Acquire), &wrong, |(count, read)| {
        let ([spawned, finished], [queue, _]) = (words(), words());
        let spawner = {
            let (spawned, queue) = (Arc::clone(&spawned), Arc::clone(&queue));
            spawn(move || {
                spawned.store(1, count);
                queue.store(1, Release);
            })
        };
        let worker = {
            let finished = Arc::clone(&finished);
            spawn(move || {
                if queue.load(Acquire) == 1 {
                    finished.store(1, count);
                }
            })
        };
        let ended = finished.load(read);
        let begun = spawned.load(read);
        assert!(ended <= begun, "{WRONG}one has ended that had not begun");
        spawner.join();
        worker.join();
    });
}

#[test]
fn a_count_loses_nothing() {
    fn read_then_write(word: &AtomicUsize) {
        word.store(word.load(Relaxed) + 1, Relaxed);
    }
    fn rmw(word: &AtomicUsize) {
        word.fetch_add(1, Relaxed);
    }
    type Count = fn(&AtomicUsize);
    twin::<Count>("twins::a_count_loses_nothing", rmw, &[read_then_write], |count| {
        let [word, _] = words();
        let other = {
            let word = Arc::clone(&word);
            spawn(move || count(&word))
        };
        count(&word);
        other.join();
        assert_eq!(word.load(Relaxed), 2, "{WRONG}a count is lost");
    });
}

#[test]
fn an_exchange_locks() {
    let wrong = [(Relaxed, Release), (Acquire, Relaxed)];
    twin("twins::an_exchange_locks", (Acquire, Release), &wrong, |(lock, unlock)| {
        let (slot, [word, _]) = (Slot::new(), words());
        let enter = move |slot: &Slot, word: &AtomicUsize| {
            if word.compare_exchange(0, 1, lock, Relaxed).is_ok() {
                slot.write(1);
                word.swap(0, unlock);
            }
        };
        let other = {
            let (slot, word) = (Arc::clone(&slot), Arc::clone(&word));
            spawn(move || enter(&slot, &word))
        };
        enter(&slot, &word);
        other.join();
    });
}
