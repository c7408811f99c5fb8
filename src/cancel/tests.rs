//! Tests of the tree's internals: how large its tables are. [Y2]
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

use super::CancelToken;

impl CancelToken {
    fn slots(&self) -> usize {
        self.0.children.lock().slots.len()
    }
}

#[test]
fn a_million_children_that_go_leave_nothing() {
    let token = CancelToken::new();
    let stays = token.child();
    for n in 0..1_000_000 {
        let child = token.child();
        if n % 1_000 == 0 {
            drop(child.child());
        }
    }
    assert_eq!(token.slots(), 2, "the table has as many slots as there were children at a time");
    token.cancel();
    assert!(stays.is_cancelled());
    for _ in 0..1_000 {
        assert!(token.child().is_cancelled());
    }
    assert_eq!(token.slots(), 2, "a child of a cancelled token is not linked");
}

#[test]
fn slots_are_used_again_in_whatever_order_they_come_free() {
    let token = CancelToken::new();
    let mut children: Vec<_> = (0..100).map(|_| Some(token.child())).collect();
    for step in [7, 3, 11, 1] {
        children.iter_mut().step_by(step).for_each(|child| *child = None);
        children.iter_mut().for_each(|child| {
            child.get_or_insert_with(|| token.child());
        });
    }
    assert_eq!(token.slots(), 100);
    token.cancel();
    assert!(children.iter().flatten().all(CancelToken::is_cancelled));
}
