//! Shutdown: who is left, where, and what their joiners learn. [T1] [T2]

use crate::common::{ALL, Gate, Placement, beside, eventually, everywhere};
use selvedge::{Goroutine, RemainingState, Runtime, Spawn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_millis(20);
const AGES: Duration = Duration::from_secs(60);

fn named(runtime: &Runtime, name: &str, f: impl FnOnce() + Send + 'static) -> Goroutine {
    runtime.go_with(Spawn::new().name(name), f).expect("below the limit").goroutine()
}

#[test]
fn shutdown_waits_for_all_and_then_says_so() {
    everywhere(|_, runtime| {
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let ran = Arc::clone(&ran);
            drop(runtime.go(move || {
                for _ in 0..5 {
                    selvedge::yield_now();
                    let ran = Arc::clone(&ran);
                    drop(selvedge::go(move || ran.fetch_add(1, SeqCst)));
                }
            }));
        }
        runtime.shutdown(AGES).unwrap();
        assert_eq!(ran.load(SeqCst), 100);
    });
}

#[test]
fn an_idle_runtime_shuts_down_at_once() {
    everywhere(|_, runtime| {
        assert_eq!(runtime.run(|| 3), 3);
        runtime.shutdown(SOON).unwrap();
    });
}

/// One thread, and one goroutine that keeps it: the states of the others are known.
fn remains_of(placement: Placement) {
    let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
    let runtime = placement.build(builder.max_goroutines(100));
    let (release, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let b = Arc::clone(&begun);
    let line = line!() + 4;
    named(&runtime, "parked", move || {
        b.fetch_add(1, SeqCst);
        loop {
            selvedge::park();
        }
    });
    let b = Arc::clone(&begun);
    let yield_line = line!() + 4;
    named(&runtime, "runnable", move || {
        b.fetch_add(1, SeqCst);
        loop {
            selvedge::yield_now();
        }
    });
    eventually("both run", || begun.load(SeqCst) == 2);
    let (b, r) = (Arc::clone(&begun), Arc::clone(&release));
    named(&runtime, "running", move || {
        b.fetch_add(1, SeqCst);
        while !r.load(SeqCst) {
            std::thread::yield_now();
        }
    });
    eventually("the last one runs", || begun.load(SeqCst) == 3);
    named(&runtime, "unborn", || unreachable!("no thread is left for it"));

    let error = runtime.shutdown(SOON).unwrap_err();
    release.store(true, SeqCst);
    let text = error.to_string();
    assert!(text.starts_with("4 goroutines had not ended at the deadline"), "{text}");
    let left = |name: &str| {
        let mut all = error.remaining().iter();
        all.find(|left| left.name.as_deref() == Some(name)).expect("it is named")
    };
    let state = |name: &str| (left(name).state, left(name).place.map(|place| place.line()));
    assert_eq!(state("parked"), (RemainingState::Parked, Some(line)), "{text}");
    assert_eq!(state("runnable"), (RemainingState::Runnable, Some(yield_line)), "{text}");
    assert_eq!(state("running"), (RemainingState::Running, None), "{text}");
    assert_eq!(state("unborn"), (RemainingState::NotBegun, None), "{text}");
    assert!(left("parked").place.unwrap().file().ends_with("shutdown.rs"));
    assert!(text.contains("\"parked\" Parked at ") && text.contains("shutdown.rs:"), "{text}");
}

#[test]
fn shutdown_with_work_left_names_who_and_where() {
    beside(|| ALL.into_iter().for_each(remains_of));
}

/// Each way to wait, by the line it is written on.
fn places_of(placement: Placement) {
    let (outer, runtime) = (placement.runtime(2), placement.runtime(2));
    let shared = Arc::new(outer);
    let begun = Arc::new(AtomicUsize::new(0));
    let stuck = || runtime.go(loop_park);
    let (joined, inner) = (stuck(), Arc::clone(&shared));
    let wait = |name: &str, f: Box<dyn FnOnce() + Send>| {
        let begun = Arc::clone(&begun);
        named(&runtime, name, move || {
            begun.fetch_add(1, SeqCst);
            f();
        });
    };
    let line = line!();
    wait("park", Box::new(|| selvedge::park()));
    wait("join", Box::new(|| drop(joined.join())));
    wait("scope", Box::new(|| selvedge::scope(|s| drop(s.go(loop_park)))));
    wait("run", Box::new(move || inner.run(loop_park)));
    wait("blocking", Box::new(|| selvedge::blocking(std::thread::park)));
    eventually("all have begun, and wait", || begun.load(SeqCst) == 5);
    let error = runtime.shutdown(10 * SOON).unwrap_err();
    for (offset, name) in ["park", "join", "scope", "run"].into_iter().enumerate() {
        let mut all = error.remaining().iter();
        let left = all.find(|left| left.name.as_deref() == Some(name)).expect(name);
        let place = left.place.expect("it waits");
        let place = (place.file().rsplit('/').next().unwrap(), place.line());
        assert_eq!(place, ("shutdown.rs", line + 1 + offset as u32), "{name}, {placement:?}");
    }
    // Where it blocks in place, it has not suspended.
    let mut all = error.remaining().iter();
    let left = all.find(|left| left.name.as_deref() == Some("blocking")).unwrap();
    assert!(left.place.is_none_or(|place| place.line() == line + 5), "{:?}", left.place);
}

#[test]
fn whoever_waits_is_reported_at_the_line_that_called() {
    beside(|| ALL.into_iter().for_each(places_of));
}

#[test]
fn a_long_list_of_who_is_left_is_cut_short_in_words_only() {
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        for _ in 0..37 {
            let gate = Arc::clone(&gate);
            drop(runtime.go(move || gate.pass()));
        }
        let error = runtime.shutdown(SOON).unwrap_err();
        assert_eq!(error.remaining().len(), 37);
        assert!(error.to_string().ends_with("and 27 more"), "{error}");
    });
}

