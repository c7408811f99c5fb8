//! What is counted.

use super::Figures;
use super::trap::counted;
use selvedge::chan::{Receiver, Sender, bounded};
use selvedge::sync::Mutex;
use selvedge::{JoinHandle, Runtime, blocking, current, go, park, yield_now};
use std::hint::black_box;

/// So many are looked at, of which the least counts; and so many before, to warm up.
const COUNTED: u64 = 32;
const BEFORE: u64 = 2048;

type Workload = (&'static str, fn() -> Figures);

pub fn all() -> Vec<(String, Figures)> {
    ["isolated", "anchored", "migrating"].into_iter().flat_map(in_placement).collect()
}

fn in_placement(placement: &str) -> Vec<(String, Figures)> {
    // One thread: nothing moves to another, which would not be stepped.
    let builder = Runtime::builder().processors(1).max_threads(1);
    let runtime = match placement {
        "isolated" => builder.build(),
        // SAFETY: nothing of this file touches a thread-local.
        "anchored" => unsafe { builder.build_anchored() },
        // SAFETY: nothing of this file touches a thread-local.
        _ => unsafe { builder.build_migrating() },
    }
    .expect("a runtime");
    let workloads: [Workload; 7] = [
        ("spawn and join", spawn_and_join),
        ("yield between two", yields),
        ("park and unpark round trip", ping_pong),
        ("rendezvous round trip", rendezvous),
        ("mutex, nobody else", mutex),
        ("send and receive, with room", buffered),
        ("blocking in place", in_place),
    ];
    let figures =
        |(name, workload): Workload| (format!("{placement}: {name}"), runtime.run(workload));
    workloads.into_iter().map(figures).collect()
}

/// The least of some operations: none that was disturbed, or that had its turn to look elsewhere.
fn least(mut operation: impl FnMut()) -> Figures {
    (0..BEFORE).for_each(|_| operation());
    (0..COUNTED).map(|_| counted(&mut operation)).min().expect("some operations")
}

fn spawn_and_join() -> Figures {
    least(|| _ = black_box(go(|| 1).join()))
}

/// Those of both; so an operation is two yields.
fn yields() -> Figures {
    let other = go(|| (0..BEFORE + COUNTED).for_each(|_| yield_now()));
    let figures = least(yield_now);
    ended(other);
    figures
}

fn ping_pong() -> Figures {
    let me = current();
    let other = go(move || {
        for _ in 0..BEFORE + COUNTED {
            park();
            me.unpark();
        }
    });
    let them = other.goroutine();
    let figures = least(|| {
        them.unpark();
        park();
    });
    ended(other);
    figures
}

fn rendezvous() -> Figures {
    let (there, arrives) = bounded::<u64>(0);
    let (back, returns) = bounded::<u64>(0);
    fn echo(arrives: &Receiver<u64>, back: &Sender<u64>) {
        arrives.iter().for_each(|value| back.send(value).expect("somebody waits"));
    }
    let other = go(move || echo(&arrives, &back));
    let figures = least(|| {
        there.send(1).expect("somebody waits");
        black_box(returns.recv().expect("it comes back"));
    });
    drop(there);
    ended(other);
    figures
}

fn mutex() -> Figures {
    let mutex = Mutex::new(0_u64);
    least(|| *mutex.lock().expect("nobody panics") += 1)
}

fn buffered() -> Figures {
    let (sender, receiver) = bounded(128);
    least(|| {
        sender.send(1_u64).expect("it has room");
        black_box(receiver.recv().expect("just sent"));
    })
}

fn in_place() -> Figures {
    least(|| _ = black_box(blocking(|| black_box(1))))
}

fn ended(other: JoinHandle<()>) {
    other.join().expect("it doesn't panic");
}
