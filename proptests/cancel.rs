//! Tokens against an oracle: random trees that grow, are cancelled and dropped; trees too deep for
//! recursion; threads that do all of it at once. [Y1] [Y2]

use proptest::prelude::*;
use selvedge::time::Instant;
use selvedge::{CancelReason, CancelToken, Cancelled};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

const DEEP: usize = 100_000;
const FAR: Duration = Duration::from_secs(3_600);

#[derive(Clone, Debug)]
enum Step {
    Root,
    /// Below which, and how far off its deadline: none, passed, or so many hours.
    Child(usize, Option<u32>),
    Cancel(usize),
    CancelByGuard(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Root),
        6 => (any::<usize>(), prop::option::of(0u32..4)).prop_map(|(of, due)| Step::Child(of, due)),
        2 => any::<usize>().prop_map(Step::Cancel),
        1 => any::<usize>().prop_map(Step::CancelByGuard),
        3 => any::<usize>().prop_map(Step::Drop),
    ]
}

/// What a token should be: the whole tree is kept, also where the token is gone.
struct Oracle {
    parent: Option<usize>,
    token: Option<CancelToken>,
    reason: Option<CancelReason>,
    deadline: Option<Instant>,
}

fn is_below(all: &[Oracle], mut one: usize, other: usize) -> bool {
    loop {
        if one == other {
            return true;
        }
        match all[one].parent {
            Some(parent) => one = parent,
            None => return false,
        }
    }
}

fn cancel(all: &mut [Oracle], which: usize) {
    for one in 0..all.len() {
        if is_below(all, one, which) {
            all[one].reason.get_or_insert(CancelReason::Cancelled);
        }
    }
}

fn child(all: &[Oracle], of: usize, due: Option<u32>, now: Instant) -> Oracle {
    let parent = all[of].token.as_ref().expect("it is alive");
    let own = due.map(|hours| now + FAR * hours);
    let token = match own {
        Some(deadline) => parent.child_with_deadline(deadline),
        None => parent.child(),
    };
    let deadline = [own, all[of].deadline].into_iter().flatten().min();
    let passed = deadline.is_some_and(|deadline| deadline <= now);
    let reason = all[of].reason.or(passed.then_some(CancelReason::DeadlinePassed));
    Oracle { parent: Some(of), token: Some(token), reason, deadline }
}

fn check(all: &[Oracle]) {
    for oracle in all {
        let Some(token) = &oracle.token else { continue };
        assert_eq!(token.is_cancelled(), oracle.reason.is_some());
        assert_eq!(token.reason(), oracle.reason);
        assert_eq!(token.check(), oracle.reason.map_or(Ok(()), |_| Err(Cancelled)));
        assert_eq!(token.deadline(), oracle.deadline);
        assert_eq!(token.done().try_recv().is_ok(), oracle.reason.is_some());
    }
}

proptest! {
    #[test]
    fn tokens_do_as_the_oracle_says(steps in prop::collection::vec(step(), 1..80)) {
        let now = Instant::now();
        let mut all: Vec<Oracle> = Vec::new();
        for step in steps {
            let alive: Vec<usize> = (0..all.len()).filter(|&n| all[n].token.is_some()).collect();
            let pick = |n: usize| (!alive.is_empty()).then(|| alive[n % alive.len()]);
            match step {
                Step::Root => all.push(Oracle {
                    parent: None,
                    token: Some(CancelToken::new()),
                    reason: None,
                    deadline: None,
                }),
                Step::Child(n, due) => if let Some(of) = pick(n) {
                    let made = child(&all, of, due, now);
                    all.push(made);
                },
                Step::Cancel(n) => if let Some(which) = pick(n) {
                    all[which].token.as_ref().unwrap().cancel();
                    cancel(&mut all, which);
                },
                Step::CancelByGuard(n) => if let Some(which) = pick(n) {
                    let token = all[which].token.as_ref().unwrap();
                    token.cancel_on_drop().disarm();
                    drop(token.cancel_on_drop());
                    cancel(&mut all, which);
                },
                Step::Drop(n) => if let Some(which) = pick(n) {
                    all[which].token = None;
                },
            }
            check(&all);
        }
    }
}

#[test]
fn a_deep_chain_is_cancelled_and_dropped_on_a_small_stack() {
    let body = || {
        let root = CancelToken::new();
        let leaf = (0..DEEP).fold(root.clone(), |token, _| token.child());
        root.cancel();
        assert!(leaf.is_cancelled());
        drop(leaf);

        let root = CancelToken::new();
        let leaf = (0..DEEP).fold(root.clone(), |token, _| token.child());
        // The leaf alone keeps the chain.
        drop(leaf);
        assert!(!root.is_cancelled());

        let leaf = (0..DEEP).fold(CancelToken::new(), |token, _| token.child());
        leaf.cancel();
    };
    let small = std::thread::Builder::new().stack_size(64 * 1024).spawn(body).unwrap();
    small.join().unwrap();
}

#[test]
fn a_token_is_awaited_by_threads_and_its_deadline_comes_by_itself() {
    let token = CancelToken::with_timeout(Duration::from_millis(2));
    std::thread::scope(|s| {
        for _ in 0..3 {
            s.spawn(|| token.child().wait());
            s.spawn(|| token.done().recv().unwrap());
        }
    });
    assert_eq!(token.reason(), Some(CancelReason::DeadlinePassed));
    token.cancel();
    assert_eq!(token.reason(), Some(CancelReason::DeadlinePassed), "the first reason stays");
    assert_eq!(token.remaining(), Some(Duration::ZERO));
    token.wait();
    let said = Cancelled.to_string();
    assert!(said.contains("cancelled"), "{said}");
}

#[test]
fn whoever_is_below_when_cancel_returns_is_cancelled() {
    for _ in 0..200 {
        let root = CancelToken::new();
        let done = AtomicBool::new(false);
        std::thread::scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let mut tokens = vec![root.clone()];
                    for n in 0..50 {
                        let child = tokens[n % tokens.len()].child();
                        let was_done = done.load(SeqCst);
                        assert!(!was_done || child.is_cancelled());
                        tokens.push(child);
                        if n % 3 == 0 {
                            drop(tokens.swap_remove(n % tokens.len()));
                        }
                        if tokens.is_empty() {
                            tokens.push(root.child());
                        }
                    }
                    s.spawn(move || tokens.iter().for_each(CancelToken::wait));
                });
            }
            s.spawn(|| {
                root.cancel();
                done.store(true, SeqCst);
            });
        });
    }
}
