//! What belongs to the kernel thread: goroutines with thread-locals of their own beside the parts of the
//! C library and the kernel that know nothing of them.
//!
//! | file | what is checked |
//! |---|---|
//! | `fork` | [C9]: the child of a goroutine starts threads |
//! | `settings` | [C8]: the C library under other settings, and where the kernel grants less |
//! | `wired` | [A2], [A3]: goroutines that change their kernel thread |
//! | `handlers` | signal handlers of wired goroutines |
//! | `interposed` | what is defined anew answers as the C library does |
//! | `handles` | what takes a thread's handle |
//! | `late` | [C10]: libraries that are loaded later |
//! | `identity` | [C9]: `set*id` reaches each kernel thread |
//!
//! `changes`: what `wired` and `handlers` do. `c` compiles small libraries; where there is no compiler, tests that need one say so and check nothing.
//! Each test runs in a process of its own: `common::process`.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![cfg(not(feature = "portable-switch"))]

mod c;
mod changes;
mod common;
mod fork;
mod handlers;
mod handles;
mod identity;
mod interposed;
mod late;
mod settings;
mod wired;

#[path = "../../verification/kernel/src/battery.rs"]
mod battery;
