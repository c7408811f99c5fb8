//! Stage: a runtime on which goroutines are moved between kernel threads at each suspension.
//! On each of four kernel threads a *ferry* is at home: a pinned goroutine that unparks the goroutines
//! that ask for it. They go on behind it, on its kernel thread.

use crate::harness::{Placement, meaningless, progress};
use selvedge::chan::{self, Receiver, Sender};
use selvedge::internals::platform::thread_id;
use selvedge::{Goroutine, JoinHandle, Runtime};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::Duration;

const FERRIES: usize = 4;

pub struct Stage {
    runtime: Runtime,
    ferries: Arc<[Ferry]>,
    crews: Vec<JoinHandle<()>>,
    moves: Arc<AtomicU64>,
}

struct Ferry {
    asks: Sender<Goroutine>,
    /// The kernel's number of its thread.
    thread: Arc<AtomicU64>,
}

impl Stage {
    pub fn new(placement: Placement) -> Stage {
        let runtime = placement.runtime(FERRIES);
        let all_aboard = Arc::new(Barrier::new(FERRIES + 1));
        let (mut ferries, mut crews) = (Vec::new(), Vec::new());
        for _ in 0..FERRIES {
            let (asks, asked) = chan::unbounded();
            let thread = Arc::new(AtomicU64::new(0));
            let (all, known) = (Arc::clone(&all_aboard), Arc::clone(&thread));
            crews.push(runtime.go(move || sail(&asked, &all, &known)));
            ferries.push(Ferry { asks, thread });
        }
        all_aboard.wait();
        Stage { runtime, ferries: ferries.into(), crews, moves: Arc::default() }
    }

    /// Runs `body` in `goroutines` goroutines, each with its number, and waits for all.
    pub fn each(
        &self,
        goroutines: usize,
        body: impl Fn(usize, &mut Steps) + Send + Sync + 'static,
    ) {
        let before = self.moves.load(Relaxed);
        self.spawn(goroutines, body).into_iter().for_each(wait);
        let moves = self.moves.load(Relaxed) - before;
        if moves < goroutines as u64 {
            meaningless(format_args!("{goroutines} goroutines changed threads {moves} times"));
        }
    }

    pub fn spawn(
        &self,
        goroutines: usize,
        body: impl Fn(usize, &mut Steps) + Send + Sync + 'static,
    ) -> Vec<JoinHandle<()>> {
        let body = Arc::new(body);
        let spawn = |number| {
            let (body, mut steps) = (Arc::clone(&body), self.steps(number));
            self.runtime.go(move || {
                body(number, &mut steps);
                progress();
            })
        };
        (0..goroutines).map(spawn).collect()
    }

    /// For a goroutine that the case itself spawns.
    pub fn steps(&self, number: usize) -> Steps {
        let random = (number as u64 + 77).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Steps { random, ferries: Arc::clone(&self.ferries), moves: Arc::clone(&self.moves) }
    }

    /// Everything has ended, and the runtime ends in order.
    pub fn end(self) {
        drop(self.ferries);
        self.crews.into_iter().for_each(wait);
        self.runtime.shutdown(Duration::from_secs(60)).expect("nobody is left");
    }

    /// The runtime ends while goroutines are suspended.
    pub fn abandon(self) {
        drop(self.runtime);
    }
}

pub fn wait<T>(handle: JoinHandle<T>) -> T {
    handle.join().unwrap_or_else(|error| crate::harness::wrong(format_args!("{error}")))
}

fn sail(asked: &Receiver<Goroutine>, all_aboard: &Barrier, thread: &AtomicU64) {
    selvedge::pinned(|| {
        thread.store(u64::from(thread_id()), Relaxed);
        // Blocks the kernel thread, so that each ferry gets another one.
        all_aboard.wait();
        while let Ok(passenger) = asked.recv() {
            passenger.unpark();
        }
    });
}

/// How one goroutine suspends.
pub struct Steps {
    random: u64,
    ferries: Arc<[Ferry]>,
    moves: Arc<AtomicU64>,
}

impl Steps {
    /// Suspends once to three times, and mostly goes on on another kernel thread.
    pub fn suspend(&mut self) {
        for _ in 0..=self.draw(3) {
            let before = thread_id();
            if self.draw(4) == 0 {
                selvedge::yield_now()
            } else {
                self.ride()
            }
            self.note(before);
        }
    }

    /// Goes on on another kernel thread.
    pub fn move_on(&mut self) {
        let before = thread_id();
        while thread_id() == before {
            self.ride();
        }
        self.note(before);
    }

    /// Suspends without a ferry: for code that blocks kernel threads, ferries' as well. Whoever runs it
    /// next is left to the scheduler.
    pub fn rest(&mut self) {
        let before = thread_id();
        match self.draw(3) {
            0 => selvedge::time::sleep(Duration::from_micros(self.draw(300))),
            _ => selvedge::yield_now(),
        }
        self.note(before);
    }

    /// A number below `most`.
    pub fn draw(&mut self, most: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % most
    }

    /// More steps of the same kind, for a destructor or a closure.
    pub fn another(&self) -> Steps {
        let random = self.random.rotate_left(17) | 1;
        Steps { random, ferries: Arc::clone(&self.ferries), moves: Arc::clone(&self.moves) }
    }

    fn note(&self, before: u32) {
        if thread_id() != before {
            self.moves.fetch_add(1, Relaxed);
        }
        progress();
    }

    fn ride(&mut self) {
        let own = u64::from(thread_id());
        let mut at = self.draw(FERRIES as u64) as usize;
        if self.ferries[at].thread.load(Relaxed) == own {
            at = (at + 1) % FERRIES;
        }
        let _ = self.ferries[at].asks.send(selvedge::current());
        selvedge::park();
    }
}
