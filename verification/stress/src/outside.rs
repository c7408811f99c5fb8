//! Plain threads beside the runtime: they run errands for goroutines, and meddle on their own.

use crate::book::{Book, Phase};
use crate::rng::Rng;
use selvedge::Runtime;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

type Errand = Box<dyn FnOnce() + Send>;

/// Two threads that do what they are sent.
#[derive(Clone)]
pub struct Outside(Sender<Errand>);

impl Outside {
    pub fn new() -> Self {
        let (sender, receiver) = channel::<Errand>();
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..2 {
            let receiver: Arc<Mutex<Receiver<Errand>>> = Arc::clone(&receiver);
            std::thread::spawn(move || {
                loop {
                    let errand = receiver.lock().unwrap().recv();
                    match errand {
                        Ok(errand) => errand(),
                        Err(_) => return,
                    }
                }
            });
        }
        Outside(sender)
    }

    /// Never suspends; outlined, since sending touches thread-locals.
    #[inline(never)]
    pub fn send(&self, errand: impl FnOnce() + Send + 'static) {
        let _ = self.0.send(Box::new(errand));
    }
}

/// What may be done to a runtime from outside while a round runs.
pub fn meddle(
    runtime: &Runtime,
    book: &'static Book,
    mut rng: Rng,
    most: usize,
    over: &AtomicBool,
) {
    while !over.load(Ordering::Acquire) {
        match rng.below(6) {
            0 => sleep(Duration::from_micros(rng.within(10, 3000))),
            1 => {
                let asked = rng.within(1, most as u64) as usize;
                if let Err(error) = runtime.set_processors(asked) {
                    crate::violation(&format!("set_processors({asked}): {error}"));
                }
            }
            2 => spawn_and_join(runtime, book, rng.fork()),
            3 => run(runtime, book, rng.fork()),
            4 => wake(runtime, book, rng.within(1, 50)),
            _ => check_metrics(runtime, most),
        }
    }
}

fn spawn_and_join(runtime: &Runtime, book: &'static Book, mut rng: Rng) {
    let one = |seed: u64| {
        let ticket = book.ticket("outside");
        book.spawned.fetch_add(1, Ordering::Relaxed);
        runtime.go(move || {
            let life = ticket.begin();
            life.yields(seed % 4);
            seed
        })
    };
    let handles: Vec<_> = (0..rng.within(1, 40)).map(|seed| (seed, one(seed))).collect();
    for (seed, handle) in handles {
        if rng.one_in(8) {
            continue;
        }
        if handle.join().ok() != Some(seed) {
            crate::violation("a plain thread got a wrong result from `join`");
        }
    }
}

fn run(runtime: &Runtime, book: &'static Book, mut rng: Rng) {
    book.spawned.fetch_add(1, Ordering::Relaxed);
    let ticket = book.ticket("outside");
    let mut words = vec![rng.next(); 3];
    runtime.run(|| {
        let life = ticket.begin();
        life.yields(2);
        words.push(7);
    });
    if words.last() != Some(&7) {
        crate::violation("`run` returned before its closure did");
    }
}

/// A plain thread and a goroutine wake each other.
fn wake(runtime: &Runtime, book: &'static Book, rounds: u64) {
    let me = book.ticket("outside").begin();
    let mine = me.gate();
    let ticket = book.ticket("outside");
    let gate = ticket.early_gate();
    book.spawned.fetch_add(1, Ordering::Relaxed);
    let handle = runtime.go(move || {
        let life = ticket.begin();
        for turn in 1..=rounds {
            life.wait(turn);
            mine.give();
        }
    });
    let theirs = gate(handle.goroutine());
    for turn in 1..=rounds {
        theirs.give();
        me.wait(turn);
    }
    me.step(Phase::Joining);
    if handle.join().is_err() {
        crate::violation("a goroutine that wakes a plain thread panicked");
    }
}

fn check_metrics(runtime: &Runtime, most: usize) {
    let metrics = runtime.metrics();
    if metrics.finished > metrics.spawned || metrics.processors > most {
        crate::violation(&format!("impossible metrics: {metrics:?}"));
    }
}
