//! `std::thread_local!`: values, borrows, first values, destructors.

use crate::harness::{Placement, check, progress, same};
use crate::stage::{Stage, Steps, wait};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

const GOROUTINES: usize = 300;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(7) };
    static LIST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static SHARED: Rc<Cell<u64>> = Rc::default();
}

fn each(placement: Placement, goroutines: usize, body: fn(usize, &mut Steps)) {
    let stage = Stage::new(placement);
    // Twice, so that the second ones find blocks that were used.
    stage.each(goroutines, body);
    stage.each(goroutines, body);
    stage.end();
}

pub fn cell(placement: Placement) {
    each(placement, GOROUTINES, |_, steps| {
        for step in 0..30 {
            COUNT.with(|count| {
                same!(count.get(), 7 + step, "before");
                steps.suspend();
                same!(count.get(), 7 + step, "after");
                count.set(count.get() + 1);
            });
            steps.suspend();
        }
    });
}

pub fn borrow(placement: Placement) {
    each(placement, GOROUTINES, |number, steps| {
        for step in 0..30 {
            LIST.with(|list| {
                let mut list = list.borrow_mut();
                same!(list.len(), step, "others have pushed");
                list.push(number as u64);
                steps.suspend();
                check!(list.iter().all(|&item| item == number as u64), "a stranger's item");
            });
            steps.suspend();
        }
    });
}

pub fn rc(placement: Placement) {
    each(placement, GOROUTINES, |_, steps| {
        let mut kept = Vec::new();
        for step in 0..30 {
            let shared = SHARED.with(Rc::clone);
            steps.suspend();
            shared.set(shared.get() + 1);
            kept.push(shared);
            steps.suspend();
            same!(SHARED.with(Rc::strong_count), step + 2, "references");
            same!(kept[0].get(), step as u64 + 1, "steps");
        }
    });
}

// ---- first values and destructors ----------------------------------------------------------------

thread_local! {
    /// Which goroutine this is; it has no destructor, so destructors may read it.
    static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    static OWNED: Cell<Option<Owned>> = const { Cell::new(None) };
}

/// Says by its destructor that it was dropped, on the goroutine that made it.
struct Owned {
    number: usize,
    steps: Option<Steps>,
    dropped: Arc<[AtomicBool]>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        same!(NUMBER.get(), self.number, "a destructor runs on a stranger's block");
        if let Some(mut steps) = self.steps.take() {
            (0..5).for_each(|_| steps.suspend());
            same!(NUMBER.get(), self.number, "a destructor that suspended");
            // Its own destructor is registered while this one runs.
            SECOND.with(|second| second.0.set(second.0.get() + 1));
        }
        check!(!self.dropped[self.number].swap(true, SeqCst), "dropped twice");
    }
}

fn flags(goroutines: usize) -> Arc<[AtomicBool]> {
    (0..goroutines).map(|_| AtomicBool::new(false)).collect()
}

pub fn destructors(placement: Placement) {
    end_with_destructors(placement, false);
}

pub fn destructors_suspend(placement: Placement) {
    end_with_destructors(placement, true);
    same!(SECOND_DROPPED.load(SeqCst), 2 * GOROUTINES, "values made by a destructor");
    SECOND_DROPPED.store(0, SeqCst);
}

fn end_with_destructors(placement: Placement, suspend: bool) {
    let stage = Stage::new(placement);
    for _ in 0..2 {
        let dropped = flags(GOROUTINES);
        let to_drop = Arc::clone(&dropped);
        let handles = {
            let ferries: Arc<[_]> = (0..GOROUTINES).map(|number| stage.steps(number)).collect();
            stage.spawn(GOROUTINES, move |number, steps| {
                NUMBER.set(number);
                let own = suspend.then(|| ferries[number].another());
                OWNED.set(Some(Owned { number, steps: own, dropped: Arc::clone(&to_drop) }));
                (0..5).for_each(|_| steps.suspend());
                check!(!to_drop[number].load(SeqCst), "dropped before the end");
            })
        };
        for (number, handle) in handles.into_iter().enumerate() {
            if number % 2 == 0 {
                wait(handle);
            } else {
                while !handle.is_finished() {
                    std::thread::yield_now();
                }
            }
            check!(dropped[number].load(SeqCst), "the end was told before the destructor had run");
        }
    }
    stage.end();
}

