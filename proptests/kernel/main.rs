//! What belongs to the kernel thread: goroutines with thread-locals of their own beside the parts of the
//! C library and the kernel that know nothing of them.
//!
//! | file | what is checked |
//! |---|---|
//! | `fork` | [C9]: the child of a goroutine starts threads |
//! | `settings` | [C8]: the C library under other settings, and where the kernel grants less |
//! | `identity` | [C9]: `set*id` reaches each kernel thread |
//!
//! `c` compiles small libraries; where there is no compiler, tests that need one say so and check nothing.
//! Each test runs in a process of its own: `common::process`.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![cfg(not(feature = "portable-switch"))]

mod c;
mod common;
mod fork;
mod identity;
mod settings;

#[path = "../../verification/kernel/src/battery.rs"]
mod battery;
