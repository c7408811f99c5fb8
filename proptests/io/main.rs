//! Files, pipes, child processes and signals: `cargo test --test io`.
//!
//! | file | what is checked |
//! |---|---|
//! | `files` | `selvedge::fs` against `std::fs`: random programs, with the same answers, errors and trees |
//! | `waits` | who waits in the kernel holds up nobody: not even those at home on its kernel thread |
//! | `process` | children: how they end, what they write, many at once |
//! | `signals` | each listener hears; the second Ctrl-C ends; defaults come back |
//! | `models` | none of this is there in a model |
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

#[allow(dead_code)]
#[path = "../runtime/common.rs"]
mod common;
mod files;
mod models;
mod process;
mod signals;
mod waits;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// A directory of its own, removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let own = format!("selvedge-io-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(own);
        std::fs::create_dir(&path).expect("a directory to work in");
        Scratch(path.canonicalize().expect("it is there"))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
