//! loom against C11, shape by shape. The table is in docs/checking.md; `Row::hold` compares.

use crate::explore::{Row, Says, outcomes, reaches, rejects, spawn};
use crate::shapes::{
    RACE, Side, hand_over, message_passing, message_passing_by_fences, store_buffering, words,
};
use Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use Says::{Allowed, Forbidden};
use selvedge::internals::platform::Arc;
use selvedge::internals::platform::atomic::Ordering;

#[test]
fn store_buffering_with_seqcst_accesses() {
    let side = Side::Plain(SeqCst, SeqCst);
    Row { behaviour: "store buffering, SeqCst accesses", loom: Allowed, c11: Forbidden }
        .hold(reaches((0, 0), move || store_buffering([side; 2])));
}

#[test]
fn store_buffering_with_release_and_acquire() {
    let side = Side::Plain(Release, Acquire);
    Row { behaviour: "store buffering, Release and Acquire", loom: Allowed, c11: Allowed }
        .hold(reaches((0, 0), move || store_buffering([side; 2])));
}

#[test]
fn store_buffering_with_two_fences() {
    Row {
        behaviour: "store buffering, Relaxed, `fence(SeqCst)` on both sides",
        loom: Forbidden,
        c11: Forbidden,
    }
    .hold(reaches((0, 0), || store_buffering([Side::Fenced(SeqCst); 2])));
}

#[test]
fn store_buffering_with_two_weaker_fences() {
    Row {
        behaviour: "store buffering, Relaxed, `fence(AcqRel)` on both sides",
        loom: Allowed,
        c11: Allowed,
    }
    .hold(reaches((0, 0), || store_buffering([Side::Fenced(AcqRel); 2])));
}

#[test]
fn store_buffering_with_a_fence_on_one_side() {
    Row {
        behaviour: "store buffering, `fence(SeqCst)` on one side, nothing on the other",
        loom: Allowed,
        c11: Allowed,
    }
    .hold(reaches((0, 0), || {
        store_buffering([Side::Fenced(SeqCst), Side::Plain(Relaxed, Relaxed)])
    }));
}

#[test]
fn store_buffering_with_a_fence_and_seqcst_accesses() {
    Row {
        behaviour: "store buffering, `fence(SeqCst)` on one side, SeqCst accesses on the other",
        loom: Allowed,
        c11: Forbidden,
    }
    .hold(reaches((0, 0), || store_buffering([Side::Fenced(SeqCst), Side::Plain(SeqCst, SeqCst)])));
}

#[test]
fn store_buffering_with_an_rmw_for_the_load() {
    for order in [AcqRel, SeqCst] {
        Row {
            behaviour: "store buffering, an RMW that changes nothing for the load",
            loom: Forbidden,
            c11: Allowed,
        }
        .hold(reaches((0, 0), move || store_buffering([Side::Rmw(order); 2])));
    }
}

#[test]
fn store_buffering_with_an_rmw_on_a_third_word() {
    Row {
        behaviour: "store buffering, an AcqRel RMW on one third word between",
        loom: Forbidden,
        c11: Forbidden,
    }
    .hold(reaches((0, 0), || store_buffering([Side::RmwElsewhere(AcqRel); 2])));
}

#[test]
fn store_buffering_with_a_relaxed_rmw_on_a_third_word() {
    Row {
        behaviour: "store buffering, a Relaxed RMW on one third word between",
        loom: Allowed,
        c11: Allowed,
    }
    .hold(reaches((0, 0), || store_buffering([Side::RmwElsewhere(Relaxed); 2])));
}

#[test]
fn message_passing_with_release_and_acquire() {
    Row {
        behaviour: "message passing, Release and Acquire: the flag without the data",
        loom: Forbidden,
        c11: Forbidden,
    }
    .hold(reaches((1, 0), || message_passing(Release, Acquire)));
}

#[test]
fn message_passing_without_release_or_acquire() {
    for (publish, observe) in [(Relaxed, Acquire), (Release, Relaxed), (Relaxed, Relaxed)] {
        Row {
            behaviour: "message passing, Release or Acquire missing: the flag without the data",
            loom: Allowed,
            c11: Allowed,
        }
        .hold(reaches((1, 0), move || message_passing(publish, observe)));
    }
}

#[test]
fn message_passing_with_fences() {
    Row {
        behaviour: "message passing, `fence(Release)` and `fence(Acquire)`: the flag without the data",
        loom: Forbidden,
        c11: Forbidden,
    }
    .hold(reaches((1, 0), || message_passing_by_fences(Release, Acquire)));
}

#[test]
fn plain_data_behind_a_relaxed_flag() {
    let rejected = rejects("envelope::plain_data_behind_a_relaxed_flag", &[RACE], || {
        hand_over(|flag| flag.store(1, Relaxed), |flag| flag.load(Acquire) == 1);
    });
    // Allowed: loom explores the racing execution, and reports it; for C11 it is undefined.
    Row { behaviour: "a data race behind a Relaxed flag: reported", loom: Allowed, c11: Allowed }
        .hold(rejected);
}

