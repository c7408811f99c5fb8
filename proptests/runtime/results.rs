//! Closures and results: each is delivered or dropped exactly once, whatever its size and alignment,
//! whoever goes first: the goroutine, its handle or its runtime. [G1] [G2]

use crate::common::{Gate, Placement, beside, eventually, everywhere, finish};
use selvedge::{Runtime, SpawnErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Counts how many there are and how many were dropped.
#[derive(Default)]
struct SpawnCounters {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

/// A value whose second drop would be seen.
struct Counted<const N: usize> {
    tally: Arc<SpawnCounters>,
    alive: bool,
    _room: [u8; N],
}

impl SpawnCounters {
    fn make<const N: usize>(self: &Arc<Self>) -> Counted<N> {
        self.made.fetch_add(1, SeqCst);
        Counted { tally: Arc::clone(self), alive: true, _room: [7; N] }
    }

    fn alive(&self) -> usize {
        self.made.load(SeqCst) - self.dropped.load(SeqCst)
    }
}

impl<const N: usize> Drop for Counted<N> {
    fn drop(&mut self) {
        assert!(std::mem::take(&mut self.alive), "dropped twice");
        self.tally.dropped.fetch_add(1, SeqCst);
    }
}

/// Small values lie in the goroutine's cell, large ones in a box: `f` for both.
macro_rules! small_and_large {
    ($f:ident, $($arg:expr),*) => {
        $f::<0>($($arg),*);
        $f::<300>($($arg),*);
    };
}

fn drop_handles_at_all_times<const N: usize>(runtime: &Runtime) {
    let tally = Arc::new(SpawnCounters::default());
    runtime.run(|| {
        for n in 0..200 {
            let (captured, tally) = (tally.make::<N>(), Arc::clone(&tally));
            let handle = selvedge::go(move || {
                let _captured = &captured;
                (0..n % 4).for_each(|_| selvedge::yield_now());
                tally.make::<N>()
            });
            match n % 5 {
                0 => drop(handle.join().unwrap()),
                1 => eventually("it is finished", || handle.is_finished()),
                2 => selvedge::yield_now(),
                3 => drop(handle.goroutine()),
                _ => {}
            }
        }
    });
    eventually("closures and results are dropped", || tally.alive() == 0);
    assert_eq!(tally.made.load(SeqCst), 400);
}

#[test]
fn dropped_handles_drop_their_results_exactly_once() {
    everywhere(|_, runtime| {
        small_and_large!(drop_handles_at_all_times, &runtime);
        finish(runtime);
    });
}

fn panic_with_captures<const N: usize>(runtime: &Runtime) {
    let tally = Arc::new(SpawnCounters::default());
    runtime.run(|| {
        for n in 0..60 {
            let (captured, payload) = (tally.make::<N>(), tally.make::<N>());
            let handle = selvedge::go(move || {
                let _captured = captured;
                selvedge::yield_now();
                std::panic::resume_unwind(Box::new(payload));
            });
            if n % 2 == 0 {
                let error = handle.join().unwrap_err();
                drop(error.into_panic().unwrap().downcast::<Counted<N>>().unwrap());
            }
        }
    });
    eventually("closures and payloads are dropped", || tally.alive() == 0);
}

#[test]
fn a_panic_drops_the_captures_and_its_payload_exactly_once() {
    everywhere(|_, runtime| {
        small_and_large!(panic_with_captures, &runtime);
        assert_eq!(runtime.metrics().unclaimed_panics, 60, "30 handles were dropped, twice");
        finish(runtime);
    });
}

fn never_begun<const N: usize>(placement: Placement) {
    let tally = Arc::new(SpawnCounters::default());
    let (open, begun) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    // One thread, which the first goroutine keeps: the others never begin.
    let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
    let runtime = placement.build(builder.max_goroutines(100));
    let (o, b) = (Arc::clone(&open), Arc::clone(&begun));
    let keeper = runtime.go(move || {
        b.open();
        while !o.is_open() {
            std::thread::yield_now();
        }
    });
    eventually("the first one runs", || begun.is_open());
    let spawn = || {
        let captured = tally.make::<N>();
        runtime.go(move || captured)
    };
    let kept: Vec<_> = (0..20).map(|_| spawn()).collect();
    (0..20).for_each(|_| drop(spawn()));
    drop(runtime);
    assert_eq!(tally.alive(), 0, "closures of goroutines that never began");
    for handle in kept {
        assert!(handle.is_finished());
        assert!(handle.join().map(|_| ()).unwrap_err().is_abandoned());
    }
    open.open();
    keeper.join().unwrap();
    assert_eq!(tally.alive(), 0);
}

#[test]
fn closures_that_never_began_are_dropped_exactly_once() {
    beside(|| {
        for placement in crate::common::ALL {
            small_and_large!(never_begun, placement);
        }
    });
}

fn outlive<const N: usize>(placement: Placement) {
    let tally = Arc::new(SpawnCounters::default());
    let runtime = placement.runtime(2);
    let spawn = |name: &str| {
        let tally = Arc::clone(&tally);
        runtime.go_with(selvedge::Spawn::new().name(name), move || tally.make::<N>()).unwrap()
    };
    let handles: Vec<_> = (0..50).map(|_| spawn("late")).collect();
    let goroutines: Vec<_> = handles.iter().map(|handle| handle.goroutine()).collect();
    eventually("all are finished", || handles.iter().all(|handle| handle.is_finished()));
    finish(runtime);
    for (n, handle) in handles.into_iter().enumerate() {
        if n % 2 == 0 {
            drop(handle.join().expect("the result outlives the runtime"));
        }
    }
    assert_eq!((tally.made.load(SeqCst), tally.alive()), (50, 0));
    for goroutine in &goroutines {
        goroutine.unpark();
        assert_eq!(goroutine.name(), Some("late"));
        assert!(goroutine.id().is_some() && goroutine == &goroutine.clone());
    }
}

#[test]
fn handles_outlive_the_runtime() {
    beside(|| {
        for placement in crate::common::ALL {
            small_and_large!(outlive, placement);
        }
    });
}

#[test]
fn a_handle_sent_to_another_thread_outlives_the_runtime_there() {
    everywhere(|_, runtime| {
        let handle = runtime.go(|| String::from("kept"));
        let goroutine = handle.goroutine();
        finish(runtime);
        let joiner = std::thread::spawn(move || handle.join().unwrap());
        assert_eq!(joiner.join().unwrap(), "kept");
        std::thread::spawn(move || goroutine.unpark()).join().unwrap();
    });
}

#[repr(align(64))]
struct Line(u64);
#[repr(align(4096))]
struct Page([u64; 512]);
#[derive(Debug, PartialEq)]
struct Nothing;

fn is_aligned<T>(value: &T) -> bool {
    std::ptr::from_ref(value).addr().is_multiple_of(align_of::<T>())
}

#[test]
fn closures_and_results_of_every_shape_arrive_whole() {
    everywhere(|placement, first| {
        finish(first);
        let builder = Runtime::builder().processors(2).max_goroutines(100);
        // Each move of a page takes two of stack.
        let runtime = placement.build(builder.stack_size(512 * 1024));
        let twins = [5_u8; 40];
        runtime.run(move || {
            for n in 0..20_u64 {
                assert_eq!(selvedge::go(|| Nothing).join().unwrap(), Nothing);
                assert_eq!(selvedge::go(move || twins).join().unwrap(), twins);
                let odd = [n as u8; 41];
                assert_eq!(selvedge::go(move || (odd, n)).join().unwrap(), (odd, n));
                let (line, page) = (Line(n), Page([n; 512]));
                let whole = selvedge::go(move || {
                    assert!(is_aligned(&line) && is_aligned(&page));
                    selvedge::yield_now();
                    (line, page)
                });
                let (line, page) = whole.join().unwrap();
                assert_eq!((line.0, page.0), (n, [n; 512]));
                let text = selvedge::go(move || vec![n; 1000]).join().unwrap();
                assert_eq!(text, vec![n; 1000]);
            }
        });
        finish(runtime);
    });
}

#[test]
fn a_permit_for_one_that_has_ended_reaches_nobody_else() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            for _ in 0..100 {
                let ended = selvedge::go(selvedge::current).join().unwrap();
                let next = selvedge::go(|| {
                    selvedge::yield_now();
                    selvedge::current()
                });
                ended.unpark();
                let next = next.join().unwrap();
                assert_ne!(ended, next);
                assert!(ended.id() < next.id() || ended.id() > next.id(), "ids are not reused");
            }
        });
        finish(runtime);
    });
}

#[test]
fn a_refused_spawn_gives_back_the_very_closure() {
    beside(|| {
        let tally = Arc::new(SpawnCounters::default());
        let captured = tally.make::<0>();
        let error = selvedge::try_go(move || captured).map(drop).unwrap_err();
        assert_eq!(error.kind(), SpawnErrorKind::NoRuntime);
        assert_eq!(tally.alive(), 1);
        let captured = (error.into_closure())();
        assert_eq!(tally.alive(), 1);
        drop(captured);
        assert_eq!(tally.alive(), 0);
    });
}

/// A result that holds the handle of another goroutine, and so on: dropped from within.
#[test]
fn results_that_hold_handles_are_dropped_from_within() {
    everywhere(|_, runtime| {
        let tally = Arc::new(SpawnCounters::default());
        let leaf = Arc::clone(&tally);
        drop(runtime.go(move || {
            let inner = selvedge::go(move || {
                let (a, b) = (leaf.make::<0>(), leaf.make::<300>());
                (selvedge::go(move || a), selvedge::go(move || b))
            });
            eventually("the inner one ends", || inner.is_finished());
            inner
        }));
        eventually("all is dropped", || tally.made.load(SeqCst) == 2 && tally.alive() == 0);
        finish(runtime);
    });
}
