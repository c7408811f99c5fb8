//! [A1] To an anchored goroutine, thread-locals are those of a plain thread: under stealing, retake
//! and blocking, with borrows, counted references and guards that live across suspensions.
//!
//! Two seconds by default. Before a release, for a minute and without checks on overflow:
//! `SELVEDGE_SOUNDNESS_SECONDS=60 cargo test --release --test runtime soundness`

use crate::common::{Placement, beside, finish, thread_id};
use selvedge::Runtime;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

thread_local! {
    static V: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static LEN: Cell<usize> = const { Cell::new(0) };
    static SHARED: Rc<RefCell<u64>> = Rc::default();
    static SINK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn seconds() -> u64 {
    let set = std::env::var("SELVEDGE_SOUNDNESS_SECONDS");
    set.ok().map_or(2, |text| text.parse().expect("a number of seconds"))
}

struct Storm {
    end: Instant,
    pushes: AtomicU64,
    rounds: AtomicU64,
}

/// What segfaults where goroutines migrate: the address of `V` is taken once for the whole loop.
fn push_and_suspend(id: u64) -> u64 {
    for i in 0..20 {
        V.with(|v| v.borrow_mut().push(id + i));
        LEN.with(|len| len.set(len.get() + 1));
        selvedge::yield_now();
        V.with(|v| assert_eq!(v.borrow().len(), LEN.get(), "[A1]"));
    }
    V.with(|v| {
        if v.borrow().len() > 10_000 {
            v.borrow_mut().clear();
            LEN.set(0);
        }
    });
    20
}

/// References into a thread-local, and a guard bound to its thread, kept across suspensions.
fn keep_across(suspend: impl Fn()) {
    let shared = SHARED.with(Rc::clone);
    let before = Rc::strong_count(&shared);
    assert!(before >= 2);
    *shared.borrow_mut() += 1;
    let mutex = std::sync::Mutex::new(5);
    let mut guard = mutex.lock().unwrap();
    suspend();
    *guard += 1;
    drop(guard);
    assert_eq!(mutex.into_inner().unwrap(), 6);
    let again = SHARED.with(Rc::clone);
    assert!(Rc::ptr_eq(&shared, &again), "[A1] another thread's");
    *again.borrow_mut() += 1;
}

fn hash_and_print(id: u64, suspend: impl Fn()) {
    let mut map = HashMap::new();
    for key in 0..8 {
        map.insert(key, id);
        if key == 4 {
            suspend();
        }
    }
    assert_eq!(map.values().sum::<u64>(), 8 * id);
    SINK.with(|sink| {
        let mut sink = sink.borrow_mut();
        sink.clear();
        writeln!(sink, "{id} of {:?}: {map:?}", std::thread::current().id()).unwrap();
        assert!(sink.len() > 20);
    });
    // Through std's own captured output, with its own thread-local.
    if id.is_multiple_of(64) {
        println!("{id}");
    }
}

fn one(id: u64, storm: &Arc<Storm>) {
    let home = thread_id();
    let name = std::thread::current().id();
    let mut round = id;
    while Instant::now() < storm.end {
        round += 1;
        storm.pushes.fetch_add(push_and_suspend(id), SeqCst);
        keep_across(|| match round % 5 {
            0 => selvedge::blocking(|| std::thread::sleep(Duration::from_micros(200))),
            1 => drop(selvedge::go(selvedge::yield_now).join()),
            2 => {
                let me = selvedge::current();
                std::thread::scope(|s| drop(s.spawn(move || me.unpark())));
                selvedge::park();
            }
            3 => selvedge::scope(|s| (0..3).for_each(|_| drop(s.go(|| push_and_suspend(id))))),
            _ => selvedge::yield_now(),
        });
        hash_and_print(id, selvedge::yield_now);
        // Unannounced: the processor is retaken, and somebody else runs on.
        if round.is_multiple_of(50) {
            std::thread::sleep(Duration::from_millis(2));
        }
        // A hog, retaken while it runs.
        if round.is_multiple_of(200) {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(15) {
                V.with(|v| v.borrow_mut().push(0));
                V.with(|v| v.borrow_mut().pop());
            }
        }
        storm.rounds.fetch_add(1, SeqCst);
        assert_eq!((thread_id(), std::thread::current().id()), (home, name), "[A1]");
    }
}

#[test]
fn thread_locals_of_anchored_goroutines_are_those_of_one_thread() {
    beside(|| {
        let end = Instant::now() + Duration::from_secs(seconds());
        let storm = Arc::new(Storm { end, pushes: AtomicU64::new(0), rounds: AtomicU64::new(0) });
        let builder = Runtime::builder().processors(4).max_threads(64).max_processors(4);
        let runtime = Placement::Anchored.build(builder.max_goroutines(10_000));
        // Spawned by one goroutine: the others steal.
        runtime.run(|| {
            let spawn = |id| {
                let storm = Arc::clone(&storm);
                selvedge::go(move || one(id, &storm))
            };
            let handles: Vec<_> = (0..64).map(spawn).collect();
            // Resized meanwhile.
            while Instant::now() < storm.end {
                let processors = 1 + storm.rounds.load(SeqCst) as usize % 4;
                runtime.set_processors(processors).unwrap();
                selvedge::blocking(|| std::thread::sleep(Duration::from_millis(20)));
            }
            runtime.set_processors(4).unwrap();
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        });
        let (pushes, rounds) = (storm.pushes.load(SeqCst), storm.rounds.load(SeqCst));
        assert!(pushes >= 20 * rounds && rounds > 64, "{pushes} pushes in {rounds} rounds");
        assert!(runtime.metrics().retakes > 0, "nothing was retaken: {:?}", runtime.metrics());
        finish(runtime);
    });
}