#[test]
fn load_buffering() {
    Row { behaviour: "load buffering, Relaxed", loom: Forbidden, c11: Allowed }.hold(reaches(
        (1, 1),
        || {
            let [x, y] = words();
            let other = {
                let (x, y) = (Arc::clone(&x), Arc::clone(&y));
                spawn(move || {
                    let seen = y.load(Relaxed);
                    x.store(1, Relaxed);
                    seen
                })
            };
            let seen = x.load(Relaxed);
            y.store(1, Relaxed);
            (seen, other.join())
        },
    ));
}

#[test]
fn two_loads_of_one_word_go_backwards() {
    Row { behaviour: "two loads of one word go backwards", loom: Forbidden, c11: Forbidden }.hold(
        reaches((1, 0), || {
            let [x, _] = words();
            let writer = {
                let x = Arc::clone(&x);
                spawn(move || x.store(1, Relaxed))
            };
            let seen = (x.load(Relaxed), x.load(Relaxed));
            writer.join();
            seen
        }),
    );
}

#[test]
fn a_plain_store_that_races_a_swap() {
    // What the swap returned, and what is there in the end: either came first.
    let all = outcomes(|| {
        let [x, _] = words();
        let storer = {
            let x = Arc::clone(&x);
            spawn(move || x.store(1, Relaxed))
        };
        let before = x.swap(2, Relaxed);
        storer.join();
        (before, x.load(Relaxed))
    });
    let impossible = all.iter().any(|&seen| seen != (0, 1) && seen != (1, 2));
    Row {
        behaviour: "a plain store races a swap: neither came first",
        loom: Allowed,
        c11: Forbidden,
    }
    .hold(impossible);
}

#[test]
fn rmws_on_one_word_lose_nothing() {
    Row { behaviour: "two RMWs on one word: one is lost", loom: Forbidden, c11: Forbidden }.hold(
        outcomes(|| {
            let [x, _] = words();
            let other = {
                let x = Arc::clone(&x);
                spawn(move || x.fetch_add(1, Relaxed))
            };
            x.fetch_add(1, Relaxed);
            other.join();
            x.load(Relaxed)
        })
        .iter()
        .any(|&sum| sum != 2),
    );
}

#[test]
fn a_failed_exchange_reads_what_is_stale() {
    // x was 1 before the flag was set; a failing exchange that saw the flag may yet return 0.
    Row {
        behaviour: "a failed compare-exchange reads a stale value",
        loom: Forbidden,
        c11: Allowed,
    }
    .hold(reaches((1, 0), || {
        let [x, flag] = words();
        let writer = {
            let (x, flag) = (Arc::clone(&x), Arc::clone(&flag));
            spawn(move || {
                x.store(1, Relaxed);
                flag.store(1, Relaxed);
            })
        };
        let flag = flag.load(Relaxed);
        let seen = x.compare_exchange(9, 9, Relaxed, Relaxed).unwrap_or_else(|seen| seen);
        writer.join();
        (flag, seen)
    }));
}

#[test]
fn a_weak_exchange_fails_for_no_reason() {
    Row { behaviour: "a weak compare-exchange fails for no reason", loom: Forbidden, c11: Allowed }
        .hold(reaches(Err(0), || {
            let [x, _] = words();
            x.compare_exchange_weak(0, 1, Relaxed, Relaxed)
        }));
}

/// One thread stores 1, 2, ..., `n`, then sets a flag; whether a reader that saw the flag may yet
/// read 0.
fn reads_over(n: usize) -> bool {
    reaches((1, 0), move || {
        let [x, flag] = words();
        let writer = {
            let (x, flag) = (Arc::clone(&x), Arc::clone(&flag));
            spawn(move || {
                (1..=n).for_each(|value| x.store(value, Relaxed));
                flag.store(1, Relaxed);
            })
        };
        let seen = (flag.load(Relaxed), x.load(Relaxed));
        writer.join();
        seen
    })
}

#[test]
fn reads_of_what_is_old() {
    Row { behaviour: "a Relaxed load returns a value six stores old", loom: Allowed, c11: Allowed }
        .hold(reads_over(6));
    Row {
        behaviour: "a Relaxed load returns a value seven stores old",
        loom: Forbidden,
        c11: Allowed,
    }
    .hold(reads_over(7));
}

/// Two threads, each looks at a word and then swaps its own number in, with these orderings: what main
/// saw and got, and what the other did.
fn look_then_swap(look: Ordering, swap: Ordering) -> [(usize, usize); 2] {
    let [x, _] = words();
    let other = {
        let x = Arc::clone(&x);
        spawn(move || (x.load(look), x.swap(2, swap)))
    };
    let mine = (x.load(look), x.swap(1, swap));
    [mine, other.join()]
}

#[test]
fn a_look_hides_the_race_of_the_swap_that_follows() {
    for (look, swap) in [(Relaxed, Relaxed), (Acquire, AcqRel)] {
        let all = outcomes(move || look_then_swap(look, swap));
        assert!(all.contains(&[(0, 0), (1, 1)]), "main, then the other: {all:?}");
        Row {
            behaviour: "two threads look at a word, then swap it: the second is done before the first begins",
            loom: Forbidden,
            c11: Allowed,
        }
        .hold(all.contains(&[(2, 2), (0, 0)]));
    }
}
