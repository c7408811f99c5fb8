//! Goroutine-local values: whose they are, where they lie, when they go. [Z2] [Z3]

use crate::common::{Gate, Placement, beside, everywhere, finish, message, panic_of};
use proptest::prelude::*;
use selvedge::{Runtime, blocking, go, goroutine_local, yield_now};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};

goroutine_local! {
    static NUMBER: Cell<u64> = Cell::new(1);
    static WORDS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// Not Send, as long as nobody inherits it.
    static SHARED: Rc<Cell<u32>> = Rc::default();
    inherit static TRACE: RefCell<Vec<u32>> = RefCell::new(vec![0]);
    static LAST: u8 = 9
}

#[test]
fn each_goroutine_has_its_own_values_across_suspensions() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let each = (0..200u64).map(|n| {
                go(move || {
                    assert_eq!(NUMBER.get(), 1);
                    NUMBER.set(n);
                    let address = WORDS.with(|words| {
                        for k in 0..n % 7 {
                            words.borrow_mut().push(k.to_string());
                            // The reference stays good.
                            yield_now();
                        }
                        std::ptr::from_ref(words) as usize
                    });
                    let clone = SHARED.with(Rc::clone);
                    SHARED.with(|shared| shared.set(3));
                    yield_now();
                    assert_eq!((clone.get(), Rc::strong_count(&clone)), (3, 2));
                    assert_eq!(WORDS.with(|words| std::ptr::from_ref(words) as usize), address);
                    assert_eq!(WORDS.take().len() as u64, n % 7);
                    assert_eq!(NUMBER.replace(0), n);
                    assert_eq!(LAST.with(|last| *last), 9);
                })
            });
            let each: Vec<_> = each.collect();
            each.into_iter().for_each(|one| one.join().unwrap());
            assert_eq!(NUMBER.take(), 1);
        });
        finish(runtime);
    });
}

#[test]
fn a_plain_thread_has_its_own_too() {
    beside(|| {
        let here = NUMBER.replace(5);
        assert_eq!(here, 1);
        std::thread::spawn(|| assert_eq!(NUMBER.get(), 1)).join().unwrap();
        Runtime::new().unwrap().run(|| assert_eq!(NUMBER.get(), 1, "a goroutine is no thread"));
        assert_eq!(NUMBER.get(), 5);
    });
}

#[test]
fn what_is_inherited_is_a_copy_of_the_spawner_s_at_that_time() {
    everywhere(|_, runtime| {
        TRACE.with_borrow_mut(|trace| trace.push(1));
        runtime.run(|| {
            TRACE.with_borrow_mut(|trace| trace.push(2));
            let child = go(|| {
                TRACE.with_borrow_mut(|trace| trace.push(3));
                go(|| TRACE.take()).join().unwrap()
            });
            TRACE.with_borrow_mut(|trace| trace.push(4));
            assert_eq!(child.join().unwrap(), [0, 1, 2, 3]);
            selvedge::scope(|s| {
                s.go(|| assert_eq!(TRACE.take(), [0, 1, 2, 4]));
            });
            assert_eq!(TRACE.take(), [0, 1, 2, 4]);
        });
        assert_eq!(TRACE.replace(vec![0]), [0, 1]);
        finish(runtime);
    });
}

#[test]
fn a_clone_that_panics_spawns_nothing() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            let said = panic_of(|| TRACE.with_borrow_mut(|_| go(|| ())));
            assert!(said.contains("borrowed"), "{said}");
            TRACE.with_borrow_mut(|_| {
                let panics = || selvedge::scope(|s| drop(s.go(|| ())));
                assert!(panic_of(panics).contains("borrowed"));
            });
            go(|| ()).join().unwrap();
        });
        finish(runtime);
    });
}