#[test]
fn whoever_waits_for_an_abandoned_goroutine_gets_an_error() {
    everywhere(|placement, runtime| {
        let spawn = || runtime.go_with(Spawn::new().name("stuck"), loop_park).unwrap();
        let (early, late, other) = (spawn(), spawn(), spawn());
        let nested = runtime.go(move || other.join());
        let outer = placement.runtime(1);
        let ids: Vec<_> = [&early, &late].map(|handle| handle.goroutine().id().unwrap()).into();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (one, two) = (Arc::clone(&waiting), Arc::clone(&waiting));
        let third = spawn();
        let on_thread = std::thread::spawn(move || {
            one.fetch_add(1, SeqCst);
            early.join().unwrap_err().to_string()
        });
        let in_goroutine = outer.go(move || {
            two.fetch_add(1, SeqCst);
            third.join().unwrap_err().is_abandoned()
        });
        eventually("they wait, or are about to", || waiting.load(SeqCst) == 2);
        drop(runtime);
        let text = on_thread.join().unwrap();
        assert!(text.contains(&format!("before goroutine {} \"stuck\"", ids[0])), "{text}");
        assert!(text.contains("Runtime::shutdown"), "{text}");
        assert!(in_goroutine.join().unwrap());
        assert!(late.is_finished());
        assert!(late.join().unwrap_err().is_abandoned());
        assert!(nested.join().map(drop).unwrap_err().is_abandoned());
    });
}

fn loop_park() {
    loop {
        selvedge::park();
    }
}

#[test]
fn abandoned_goroutines_may_be_unparked_and_stay_where_they_are() {
    everywhere(|_, runtime| {
        let (woken, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let spawn = |_| {
            let (woken, begun) = (Arc::clone(&woken), Arc::clone(&begun));
            let body = move || {
                begun.fetch_add(1, SeqCst);
                selvedge::park();
                woken.fetch_add(1, SeqCst);
            };
            runtime.go(body).goroutine()
        };
        let parked: Vec<_> = (0..20).map(spawn).collect();
        eventually("all begun", || begun.load(SeqCst) == 20);
        drop(runtime);
        parked.iter().for_each(Goroutine::unpark);
        parked.iter().for_each(Goroutine::unpark);
        drop(parked);
        assert_eq!(woken.load(SeqCst), 0, "[T1]");
    });
}

#[test]
fn shutdown_keeps_to_its_deadline_while_goroutines_run_on() {
    everywhere(|_, runtime| {
        for _ in 0..10 {
            drop(runtime.go(|| {
                loop {
                    selvedge::yield_now();
                }
            }));
        }
        let start = Instant::now();
        assert_eq!(runtime.shutdown(SOON).unwrap_err().remaining().len(), 10);
        let taken = start.elapsed();
        assert!(taken >= SOON && taken < AGES / 2, "{taken:?}");
    });
}

#[test]
fn a_runtime_dropped_while_goroutines_spawn_and_block_ends() {
    beside(|| {
        for placement in ALL {
            for round in 0..40_u64 {
                let runtime = placement.runtime(1 + round as usize % 4);
                for n in 0..8 {
                    drop(runtime.go(move || storm(n)));
                }
                let handle = runtime.go(move || storm(round));
                (0..round % 20).for_each(|_| std::thread::yield_now());
                drop(runtime);
                let ended = handle.join();
                assert!(ended.is_ok() || !ended.unwrap_err().to_string().is_empty());
            }
        }
    });
}

/// Spawns, blocks, yields and parks until it is refused.
fn storm(n: u64) {
    for step in 0..50 {
        let Ok(child) = selvedge::try_go(selvedge::yield_now) else { return };
        match (n + step) % 4 {
            0 => drop(child.join()),
            1 => selvedge::blocking(std::thread::yield_now),
            2 => selvedge::yield_now(),
            _ => drop(selvedge::scope(|s| s.try_go(|| ()).is_ok())),
        }
    }
}
