//! What the environment does to a process while a runtime runs: `cargo test --test environment`.
//! Each test does it in a process of its own, which is this program again: `twin`.
//!
//! | file | what is checked |
//! |---|---|
//! | `storm` | many signals at once, and very many of them |
//! | `fork` | what a child of `fork` is told, and what it may do |
//! | `sandbox` | system calls that are refused from now on |
//! | `descriptors` | descriptors of ours that somebody closes |
//! | `threads` | who starts children; what has run when a runtime has ended |
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

#[allow(dead_code)]
#[path = "../runtime/common.rs"]
mod common;
mod descriptors;
#[path = "../../verification/stress/src/bin/deny/filter.rs"]
mod filter;
mod fork;
mod sandbox;
mod storm;
mod threads;
mod twin;
