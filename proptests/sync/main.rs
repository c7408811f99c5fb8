//! Locks and their kin as their users meet them, on goroutines, on plain threads and on a mixture:
//! what `std` and Go document of theirs, as named tests; random programs against what must hold of
//! every outcome; bad input.
//! Run by `cargo test`; under the checkers' types see verification/.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]

mod barrier;
#[allow(dead_code)]
#[path = "../runtime/common.rs"]
mod common;
mod condvar;
mod histories;
#[path = "../runtime/linear.rs"]
mod linear;
mod mutex;
mod once;
mod permits;
mod poison;
mod programs;
mod rwlock;
mod wait_group;

use selvedge::{Builder, JoinHandle, Runtime, go, yield_now};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One who takes part in a test.
type Body = Box<dyn FnOnce() + Send>;

/// Runs each body at the same time: by turns a goroutine of `runtime` and a plain thread. A panic in
/// one goes on here.
#[track_caller]
fn mixture(runtime: &Runtime, bodies: Vec<Body>) {
    let mut goroutines = Vec::new();
    let mut threads = Vec::new();
    for (n, body) in bodies.into_iter().enumerate() {
        match n % 2 {
            0 => goroutines.push(runtime.go(body)),
            _ => threads.push(std::thread::spawn(body)),
        }
    }
    for goroutine in goroutines {
        goroutine.join().unwrap_or_else(|error| panic!("a goroutine failed: {error}"));
    }
    for thread in threads {
        thread.join().unwrap_or_else(|payload| resume_unwind(payload));
    }
}

/// Runs `body` in a goroutine of a runtime with one processor.
#[track_caller]
fn on_one(body: impl Fn() + Send + Sync + 'static) {
    within(|builder| builder, body);
}

/// As [`on_one`], and no monitor takes the processor away: who runs goes on until
/// it waits or yields, so the order of all that happens can be known. No time-out fires.
#[track_caller]
fn in_order(body: impl Fn() + Send + Sync + 'static) {
    within(|builder| builder.modelled(256), body);
}

/// Spawns a goroutine and lets it run until it waits: where it is certain, [`in_order`], it has come to
/// its first wait when this returns; elsewhere it has begun.
fn go_ahead<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let begun = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&begun);
    let goroutine = go(move || {
        tell.store(true, Ordering::SeqCst);
        f()
    });
    while !begun.load(Ordering::SeqCst) {
        yield_now();
    }
    goroutine
}

#[track_caller]
fn within(how: fn(Builder) -> Builder, body: impl Fn() + Send + Sync + 'static) {
    common::beside(move || {
        for placement in common::ALL {
            let runtime = placement.build(how(Runtime::builder().processors(1)));
            runtime.run(&body);
            common::finish(runtime);
        }
    });
}
