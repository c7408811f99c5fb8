//! Sockets as their users meet them, on loopback alone: in both placements, on plain threads, and
//! between runtimes.
//!
//! | file | what is checked |
//! |---|---|
//! | `tcp` | streams and listeners: what is sent arrives; ends, resets, full queues, duplicates |
//! | `cancel` | time-outs, deadlines and tokens in each operation that waits |
//! | `kinds` | datagrams, and sockets within the machine |
//! | `places` | plain threads, goroutines of several runtimes, conversions, names |
//! | `faults` | too many open files, `no_suspend`, panics, simulations, who is left |
//! | `storm` | [N3]: many short connections, an end in the midst of them; who computes or blocks |
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod cancel;
#[allow(dead_code)]
#[path = "../runtime/common.rs"]
mod common;
mod faults;
mod kinds;
mod places;
mod storm;
mod support;
mod tcp;
