//! Random programs against executable models, and real threads against counts.
//! Run by `cargo test`; the structures under loom and shuttle types belong to verification/.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod cancel;
mod deque;
mod fence;
mod heap;
mod injector;
mod latch;
mod list;
mod parker;
mod rng;
mod slots;

use selvedge::internals::structures::{Link, Linked};
use std::ptr::NonNull;

/// So many; a few under Miri, which takes a thousand times as long.
const fn scaled(many: usize) -> usize {
    if cfg!(miri) { many / 500 } else { many }
}

/// An item with a link; a box that travels as a pointer.
struct Node {
    link: Link<Node>,
    id: usize,
}

// SAFETY: the one link; nothing else touches it.
unsafe impl Linked for Node {
    fn link(&self) -> &Link<Node> {
        &self.link
    }
}

impl Node {
    fn boxed(id: usize) -> NonNull<Node> {
        NonNull::from(Box::leak(Box::new(Node { link: Link::new(), id })))
    }

    fn unbox(node: NonNull<Node>) -> usize {
        // SAFETY: made by `boxed`; whoever got it from a queue is its only owner.
        unsafe { Box::from_raw(node.as_ptr()) }.id
    }
}

/// Each of the numbers `0..n` left exactly once.
#[track_caller]
fn assert_conserved(n: usize, mut left: Vec<usize>) {
    assert_eq!(left.len(), n, "as many items must leave as were pushed");
    left.sort_unstable();
    assert!(left.into_iter().eq(0..n), "each item must leave exactly once");
}