static ENDS: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Says when it goes, and does something then.
struct Says(&'static str, fn());

impl Drop for Says {
    fn drop(&mut self) {
        (self.1)();
        ENDS.lock().unwrap().push(self.0);
    }
}

goroutine_local! {
    static FIRST: Says = Says("first", || assert!(SECOND.try_with(|_| ()).is_err()));
    static SECOND: Says = Says("second", || { yield_now(); FIRST.with(|_| ()); THIRD.with(|_| ()) });
    static THIRD: Says = Says("third", || assert!(THIRD.try_with(|_| ()).is_err()));
    static OUTER: Says = { INNER.with(|_| ()); Says("outer", || ()) };
    static INNER: Says = Says("inner", || ());
}

#[test]
fn values_go_last_made_first_before_the_joiner_learns_of_the_end() {
    everywhere(|_, runtime| {
        let ends_of = |f: fn()| {
            ENDS.lock().unwrap().clear();
            let outcome = runtime.go(f).join();
            (outcome, std::mem::take(&mut *ENDS.lock().unwrap()))
        };
        let (outcome, ends) = ends_of(|| {
            FIRST.with(|_| ());
            SECOND.with(|_| ());
        });
        outcome.unwrap();
        assert_eq!(ends, ["second", "third", "first"], "one was made by a destructor");
        let (outcome, ends) = ends_of(|| {
            OUTER.with(|_| ());
            panic!("the body's");
        });
        assert_eq!(message(&*outcome.unwrap_err().into_panic().unwrap()), "the body's");
        assert_eq!(ends, ["outer", "inner"], "a value is made after those that its making made");
        finish(runtime);
    });
}

static TRIES: AtomicUsize = AtomicUsize::new(0);

goroutine_local! {
    static ITSELF: u8 = ITSELF.with(|it| *it);
    static PANICS_ONCE: u8 = {
        assert!(TRIES.fetch_add(1, SeqCst) % 2 == 1, "not yet");
        4
    };
}

#[test]
fn a_first_value_that_fails_may_be_tried_again() {
    beside(|| {
        for body in [|| (), yield_now] {
            Runtime::new().unwrap().run(|| {
                let said = panic_of(|| ITSELF.with(|_| ()));
                assert!(said.contains("asks for itself"), "{said}");
                let said = panic_of(|| PANICS_ONCE.with(|_| ()));
                assert_eq!(said, "not yet");
                body();
                assert_eq!(PANICS_ONCE.with(|it| *it), 4);
            });
        }
    });
}

#[test]
fn blocking_code_is_refused_wherever_it_runs() {
    beside(|| {
        Placement::Anchored.runtime(1).run(|| {
            NUMBER.set(8);
            let refused = || {
                let error = NUMBER.try_with(|_| ()).unwrap_err();
                assert!(error.to_string().contains("`blocking`"), "{error}");
            };
            blocking(refused);
            // With a neighbour it runs on a helper.
            let gate = Arc::new(Gate::default());
            let held = Arc::clone(&gate);
            let neighbour = go(move || held.pass());
            yield_now();
            blocking(refused);
            gate.open();
            neighbour.join().unwrap();
            assert_eq!(NUMBER.get(), 8);
        });
        assert_eq!(blocking(|| NUMBER.get()), 1, "on a plain thread it is a call");
    });
}

/// Counts how many there are.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, SeqCst);
        Counted(Arc::clone(count))
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Counted::new(&self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

goroutine_local! {
    inherit static COUNTED: RefCell<Option<Counted>> = RefCell::new(None);
}

#[test]
fn copies_for_goroutines_that_never_begin_are_dropped() {
    beside(|| {
        let (alive, begun) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, begins) = (Arc::clone(&alive), Arc::clone(&begun));
        let (spawned, wait) = mpsc::channel();
        let (gate, held) = mpsc::channel::<()>();
        // One thread: once the spawner holds it, nobody else runs, whoever has the processor.
        let builder = Runtime::builder().processors(1).max_threads(1).max_goroutines(40);
        let runtime = builder.build().unwrap();
        runtime.go(move || {
            COUNTED.set(Some(Counted::new(&count)));
            let child = |begins: &Arc<AtomicUsize>| {
                let begins = Arc::clone(begins);
                selvedge::try_go(move || begins.fetch_add(1, SeqCst)).is_ok()
            };
            let accepted = (0..60).filter(|_| child(&begins)).count();
            spawned.send(accepted).unwrap();
            // Holds the thread until the runtime has been dropped.
            let _ = held.recv();
        });
        let accepted = wait.recv().unwrap();
        assert!((1..60).contains(&accepted), "some are refused: {accepted} of 60 were not");
        assert_eq!(alive.load(SeqCst), 1 + accepted, "those refused have no copy");
        drop(runtime);
        assert_eq!(begun.load(SeqCst), 0, "nobody began");
        assert_eq!(alive.load(SeqCst), 1, "the spawner's own is left");
        drop(gate);
        crate::common::eventually("the spawner ends", || alive.load(SeqCst) == 0);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Set(u64),
    Push(u32),
    Yield,
    Spawn(Vec<Step>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let leaf = prop_oneof![
        any::<u64>().prop_map(Step::Set),
        any::<u32>().prop_map(Step::Push),
        Just(Step::Yield),
    ];
    let step = leaf
        .prop_recursive(3, 40, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Step::Spawn));
    prop::collection::vec(step, 0..10)
}

/// Does the steps, and holds each value against what it should be.
fn perform(steps: Vec<Step>, mut trace: Vec<u32>) {
    let mut number = 1;
    let mut children = Vec::new();
    for step in steps {
        match step {
            Step::Set(n) => {
                assert_eq!(NUMBER.replace(n), number);
                number = n;
            }
            Step::Push(n) => {
                TRACE.with_borrow_mut(|own| own.push(n));
                trace.push(n);
            }
            Step::Yield => yield_now(),
            Step::Spawn(steps) => {
                let trace = trace.clone();
                children.push(go(move || perform(steps, trace)));
            }
        }
        assert_eq!(NUMBER.get(), number);
        TRACE.with_borrow(|own| assert_eq!(*own, trace));
    }
    children.into_iter().for_each(|child| child.join().unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn values_are_what_an_oracle_says(steps in steps(), processors in 1usize..4) {
        for placement in crate::common::ALL {
            let runtime = placement.runtime(processors);
            let steps = steps.clone();
            runtime.go(|| perform(steps, vec![0])).join().unwrap();
            finish(runtime);
        }
    }
}
