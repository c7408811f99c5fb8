//! Runtimes that end early: what was spawned has run, or was dropped, or its joiner learns that it
//! never will.

use crate::args::Placement;
use crate::book::Book;
use crate::rng::Rng;
use crate::round::build;
use selvedge::{JoinHandle, Runtime, Spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Suspended goroutines that a runtime may leave behind for ever, in all: they keep their kernel
/// threads and their stacks.
const MOST_LEAKED: u64 = 100;

pub fn cycle(book: &'static Book, rng: &mut Rng) {
    match rng.below(4) {
        0 => end_at_once(book, rng),
        1 => nothing_at_all(book, rng),
        2 if book.leaked.load(Ordering::Relaxed) < MOST_LEAKED => leave_some(book, rng),
        _ => {}
    }
}

fn small(book: &'static Book, rng: &mut Rng) -> Runtime {
    let processors = rng.within(1, 4) as usize;
    let builder = Runtime::builder().processors(processors).max_threads(processors + 8);
    build(builder.max_goroutines(5000), book.placement)
}

fn nothing_at_all(book: &'static Book, rng: &mut Rng) {
    for _ in 0..20 {
        let runtime = small(book, rng);
        if rng.one_in(2) {
            runtime.run(|| ());
        }
        if rng.one_in(2) && runtime.shutdown(Duration::from_secs(5)).is_err() {
            crate::violation("a runtime without goroutines doesn't end");
        }
    }
}

/// Each closure runs, or is dropped; never both, never neither. Its joiner learns which.
fn end_at_once(book: &'static Book, rng: &mut Rng) {
    let ran = Arc::new(AtomicU64::new(0));
    let runtime = small(book, rng);
    let ended = || book.ended.load(Ordering::Acquire) + book.dropped.load(Ordering::Acquire);
    let before = ended();
    let n = rng.within(1, 3000);
    let handles: Vec<JoinHandle<u64>> = (0..n)
        .map(|i| {
            let ticket = book.ticket("cycle");
            let ran = Arc::clone(&ran);
            runtime.go(move || {
                let _life = ticket.begin();
                ran.fetch_add(1, Ordering::Relaxed);
                i
            })
        })
        .collect();
    std::thread::sleep(Duration::from_micros(rng.below(300)));
    drop(runtime);
    let mut joined = 0;
    for (i, handle) in handles.into_iter().enumerate() {
        match handle.join() {
            Ok(value) if value == i as u64 => joined += 1,
            Ok(value) => crate::violation(&format!("goroutine {i} answered {value}")),
            Err(error) if error.is_abandoned() => {}
            Err(error) => crate::violation(&format!("goroutine {i}: {error}")),
        }
    }
    let all = ended() - before;
    if all != n {
        crate::violation(&format!("of {n} closures {all} were run or dropped at the end"));
    }
    let ran = ran.load(Ordering::Relaxed);
    if joined != ran {
        crate::violation(&format!("{ran} ran, but {joined} were joined"));
    }
}

/// Some park for ever: `shutdown` says so, and their joiners learn it.
fn leave_some(book: &'static Book, rng: &mut Rng) {
    let runtime = small(book, rng);
    let stuck = rng.within(1, 5);
    let spawn = |_| {
        let park = || loop {
            selvedge::park();
        };
        runtime.go_with(Spawn::new().name("stuck"), park)
    };
    let handles: Vec<JoinHandle<()>> = (0..stuck).filter_map(|i| spawn(i).ok()).collect();
    let mut handles = handles.into_iter();
    let joiner = handles.next().map(|handle| std::thread::spawn(move || handle.join()));
    std::thread::sleep(Duration::from_millis(5));
    let left = match runtime.shutdown(Duration::from_millis(20)) {
        Ok(()) => 0,
        Err(error) => error.remaining().len() as u64,
    };
    if left != stuck {
        crate::violation(&format!("{stuck} were stuck, `shutdown` says {left}"));
    }
    let outcomes = handles.map(JoinHandle::join).chain(joiner.and_then(|it| it.join().ok()));
    for outcome in outcomes {
        if !outcome.is_err_and(|error| error.is_abandoned()) {
            crate::violation("a joiner does not learn that its goroutine was abandoned");
        }
    }
    let leaked = if book.placement == Placement::Anchored { stuck } else { stuck / 4 + 1 };
    book.leaked.fetch_add(leaked, Ordering::Relaxed);
}
