//! A runtime that is ended while the foreign code which that calls waits: nothing is resumed any more, and yet the
//! end is reached, and every joiner hears of it. [T2] [T5]

use crate::common::everywhere;
use selvedge::{JoinHandle, Runtime, Spawn, no_suspend, time};
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

const AGES: Duration = Duration::from_secs(20);
const MOMENT: Duration = Duration::from_millis(1);

/// A waker that performs something.
struct Does<F>(F);

impl<F: Fn() + Send + Sync + 'static> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

fn parks() {
    loop {
        selvedge::park();
    }
}

/// The handle as a future whose waker performs `f`.
fn awaited(handle: JoinHandle<()>, f: impl Fn() + Send + Sync + 'static) -> impl Future + Send {
    let mut future = handle.into_future();
    let waker = Waker::from(Arc::new(Does(f)));
    assert!(Pin::new(&mut future).poll(&mut Context::from_waker(&waker)).is_pending());
    future
}

#[track_caller]
fn is_abandoned(handle: JoinHandle<()>) {
    let ended = handle.join_timeout(AGES).expect("[T2]: its joiner hears of it");
    assert!(ended.unwrap_err().is_abandoned());
}

/// Sleeps when it is dropped, and counts that.
struct Sleeps(Arc<AtomicUsize>);

impl Drop for Sleeps {
    fn drop(&mut self) {
        time::sleep(MOMENT);
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_goroutine_that_ends_its_runtime_goes_on_though_wakers_and_destructors_wait() {
    everywhere(|_, runtime| {
        let (give, take) = channel::<Runtime>();
        let slept = Arc::new(AtomicUsize::new(0));
        let tells = Arc::clone(&slept);
        // Those that begin on another worker may be left behind in the destructor, where they sleep.
        let begun = Arc::new(AtomicUsize::new(0));
        let begin = Arc::clone(&begun);
        let wakes = |runtime: &Runtime| {
            let tells = Arc::clone(&slept);
            awaited(runtime.go(parks), move || {
                time::sleep(MOMENT);
                tells.fetch_add(1, SeqCst);
            })
        };
        let before = [wakes(&runtime), wakes(&runtime)];
        let parked = runtime.go(parks);
        let (told, hears) = channel();
        let ends = runtime.go(move || {
            let runtime = take.recv().unwrap();
            let unbegun: Vec<_> = (0..20)
                .map(|_| {
                    let (sleeps, begun) = (Sleeps(Arc::clone(&tells)), Arc::clone(&begin));
                    runtime.go(move || {
                        begun.fetch_add(1, SeqCst);
                        drop(sleeps);
                        parks();
                    })
                })
                .collect();
            drop(runtime);
            told.send(unbegun).unwrap();
        });
        give.send(runtime).unwrap();
        let unbegun = hears.recv_timeout(AGES).expect("[T5]: the end returns");
        unbegun.into_iter().for_each(is_abandoned);
        is_abandoned(parked);
        assert!(ends.join_timeout(AGES).expect("it ends").is_ok(), "it goes on");
        let (slept, begun) = (slept.load(SeqCst), begun.load(SeqCst));
        assert!(
            slept + begun >= 22,
            "two wakers, and twenty values: {slept}, {begun} in goroutines"
        );
        drop(before);
    });
}

#[test]
fn a_waker_may_join_any_goroutine_of_the_runtime_that_ends() {
    everywhere(|_, runtime| {
        let shelf = Arc::new(Mutex::new(Vec::new()));
        let shelve = |runtime: &Runtime| shelf.lock().unwrap().push(runtime.go(parks));
        // Some are told before it, and some after it.
        (0..3).for_each(|_| shelve(&runtime));
        let taken = Arc::clone(&shelf);
        let joined = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&joined);
        let future = awaited(runtime.go(parks), move || {
            let handles = std::mem::take(&mut *taken.lock().unwrap());
            for handle in handles {
                is_abandoned(handle);
                counts.fetch_add(1, SeqCst);
            }
        });
        (0..3).for_each(|_| shelve(&runtime));
        // All of them are parked, or have not begun.
        runtime.run(|| (0..20).for_each(|_| selvedge::yield_now()));
        drop(runtime);
        assert_eq!(joined.load(SeqCst), 6);
        drop(future);
    });
}

#[test]
fn what_waits_while_a_panic_unwinds_may_stand_in_a_section_that_does_not_suspend() {
    struct Waits;
    impl Drop for Waits {
        fn drop(&mut self) {
            selvedge::yield_now();
            time::sleep(MOMENT);
            let (tx, rx) = selvedge::chan::bounded::<u8>(1);
            tx.send(1).unwrap();
            assert_eq!(rx.recv_timeout(MOMENT), Ok(1));
            assert!(rx.recv_timeout(MOMENT).is_err());
        }
    }
    everywhere(|_, runtime| {
        let falls = || {
            no_suspend(|| {
                let _waits = Waits;
                std::panic::resume_unwind(Box::new(5))
            })
        };
        let handle = runtime.go_with(Spawn::new().name("falls"), falls).unwrap();
        let payload = handle.join().unwrap_err().into_panic().unwrap();
        assert_eq!(*payload.downcast::<i32>().unwrap(), 5);
    });
}
