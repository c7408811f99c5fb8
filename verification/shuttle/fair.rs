//! Who waits has its turn, whatever the others do: [F2]. On one processor, which somebody always wants.
//! A turn that never comes is a schedule without end, which fails.

use crate::harness::{Plan, Scenario};
use crate::support::{Flag, Gate, Ledger, anchored, end, migrating};
use selvedge::{Runtime, SpawnErrorKind, current, go, park, pinned, try_go, yield_now};
use shuttle::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Goes on until somebody else has had a turn.
fn yield_until(flag: &Flag) {
    while !flag.is_set() {
        // Its kernel thread is not the only one.
        thread::yield_now();
        yield_now();
    }
}

/// 2 threads, 2 goroutines; sampled. One yields for ever, at home; the other waits in the injector.
#[test]
fn who_waits_in_the_injector_has_its_turn() {
    let name = "fair: who waits in the injector has its turn [F2]";
    Scenario { name, threads: 2, goroutines: 2 }.check(&Plan::usual(100), || {
        let (runtime, begun, turn) = (anchored(1, 1), Flag::default(), Flag::default());
        let (first, mine) = (begun.clone(), turn.clone());
        drop(runtime.go(move || {
            first.set();
            yield_until(&mine);
        }));
        begun.spin();
        drop(runtime.go(move || turn.set()));
        end(runtime);
    });
}

/// 2 threads, 2 goroutines; sampled. One yields for ever, at home; the other waits in the deque.
#[test]
fn who_waits_in_the_deque_has_its_turn() {
    let name = "fair: who waits in the deque has its turn [F2]";
    Scenario { name, threads: 2, goroutines: 2 }.check(&Plan::usual(100), || {
        let runtime = anchored(1, 1);
        runtime.run(|| {
            let turn = Flag::default();
            let theirs = turn.clone();
            drop(go(move || theirs.set()));
            yield_until(&turn);
        });
        end(runtime);
    });
}

/// Two that wake each other, each before it parks, until `turn`.
fn ping_pong(runtime: &Runtime, turn: &Flag, with: impl FnOnce() + Send) {
    runtime.run(|| {
        let (ping, over) = (current(), turn.clone());
        let pong = go(move || {
            while !over.is_set() {
                ping.unpark();
                park();
            }
            ping.unpark();
        });
        with();
        while !turn.is_set() {
            pong.goroutine().unpark();
            park();
        }
        pong.goroutine().unpark();
        pong.join().expect("no panic");
    });
}

/// 2 threads, 3 goroutines; sampled. Two wake each other for ever, by `run_next`; the third waits in
/// the deque.
#[test]
fn who_waits_behind_two_that_wake_each_other_has_its_turn() {
    let name = "fair: who waits behind two that wake each other has its turn [F2]";
    Scenario { name, threads: 2, goroutines: 3 }.check(&Plan::usual(100), || {
        let (runtime, turn) = (migrating(1, 1), Flag::default());
        let theirs = turn.clone();
        ping_pong(&runtime, &turn, || drop(go(move || theirs.set())));
        end(runtime);
    });
}

/// 2 threads, 2 goroutines; sampled. One yields for ever; a plain thread unparks the other, which has
/// its home there too, and so comes by the inbox.
#[test]
fn who_waits_in_the_inbox_has_its_turn() {
    let name = "fair: who waits in the inbox has its turn [F2]";
    Scenario { name, threads: 2, goroutines: 2 }.check(&Plan::usual(200), || {
        let (runtime, begun, turn) = (anchored(1, 1), Flag::default(), Flag::default());
        let (first, mine) = (begun.clone(), turn.clone());
        let parked = runtime.go(move || {
            first.set();
            park();
            mine.set();
        });
        let theirs = turn.clone();
        drop(runtime.go(move || yield_until(&theirs)));
        begun.spin();
        parked.goroutine().unpark();
        end(runtime);
    });
}

/// Two goroutines, each on a worker of its own, on which it stays in user code until the number of
/// processors has been halved; then it does `then`, and yields until `over`.
fn halved(then: impl Fn(usize) + Send + Clone + 'static, over: &Flag, wait: impl FnOnce(&Runtime)) {
    let (runtime, shrunk) = (anchored(2, 2), Flag::default());
    let begun = [Flag::default(), Flag::default()];
    for (number, begun) in begun.iter().enumerate() {
        let (begun, shrunk) = (begun.clone(), shrunk.clone());
        let (then, over) = (then.clone(), over.clone());
        drop(runtime.go(move || {
            begun.set();
            shrunk.spin();
            then(number);
            yield_until(&over);
        }));
    }
    begun.iter().for_each(Flag::spin);
    runtime.set_processors(1).expect("one is enough");
    shrunk.set();
    wait(&runtime);
    end(runtime);
}

/// 3 threads, 2 goroutines; sampled. Who has a processor too many gives it up, though it has work.
#[test]
fn a_processor_too_many_is_given_up() {
    let name = "fair: a processor too many is given up [I4]";
    Scenario { name, threads: 3, goroutines: 2 }.check(&Plan::usual(200), || {
        let over = Flag::default();
        halved(
            |_| (),
            &over,
            |runtime| {
                while runtime.metrics().queueing_workers == 0 {
                    thread::yield_now();
                }
                over.set();
            },
        );
    });
}

