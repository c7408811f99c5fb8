//! Goroutine-local values: [Z2], [Z3], [Z5].

use crate::harness::{Bound, Payload, Scenario};
use selvedge::internals::platform::{Arc, thread};
use selvedge::{Builder, go, goroutine_local, yield_now};
use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Wake, Waker};

/// Writes, when it goes, where its maker looks after the join.
struct Says(Arc<Payload>);

impl Drop for Says {
    fn drop(&mut self) {
        let before = self.0.take();
        self.0.write(before + 1);
    }
}

goroutine_local! {
    static OWN: Payload = Payload::new(3);
    static SAYS: RefCell<Option<Says>> = RefCell::new(None);
}

/// 3 threads: a migrating goroutine keeps a value across suspensions, its child another | 2 workers.
/// Each reaches its own, wherever it resumes; the joiner sees the value's end.
#[test]
fn a_value_goes_where_its_goroutine_goes() {
    Scenario {
        name: "local: a value goes where its goroutine goes, and ends before its joiner goes on [Z2] [Z3]",
        threads: 3,
        operations: "run(go(yield), join) | 2 workers, migrating",
    }
    .check(Bound::narrow(), || {
        let builder = Builder::new().processors(2).max_goroutines(2).modelled(2);
        // SAFETY: the goroutines touch no thread-local and keep no guard.
        let runtime = unsafe { builder.build_migrating() }.expect("a model grants what is asked for");
        let ended = Arc::new(Payload::new(0));
        let theirs = Arc::clone(&ended);
        runtime.run(move || {
            let told = Arc::clone(&theirs);
            let child = go(move || {
                SAYS.set(Some(Says(told)));
                let own = OWN.with(|own| {
                    own.write(own.take() + 1);
                    yield_now();
                    own.take()
                });
                assert_eq!(own, 4);
            });
            OWN.with(|own| assert_eq!(own.take(), 3));
            child.join().expect("no panic");
            assert_eq!(theirs.take(), 1, "it was destroyed before the joiner knew of the end");
        });
        drop(runtime);
    });
}

/// Makes a value on whatever calls it.
struct Makes;

impl Wake for Makes {
    fn wake(self: Arc<Self>) {
        OWN.with(|own| own.write(own.take() + 1));
    }
}

/// 2 threads: await a goroutine, whose end calls a waker that makes a value | 1 worker. The value has gone
/// when the cell is recycled: the specification looks.
#[test]
fn a_value_that_a_waker_makes_goes_before_the_cell_is_recycled() {
    Scenario {
        name: "local: a value that a waker makes goes before the cell is recycled [Z5]",
        threads: 2,
        operations: "go, poll, drop, shutdown | 1 worker",
    }
    .check(Bound::usual(), || {
        let builder = Builder::new().processors(1).max_goroutines(1).modelled(2);
        let runtime = builder.build().expect("a model grants what is asked for");
        let waker = Waker::from(Arc::new(Makes));
        {
            let awaited = pin!(runtime.go(|| ()).into_future());
            let _ = awaited.poll(&mut Context::from_waker(&waker));
        }
        drop(waker);
        runtime.shutdown(std::time::Duration::MAX).expect("it ends");
    });
}

/// 2 threads: two model threads have a value each, and end.
#[test]
fn a_model_thread_has_its_own() {
    Scenario {
        name: "local: a model thread has its own [Z2] [Z3]",
        threads: 2,
        operations: "2 × with",
    }
    .check(Bound::Complete, || {
        let other = thread::spawn("other".to_owned(), move || {
            OWN.with(|own| assert_eq!(own.take(), 3));
        });
        OWN.with(|own| assert_eq!(own.take(), 3));
        // Its values go after that: loom lets the joiner go on first.
        assert!(other.expect("a model thread can start").join());
    });
}
