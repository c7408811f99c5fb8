//! The state word, between a worker that settles, and those who unpark: [S1]–[S4], [S6].

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicU32, Ordering};
use selvedge::internals::platform::{Arc, Parker, thread};
use selvedge::internals::sched::state::{BeginPark, StateWord, UnparkAction};

/// One goroutine, as its word, its stack and its run queue see it.
struct Goroutine {
    word: StateWord,
    /// Touched by who owns the stack.
    stack: Payload,
    /// Written by the unparker before it unparks.
    message: Payload,
    /// How often it was put into a run queue.
    queued: AtomicU32,
}

fn goroutine() -> Arc<Goroutine> {
    Arc::new(Goroutine {
        word: StateWord::new(),
        stack: Payload::new(1),
        message: Payload::new(0),
        queued: AtomicU32::new(0),
    })
}

fn unpark(goroutine: &Goroutine) {
    apply(goroutine, goroutine.word.unpark());
}

fn apply(goroutine: &Goroutine, unparked: UnparkAction) {
    match unparked {
        UnparkAction::Nothing => {}
        // Release: as a run queue publishes.
        UnparkAction::Enqueue => drop(goroutine.queued.fetch_add(1, Ordering::Release)),
        UnparkAction::WakeInPlace => unreachable!("nobody parks in place here"),
    }
}

/// The worker's stack settles it, and a worker resumes it once it is in a queue.
fn park(goroutine: &Goroutine) {
    if goroutine.word.take_permit() {
        return;
    }
    goroutine.stack.write(2);
    if goroutine.word.begin_park() == BeginPark::Parked {
        // Acquire: as a run queue.
        while goroutine.queued.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        // Relaxed: only this thread takes out.
        assert_eq!(goroutine.queued.fetch_sub(1, Ordering::Relaxed), 1, "S2: queued once");
    }
    assert_eq!(goroutine.stack.take(), 2, "S1");
    goroutine.word.end_park();
}

/// 2 threads: park | write a message, unpark; complete. The park returns, and the message is seen.
#[test]
fn an_unpark_is_not_lost_and_carries_what_came_before() {
    Scenario {
        name: "state: an unpark is not lost and carries what came before",
        threads: 2,
        operations: "park, read | write, unpark",
    }
    .check(Bound::Complete, || {
        let goroutine = goroutine();
        let waker = {
            let goroutine = Arc::clone(&goroutine);
            spawn(move || {
                goroutine.message.write(7);
                unpark(&goroutine);
            })
        };
        park(&goroutine);
        assert_eq!(goroutine.message.take(), 7, "S4");
        join(waker);
        assert!(!goroutine.word.take_permit(), "S3: one unpark, one permit");
    });
}

/// 2 threads: park | write a message, unpark by id; complete. As above.
#[test]
fn an_unpark_by_id_is_not_lost_and_carries_what_came_before() {
    Scenario {
        name: "state: an unpark by id is not lost and carries what came before",
        threads: 2,
        operations: "park, read | write, unpark by id",
    }
    .check(Bound::Complete, || {
        let goroutine = goroutine();
        goroutine.word.reset(7);
        let waker = {
            let goroutine = Arc::clone(&goroutine);
            spawn(move || {
                goroutine.message.write(7);
                apply(&goroutine, goroutine.word.unpark_if(7));
            })
        };
        park(&goroutine);
        assert_eq!(goroutine.message.take(), 7, "S4");
        join(waker);
        assert!(!goroutine.word.take_permit(), "S3: one unpark, one permit");
    });
}

/// 2 threads: the cell becomes another's, which parks and is unparked | unpark by the old id; complete.
/// The other gets one permit.
#[test]
fn an_unpark_by_an_old_id_reaches_nobody() {
    Scenario {
        name: "state: an unpark by an old id reaches nobody [S6]",
        threads: 2,
        operations: "reset, unpark, park | unpark by id",
    }
    .check(Bound::Complete, || {
        let goroutine = goroutine();
        goroutine.word.reset(1);
        let waker = {
            let goroutine = Arc::clone(&goroutine);
            spawn(move || {
                let unparked = goroutine.word.unpark_if(1);
                assert_eq!(
                    unparked,
                    UnparkAction::Nothing,
                    "S6: it never parks while it has that id"
                );
            })
        };
        goroutine.word.reset(2);
        unpark(&goroutine);
        park(&goroutine);
        join(waker);
        assert!(!goroutine.word.take_permit(), "S6: nobody unparked it since");
    });
}

/// 2 threads: write the stack, settle | unpark, and resume it if it is runnable; complete. Whoever
/// readies a goroutine may be the one that runs it, and sees its whole stack.
#[test]
fn who_unparks_may_resume() {
    Scenario {
        name: "state: who unparks may resume [S1]",
        threads: 2,
        operations: "write, park | unpark, read",
    }
    .check(Bound::Complete, || resumed_by(|word| word.unpark()));
}

