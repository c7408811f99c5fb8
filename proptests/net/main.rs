//! Sockets as their users meet them, on loopback alone: in both placements, on plain threads, and
//! between runtimes.
//!
//! | file | what is checked |
//! |---|---|
//! | `tcp` | streams and listeners: what is sent arrives; ends, resets, full queues, duplicates |
//! | `cancel` | time-outs, deadlines and tokens in each operation that waits |
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod cancel;
#[allow(dead_code)]
#[path = "../runtime/common.rs"]
mod common;
mod support;
mod tcp;
