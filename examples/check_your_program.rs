//! Four programs with a bug each, and what is right. docs/worked.md tells their story.
//!
//! `cargo run --example check_your_program --features loom` explores every order of steps with at most
//! two preemptions; with `--features shuttle`, a thousand random ones. Without either, a thousand seeds
//! are simulated, on the build that ships.

use selvedge::chan::{bounded, unbounded};
use selvedge::model::{Check, Failure, Report, try_simulate_seeds};
use selvedge::sync::{Mutex, WaitGroup};
use selvedge::{Runtime, Spawn, go};
use std::sync::Arc;

/// A counter behind a channel: whoever adds, takes the count out and puts the sum back.
fn counter(add: fn(&Mutex<u64>)) {
    let count = Arc::new(Mutex::new(0));
    let (jobs, todo) = unbounded::<()>();
    let workers = ["first", "second"].map(|name| {
        let (count, todo) = (Arc::clone(&count), todo.clone());
        Spawn::new().name(name).go(move || {
            for () in &todo {
                add(&count);
            }
        })
    });
    jobs.send(()).unwrap();
    jobs.send(()).unwrap();
    drop(jobs);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    assert_eq!(*count.lock().unwrap(), 2, "an update was lost");
}

fn lost_update() {
    counter(|count| {
        let seen = *count.lock().unwrap();
        *count.lock().unwrap() = seen + 1;
    });
}

fn no_lost_update() {
    counter(|count| *count.lock().unwrap() += 1);
}

/// A sum over a channel, which ends when the channel does.
fn sum(forget: bool) {
    let (numbers, received) = bounded(1);
    let kept = numbers.clone();
    let adder = Spawn::new().name("adder").go(move || {
        let mut sum = 0;
        for n in received {
            sum += n;
        }
        sum
    });
    let sender = Spawn::new().name("sender").go(move || {
        for n in 1..=2 {
            numbers.send(n).unwrap();
        }
    });
    if !forget {
        drop(kept);
    }
    sender.join().unwrap();
    assert_eq!(adder.join().unwrap(), 3);
}

fn forgotten_close() {
    sum(true);
}

fn no_forgotten_close() {
    sum(false);
}

/// Two accounts, and a transfer each way.
fn transfers(in_order: bool) {
    let accounts = Arc::new([Mutex::new(10), Mutex::new(10)]);
    let both = [("there", 0, 1), ("back", 1, 0)].map(|(name, from, to)| {
        let accounts = Arc::clone(&accounts);
        Spawn::new().name(name).go(move || {
            let (low, high) = if in_order { (from.min(to), from.max(to)) } else { (from, to) };
            let mut one = accounts[low].lock().unwrap();
            let mut other = accounts[high].lock().unwrap();
            let (source, target) =
                if low == from { (&mut *one, &mut *other) } else { (&mut *other, &mut *one) };
            *source -= 1;
            *target += 1;
        })
    });
    both.into_iter().for_each(|transfer| transfer.join().unwrap());
}

fn lock_order() {
    transfers(false);
}

fn no_lock_order() {
    transfers(true);
}

/// A wait for two workers. The program brings its own runtime, as its `main` does.
fn gather(add_before: bool) {
    Runtime::new().expect("a runtime").run(|| wait_for_two(add_before));
}

fn wait_for_two(add_before: bool) {
    let group = WaitGroup::new();
    let done = Arc::new(Mutex::new(0));
    for _ in 0..2 {
        let (group, done) = (group.clone(), Arc::clone(&done));
        if add_before {
            group.add(1);
        }
        drop(go(move || {
            if !add_before {
                group.add(1);
            }
            *done.lock().unwrap() += 1;
            group.done();
        }));
    }
    group.wait();
    assert_eq!(*done.lock().unwrap(), 2, "both have done their part");
}

fn wrong_wait_group() {
    gather(false);
}

fn right_wait_group() {
    gather(true);
}

fn explore(program: fn()) -> Result<Report, Failure> {
    if cfg!(feature = "loom") {
        Check::new().try_check(program)
    } else if cfg!(feature = "shuttle") {
        Check::new().try_random(1, 1000, program)
    } else {
        try_simulate_seeds(0..1000, program)
    }
}

/// Its name; the program as it was, and as it is mended.
type Case = (&'static str, fn(), fn());

fn main() {
    let programs: [Case; 4] = [
        ("lost update", lost_update, no_lost_update),
        ("forgotten close", forgotten_close, no_forgotten_close),
        ("lock order", lock_order, no_lock_order),
        ("wrong wait group", wrong_wait_group, right_wait_group),
    ];
    for (name, wrong, right) in programs {
        let failure = explore(wrong).expect_err("it is wrong");
        println!("== {name} ==\n{failure}\n");
        let report = explore(right).unwrap_or_else(|failure| panic!("{failure}"));
        println!("== {name}, mended ==\n{report}\n");
    }
}