static SECOND_DROPPED: AtomicUsize = AtomicUsize::new(0);
struct Second(Cell<u64>);
impl Drop for Second {
    fn drop(&mut self) {
        same!(self.0.get(), 1, "a value that a destructor has made");
        SECOND_DROPPED.fetch_add(1, SeqCst);
    }
}
thread_local! {
    static SECOND: Second = const { Second(Cell::new(0)) };
}

static MADE: AtomicUsize = AtomicUsize::new(0);
thread_local! {
    static LAZY: String = make();
    /// What `make` suspends by.
    static LENT: RefCell<Option<Steps>> = const { RefCell::new(None) };
}

/// A first value that takes a while: from a file, a socket, a channel.
fn make() -> String {
    let mut steps = LENT.take().expect("lent before the first use");
    (0..4).for_each(|_| steps.suspend());
    format!("value {} of {}", MADE.fetch_add(1, SeqCst), NUMBER.get())
}

pub fn lazy(placement: Placement) {
    MADE.store(0, SeqCst);
    let stage = Stage::new(placement);
    for round in 1..=2 {
        stage.each(GOROUTINES, |number, steps| {
            NUMBER.set(number);
            LENT.set(Some(steps.another()));
            let first = LAZY.with(|text| {
                steps.suspend();
                text.clone()
            });
            check!(first.ends_with(&format!(" of {number}")), "{first:?} in {number}");
            for _ in 0..5 {
                steps.suspend();
                LAZY.with(|text| same!(*text, first, "the value has changed"));
            }
        });
        same!(MADE.load(SeqCst), round * GOROUTINES, "values made");
    }
    stage.end();
}

// ---- whose values --------------------------------------------------------------------------------

static LEFT: AtomicUsize = AtomicUsize::new(0);
struct Leaves;
impl Drop for Leaves {
    fn drop(&mut self) {
        LEFT.fetch_add(1, SeqCst);
    }
}
thread_local! {
    static LEAVES: Leaves = const { Leaves };
}

pub fn abandoned(placement: Placement) {
    let stage = Stage::new(placement);
    let ready = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ready);
    let handles = stage.spawn(50, move |_, steps| {
        // A destructor that is registered before the value is lent.
        LEAVES.with(|_| {
            steps.suspend();
            counted.fetch_add(1, SeqCst);
            loop {
                selvedge::park();
            }
        })
    });
    while ready.load(SeqCst) < 50 {
        std::thread::yield_now();
    }
    stage.abandon();
    for handle in handles {
        check!(handle.join().is_err(), "an abandoned goroutine has a result");
    }
    same!(LEFT.load(SeqCst), 0, "destructors of values that abandoned goroutines use");
}

pub fn untouched(placement: Placement) {
    COUNT.set(1);
    let stage = Stage::new(placement);
    stage.each(40, |_, steps| {
        same!(COUNT.get(), 7, "a new goroutine's");
        COUNT.set(99);
        let plain = std::thread::spawn(|| COUNT.get()).join().unwrap();
        same!(plain, 7, "a thread that a goroutine has started");
        steps.suspend();
        same!(COUNT.get(), 99, "afterwards");
    });
    stage.end();
    same!(COUNT.get(), 1, "this thread's");
}

pub fn many(placement: Placement) {
    const MANY: usize = 10_000;
    let stage = Stage::new(placement);
    let dropped = flags(MANY);
    let to_drop = Arc::clone(&dropped);
    let open = Arc::new(selvedge::sync::Barrier::new(MANY));
    stage.each(MANY, move |number, steps| {
        NUMBER.set(number);
        OWNED.set(Some(Owned { number, steps: None, dropped: Arc::clone(&to_drop) }));
        COUNT.set(number as u64);
        steps.suspend();
        open.wait();
        same!((NUMBER.get(), COUNT.get()), (number, number as u64), "while all are alive");
        progress();
    });
    check!(dropped.iter().all(|flag| flag.load(SeqCst)), "a destructor that has not run");
    stage.end();
}
