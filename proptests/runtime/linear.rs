//! Linearizability: several run programs beside each other, each operation stamped when it began and
//! when it ended; there must be an order of all of them, none before one that had ended when it began,
//! in which a sequential oracle gives the same answers. Searched for as Wing and Gong do, with a memory
//! of what has been tried.

use selvedge::Runtime;
use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// What a thing is, in words that nobody can misread. An event is known by its number.
pub trait Oracle: Clone + Eq + Hash + 'static {
    type Operation: Copy + Debug + Send;
    type Answer: Copy + Debug + Send;

    /// What may come after `own` has taken the first of its two steps, if it has two: it keeps a place,
    /// or queues.
    fn begun(self, _own: usize, _: Self::Operation, _: Self::Answer) -> Option<Self> {
        None
    }

    /// What may come after `own` has answered so, if it may.
    fn ended(self, own: usize, operation: Self::Operation, answer: Self::Answer) -> Option<Self>;
}

/// One operation, as it was seen from outside.
#[derive(Clone, Copy, Debug)]
pub struct Event<Operation, Answer> {
    pub begun: u64,
    pub ended: u64,
    pub operation: Operation,
    pub answer: Answer,
}

pub type EventOf<O> = Event<<O as Oracle>::Operation, <O as Oracle>::Answer>;

/// Where one who takes part notes what it does.
pub struct Recorder<O: Oracle> {
    clock: Arc<AtomicU64>,
    events: Vec<EventOf<O>>,
}

impl<O: Oracle> Recorder<O> {
    pub fn note(&mut self, operation: O::Operation, run: impl FnOnce() -> O::Answer) -> O::Answer {
        let begun = self.clock.fetch_add(1, Ordering::SeqCst);
        let answer = run();
        let ended = self.clock.fetch_add(1, Ordering::SeqCst);
        self.events.push(Event { begun, ended, operation, answer });
        answer
    }
}

/// Runs each program beside the others, on a plain thread where its bit in `threads` is set, else as a
/// goroutine; all that happened.
#[track_caller]
pub fn race<O: Oracle, S: Send + 'static>(
    runtime: &Runtime,
    threads: u8,
    programs: Vec<Vec<S>>,
    act: impl Fn(Vec<S>, &mut Recorder<O>) + Send + Sync + 'static,
) -> Vec<EventOf<O>> {
    let is_thread = |at: usize| threads >> at & 1 == 1;
    let act = Arc::new(act);
    let clock = Arc::new(AtomicU64::new(0));
    let events = Arc::new(Mutex::new(Vec::new()));
    let (mut own, mut goroutines) = (Vec::new(), Vec::new());
    // All start together, or there is little to order.
    let missing = Arc::new(AtomicUsize::new(programs.len()));
    for (at, program) in programs.into_iter().enumerate() {
        let (act, events, clock) = (Arc::clone(&act), Arc::clone(&events), Arc::clone(&clock));
        let missing = Arc::clone(&missing);
        let body = move || {
            missing.fetch_sub(1, Ordering::SeqCst);
            while missing.load(Ordering::SeqCst) > 0 {
                selvedge::yield_now();
            }
            let mut recorder = Recorder { clock, events: Vec::new() };
            act(program, &mut recorder);
            events.lock().unwrap().extend(recorder.events);
        };
        if is_thread(at) {
            own.push(std::thread::spawn(body));
        } else {
            goroutines.push(runtime.go(body));
        }
    }
    own.into_iter().for_each(|thread| thread.join().unwrap());
    goroutines.into_iter().for_each(|goroutine| goroutine.join().unwrap());
    let mut events = std::mem::take(&mut *events.lock().unwrap());
    events.sort_by_key(|event: &EventOf<O>| event.begun);
    events
}

/// Whether the oracle can explain `events`, at most 64 of them.
pub fn is_linearizable<O: Oracle>(oracle: &O, events: &[EventOf<O>]) -> bool {
    assert!(events.len() <= 64, "so many: {}", events.len());
    explains(events, 0, oracle, &mut HashSet::new())
}

/// `done` is the set of those that have been placed.
fn explains<O: Oracle>(
    events: &[EventOf<O>],
    done: u64,
    oracle: &O,
    seen: &mut HashSet<(u64, O)>,
) -> bool {
    if done.count_ones() as usize == events.len() {
        return true;
    }
    if !seen.insert((done, oracle.clone())) {
        return false;
    }
    let left = |at: &usize| done & (1 << at) == 0;
    let first_end = (0..events.len()).filter(left).map(|at| events[at].ended).min();
    (0..events.len()).filter(left).any(|at| {
        let Event { begun, operation, answer, .. } = events[at];
        if Some(begun) >= first_end {
            return false;
        }
        let begins = oracle.clone().begun(at, operation, answer);
        begins.is_some_and(|next| explains(events, done, &next, seen))
            || oracle
                .clone()
                .ended(at, operation, answer)
                .is_some_and(|next| explains(events, done | (1 << at), &next, seen))
    })
}