/// 3 threads, 4 goroutines; sampled. Who waits in the deque of a processor that is given up has its
/// turn, though those who are left always have work.
#[test]
fn who_waits_on_a_processor_that_is_given_up_has_its_turn() {
    let name = "fair: who waits on a processor that is given up has its turn [F2]";
    Scenario { name, threads: 3, goroutines: 4 }.check(&Plan::usual(200), || {
        let (over, turns) = (Flag::default(), Ledger::new(2));
        let (last, theirs) = (over.clone(), turns.clone());
        let then = move |number: usize| {
            let (last, turns) = (last.clone(), theirs.clone());
            drop(go(move || {
                turns.enter(number);
                if turns.times(0) + turns.times(1) == 2 {
                    last.set();
                }
            }));
        };
        halved(then, &over, |_| ());
        turns.assert_each_ran_once();
    });
}

/// 4 threads, 5 goroutines; sampled. Two block their threads until their children, who wait in the deques,
/// have run; one of their processors is one too many when it is retaken, and who gets the other always
/// has work.
#[test]
fn who_waits_on_a_processor_that_is_retaken_for_good_has_its_turn() {
    let name = "fair: who waits on a processor that is retaken for good has its turn [F2]";
    Scenario { name, threads: 4, goroutines: 5 }.check(&Plan::usual(200), || {
        let (runtime, over, turns) = (anchored(2, 3), Flag::default(), Ledger::new(2));
        let (begun, spawned) =
            ([(); 2].map(|()| Flag::default()), [(); 2].map(|()| Flag::default()));
        for number in 0..2 {
            let (begun, spawned) = (begun.clone(), spawned[number].clone());
            let (over, turns, last) = (over.clone(), turns.clone(), over.clone());
            drop(runtime.go(move || {
                begun[number].set();
                // Then nobody is there to steal the child.
                begun.iter().for_each(Flag::spin);
                let child = move || {
                    turns.enter(number);
                    if turns.times(0) + turns.times(1) == 2 {
                        last.set();
                    }
                };
                drop(go(child));
                spawned.set();
                over.spin();
            }));
        }
        spawned.iter().for_each(Flag::spin);
        let theirs = over.clone();
        drop(runtime.go(move || yield_until(&theirs)));
        runtime.set_processors(1).expect("one is enough");
        let mut retaken = 0;
        while retaken < 2 {
            retaken += runtime.retake_all();
            thread::yield_now();
        }
        end(runtime);
        turns.assert_each_ran_once();
    });
}

/// 2 threads, some goroutines; sampled. Who waits when the runtime stops, and has not begun, is not run
/// any more.
#[test]
fn who_has_not_begun_when_it_stops_does_not_run() {
    let name = "fair: who has not begun when it stops does not run [T1]";
    Scenario { name, threads: 2, goroutines: 16 }.check(&Plan::usual(1000), || {
        let (runtime, begun, ledger) = (anchored(1, 1), Flag::default(), Ledger::new(1));
        let (first, mine) = (begun.clone(), ledger.clone());
        drop(runtime.go(move || {
            first.set();
            loop {
                let ledger = mine.clone();
                let refused = try_go(move || ledger.enter(0)).map(drop).err();
                if refused.is_some_and(|e| e.kind() == SpawnErrorKind::ShuttingDown) {
                    break;
                }
                thread::yield_now();
            }
        }));
        begun.spin();
        drop(runtime);
        assert_eq!(ledger.times(0), 0, "T1: the only worker was taken until the runtime stopped");
    });
}

/// 3 threads, 3 goroutines; sampled. Two wake each other; when their streak is over, one who is at home
/// goes first, and blocks the thread until they go on: whoever was put behind it must be run elsewhere.
#[test]
fn who_comes_after_a_streak_is_run_though_another_goes_first() {
    let name = "fair: who comes after a streak is run though another goes first [I1]";
    Scenario { name, threads: 3, goroutines: 3 }.check(&Plan::usual(1000), || {
        let (runtime, turn, over) =
            (migrating(2, 2), Arc::new(AtomicUsize::new(0)), Flag::default());
        let gate = Gate::default();
        runtime.run(|| {
            let (ping, theirs, last, open) = (current(), turn.clone(), over.clone(), gate.clone());
            let pong = go(move || {
                while !last.is_set() {
                    theirs.fetch_add(1, Ordering::SeqCst);
                    open.open();
                    ping.unpark();
                    park();
                }
                ping.unpark();
            });
            let (seen, last, pass) = (turn.clone(), over.clone(), gate.clone());
            let home = go(move || {
                pinned(|| {
                    while !last.is_set() {
                        yield_now();
                        let now = seen.load(Ordering::SeqCst);
                        while seen.load(Ordering::SeqCst) == now && !last.is_set() {
                            pass.pass();
                        }
                    }
                });
            });
            while turn.load(Ordering::SeqCst) < 30 {
                pong.goroutine().unpark();
                park();
            }
            over.set();
            gate.open();
            pong.goroutine().unpark();
            pong.join().expect("no panic");
            home.join().expect("no panic");
        });
        end(runtime);
    });
}