/// The same, by id.
#[test]
fn who_unparks_by_id_may_resume() {
    Scenario {
        name: "state: who unparks by id may resume [S1]",
        threads: 2,
        operations: "write, park | unpark by id, read",
    }
    .check(Bound::Complete, || resumed_by(|word| word.unpark_if(0)));
}

fn resumed_by(unpark: impl FnOnce(&StateWord) -> UnparkAction + Send + 'static) {
    let goroutine = goroutine();
    let waker = {
        let goroutine = Arc::clone(&goroutine);
        spawn(move || {
            if unpark(&goroutine.word) == UnparkAction::Enqueue {
                assert_eq!(goroutine.stack.take(), 2, "S1");
                goroutine.word.end_park();
            }
        })
    };
    goroutine.stack.write(2);
    if goroutine.word.begin_park() == BeginPark::Readied {
        assert_eq!(goroutine.stack.take(), 2, "S1");
        goroutine.word.end_park();
    }
    join(waker);
}

/// 3 threads: park | unpark | unpark. It is queued exactly once; at most one permit is left.
#[test]
fn of_two_unparks_one_makes_it_runnable() {
    Scenario {
        name: "state: of two unparks one makes it runnable",
        threads: 3,
        operations: "park | unpark | unpark",
    }
    .check(Bound::complete_if_long(), || unparked_by([StateWord::unpark; 2]));
}

/// The same, where one comes by id, and may deliver the permit.
#[test]
fn of_two_unparks_one_by_id_one_makes_it_runnable() {
    Scenario {
        name: "state: of two unparks, one by id, one makes it runnable",
        threads: 3,
        operations: "park | unpark | unpark by id",
    }
    .check(Bound::complete_if_long(), || {
        unparked_by([StateWord::unpark, |word| word.unpark_if(0)]);
    });
}

fn unparked_by(unparks: [fn(&StateWord) -> UnparkAction; 2]) {
    let goroutine = goroutine();
    let wakers = unparks.map(|unpark| {
        let goroutine = Arc::clone(&goroutine);
        spawn(move || apply(&goroutine, unpark(&goroutine.word)))
    });
    park(&goroutine);
    wakers.into_iter().for_each(join);
    // Relaxed: both wakers were joined.
    assert_eq!(goroutine.queued.load(Ordering::Relaxed), 0, "S2");
}

/// 2 threads: 2 parks | 2 unparks, the second once the first was consumed. Both parks return.
#[test]
fn a_permit_given_while_it_runs_is_kept() {
    Scenario {
        name: "state: a permit given while it runs is kept",
        threads: 2,
        operations: "2 park | 2 unpark",
    }
    .check(Bound::complete_if_long(), || {
        let goroutine = goroutine();
        let consumed = Arc::new(Parker::new());
        let waker = {
            let (goroutine, consumed) = (Arc::clone(&goroutine), Arc::clone(&consumed));
            spawn(move || {
                unpark(&goroutine);
                consumed.park();
                unpark(&goroutine);
            })
        };
        park(&goroutine);
        consumed.unpark();
        park(&goroutine);
        join(waker);
        assert!(!goroutine.word.take_permit(), "S3");
    });
}

/// 2 threads: park in place | unpark. The worker that sleeps beneath is woken.
#[test]
fn a_park_in_place_is_woken() {
    Scenario {
        name: "state: a park in place is woken",
        threads: 2,
        operations: "park in place | unpark",
    }
    .check(Bound::Complete, || {
        let goroutine = goroutine();
        let beneath = Arc::new(Parker::new());
        let waker = {
            let (goroutine, beneath) = (Arc::clone(&goroutine), Arc::clone(&beneath));
            spawn(move || match goroutine.word.unpark() {
                UnparkAction::WakeInPlace => beneath.unpark(),
                UnparkAction::Nothing => {}
                UnparkAction::Enqueue => unreachable!("it never left its worker"),
            })
        };
        if goroutine.word.begin_park_in_place() == BeginPark::Parked {
            while !goroutine.word.has_permit() {
                beneath.park();
            }
        }
        goroutine.word.end_park();
        join(waker);
    });
}

/// 2 threads: park in place with a deadline, which does not come | write a message, unpark. Whoever had
/// a permit sees the message. [S4]
#[test]
fn a_park_in_place_with_a_deadline_sees_what_came_before() {
    Scenario {
        name: "state: a park in place with a deadline sees what came before [S4]",
        threads: 2,
        operations: "park in place, look | write, unpark",
    }
    .check(Bound::Complete, || {
        let goroutine = goroutine();
        let waker = {
            let goroutine = Arc::clone(&goroutine);
            spawn(move || {
                goroutine.message.write(7);
                let _ = goroutine.word.unpark();
            })
        };
        let _ = goroutine.word.begin_park_in_place();
        if goroutine.word.end_park_in_place() {
            assert_eq!(goroutine.message.take(), 7, "S4");
        }
        join(waker);
    });
}
