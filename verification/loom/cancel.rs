//! The tree of tokens: [Y1], [Y2]. How a wait meets a token: wait.rs.

use crate::harness::{Bound, Payload, Scenario, join, spawn};
use selvedge::CancelToken;
use selvedge::internals::platform::Arc;

/// 2 threads: make a child and one below it | cancel. However they meet, both are cancelled.
#[test]
fn a_child_made_meanwhile_is_cancelled_too() {
    Scenario {
        name: "cancel: a child made meanwhile is cancelled too [Y1]",
        threads: 2,
        operations: "child, child | cancel",
    }
    .check(Bound::Complete, || {
        let token = CancelToken::new();
        let canceller = token.clone();
        let thread = spawn(move || canceller.cancel());
        let child = token.child();
        let grandchild = child.child();
        join(thread);
        assert!(child.is_cancelled() && grandchild.is_cancelled());
        assert!(grandchild.child().is_cancelled(), "a cancelled token, used again");
    });
}

/// 2 threads: cancel | cancel. Each of them returns to a tree that is cancelled as a whole.
#[test]
fn each_canceller_returns_to_a_tree_that_is_cancelled() {
    Scenario {
        name: "cancel: each canceller returns to a tree that is cancelled [Y1]",
        threads: 2,
        operations: "cancel | cancel",
    }
    .check(Bound::complete_if_long(), || {
        let token = CancelToken::new();
        let child = token.child();
        let leaf = child.child();
        let theirs = (token.clone(), leaf.clone());
        let thread = spawn(move || {
            theirs.0.cancel();
            assert!(theirs.1.is_cancelled());
        });
        token.cancel();
        assert!(leaf.is_cancelled());
        join(thread);
    });
}

/// 2 threads: wait under a token whose parent nobody else holds | cancel the root. It ends.
#[test]
fn a_wait_far_below_ends() {
    Scenario {
        name: "cancel: a wait far below ends [Y1]",
        threads: 2,
        operations: "wait | cancel",
    }
    .check(Bound::complete_if_long(), || {
        let token = CancelToken::new();
        let leaf = token.child().child();
        let thread = spawn(move || token.cancel());
        leaf.wait();
        assert!(leaf.is_cancelled());
        join(thread);
    });
}

/// 2 threads: receive what tells that a token is done | cancel it.
#[test]
fn the_channel_that_tells_of_it_gives_a_value() {
    Scenario {
        name: "cancel: the channel that tells of it gives a value [Y1]",
        threads: 2,
        operations: "done, recv ×2 | cancel",
    }
    .check(Bound::complete_if_long(), || {
        let token = CancelToken::new();
        let done = token.child().done();
        let thread = spawn(move || token.cancel());
        assert_eq!(done.recv(), Ok(()));
        assert_eq!(done.try_recv(), Ok(()), "and so it does whenever it is asked");
        join(thread);
    });
}

/// 2 threads: look whether it is cancelled | write, cancel. Who finds it so sees what came before.
#[test]
fn who_finds_it_cancelled_sees_what_came_before() {
    Scenario {
        name: "cancel: who finds it cancelled sees what came before [Y1]",
        threads: 2,
        operations: "is_cancelled | write, cancel",
    }
    .check(Bound::Complete, || {
        let token = CancelToken::new();
        let child = token.child();
        let value = Arc::new(Payload::new(0));
        let theirs = Arc::clone(&value);
        let thread = spawn(move || {
            theirs.write(7);
            token.cancel();
        });
        if child.is_cancelled() {
            assert_eq!(value.take(), 7);
        }
        join(thread);
    });
}

/// 3 threads: drop a chain from below | cancel its root | drop another child. No lock is taken twice,
/// and nobody is left.
#[test]
fn a_tree_is_torn_down_while_it_is_cancelled() {
    Scenario {
        name: "cancel: a tree is torn down while it is cancelled [Y2]",
        threads: 3,
        operations: "drop leaf | cancel, drop root | drop child",
    }
    .check(Bound::usual(), || {
        let token = CancelToken::new();
        let leaf = token.child().child();
        let child = token.child();
        let drops = spawn(move || drop(child));
        let cancels = spawn(move || token.cancel());
        drop(leaf);
        join(drops);
        join(cancels);
    });
}
