//! A runtime that is ended where one of its own threads, or a destructor, calls foreign code: every joiner gets a
//! result or an error, and nobody waits for itself. [T2] [T5]

use crate::common::{ALL, Gate, Placement, beside, eventually, everywhere};
use crate::foreign::throw;
use selvedge::{JoinHandle, Runtime, Stall, blocking, yield_now};
use std::cell::RefCell;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::time::{Duration, Instant};

const AGES: Duration = Duration::from_secs(60);

/// A runtime that somebody else ends.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Option<Runtime>>>);

impl Shelf {
    fn put(&self, runtime: Runtime) {
        *self.0.lock().unwrap() = Some(runtime);
    }

    /// Ends it, unless that was done before.
    fn end(&self) -> bool {
        // In its own statement: the lock is not kept.
        let runtime = self.0.lock().unwrap().take();
        runtime.map(drop).is_some()
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

#[track_caller]
fn is_abandoned(handle: JoinHandle<()>) {
    let ended = handle.join_timeout(AGES).expect("[T2]: its joiner hears of it");
    assert!(ended.unwrap_err().is_abandoned());
}

fn parks() {
    loop {
        selvedge::park();
    }
}

/// A runtime with a watchdog and one worker: one goroutine computes until `end`, another has its home beside it.
fn stalled(
    end: &Arc<AtomicBool>,
    hook: impl Fn(&Stall) + Send + Sync + 'static,
) -> (Runtime, [JoinHandle<()>; 2]) {
    // The hook is told of goroutines that wait for their home.
    let builder = Runtime::builder().processors(1).max_threads(1).watchdog(hook);
    let runtime = Placement::Anchored.build(builder);
    let begun = Arc::new(AtomicBool::new(false));
    let (b, e) = (Arc::clone(&begun), Arc::clone(end));
    let waits = runtime.go(move || {
        b.store(true, SeqCst);
        loop {
            yield_now();
        }
    });
    eventually("it has its home", || begun.load(SeqCst));
    let hog = runtime.go(move || {
        yield_now();
        while !e.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
    (runtime, [waits, hog])
}

#[test]
fn a_hook_may_end_its_runtime() {
    beside(|| {
        let (shelf, end) = (Shelf::default(), Arc::new(AtomicBool::new(false)));
        let hook = shelf.clone();
        let (runtime, [waits, hog]) = stalled(&end, move |_| {
            hook.end();
        });
        shelf.put(runtime);
        is_abandoned(waits);
        end.store(true, SeqCst);
        assert!(hog.join_timeout(AGES).expect("it ends").is_ok(), "it was in user code");
        assert!(shelf.is_empty());
    });
}

#[test]
fn whoever_ends_a_runtime_does_not_wait_for_a_hook() {
    beside(|| {
        let (end, hooked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let lock = Arc::new(Mutex::new(()));
        let (own, told) = (Arc::clone(&lock), Arc::clone(&hooked));
        let held = lock.lock().unwrap();
        let (runtime, [waits, hog]) = stalled(&end, move |_| {
            told.store(true, SeqCst);
            drop(own.lock());
        });
        eventually("the hook waits", || hooked.load(SeqCst));
        // The hook waits for the lock that is held here.
        drop(runtime);
        drop(held);
        is_abandoned(waits);
        end.store(true, SeqCst);
        assert!(hog.join().is_ok());
    });
}

#[test]
fn a_hook_that_panics_is_called_again_and_goes_with_its_runtime() {
    struct Falls(#[allow(dead_code)] Arc<()>);
    impl Drop for Falls {
        fn drop(&mut self) {
            throw();
        }
    }
    beside(|| {
        let (end, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (count, alive) = (Arc::clone(&calls), Arc::new(()));
        let falls = Falls(Arc::clone(&alive));
        let (runtime, [waits, hog]) = stalled(&end, move |_| {
            let _ = &falls;
            count.fetch_add(1, SeqCst);
            throw();
        });
        eventually("it is called twice", || calls.load(SeqCst) >= 2);
        end.store(true, SeqCst);
        assert!(hog.join().is_ok());
        drop(runtime);
        is_abandoned(waits);
        assert_eq!(Arc::strong_count(&alive), 1, "the hook has gone");
    });
}

#[test]
fn closures_that_never_begin_may_panic_when_they_are_dropped() {
    struct Fatal(Arc<AtomicUsize>);
    impl Drop for Fatal {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
            throw();
        }
    }
    beside(|| {
        for placement in ALL {
            let builder = Runtime::builder().processors(1).max_processors(1).max_threads(1);
            let runtime = placement.build(builder.max_goroutines(100));
            let (begun, end) = (Arc::new(AtomicBool::new(false)), Arc::new(Gate::default()));
            let (b, e) = (Arc::clone(&begun), Arc::clone(&end));
            let keeper = runtime.go(move || {
                b.store(true, SeqCst);
                while !e.is_open() {
                    std::thread::yield_now();
                }
            });
            eventually("it keeps the only thread", || begun.load(SeqCst));
            let gone = Arc::new(AtomicUsize::new(0));
            let spawn = |_| {
                let fatal = Fatal(Arc::clone(&gone));
                runtime.go(move || drop(fatal))
            };
            let handles: Vec<_> = (0..20).map(spawn).collect();
            drop(runtime);
            assert_eq!(gone.load(SeqCst), 20, "each was dropped, once");
            end.open();
            keeper.join().unwrap();
            // They outlive the runtime, and its last thread.
            handles.into_iter().for_each(is_abandoned);
        }
    });
}

#[test]
fn a_helper_may_end_its_runtime() {
    beside(|| {
        let runtime = Placement::Anchored.runtime(1);
        let shelf = Shelf::default();
        let neighbour = runtime.go(parks);
        let (ends, (told, hears)) = (shelf.clone(), channel());
        let blocks = runtime.go(move || {
            // With a neighbour at home it runs on a helper.
            yield_now();
            blocking(|| {
                eventually("there is a runtime", || !ends.is_empty());
                told.send(ends.end()).unwrap();
            });
        });
        shelf.put(runtime);
        assert!(hears.recv_timeout(AGES).expect("it ends"));
        is_abandoned(neighbour);
        is_abandoned(blocks);
    });
}

/// Ends a runtime when it is woken.
struct Ends(Shelf);

impl Wake for Ends {
    fn wake(self: Arc<Self>) {
        self.0.end();
    }
}

#[test]
fn a_waker_may_end_the_runtime_of_the_goroutine_that_calls_it() {
    everywhere(|_, runtime| {
        let (shelf, gate) = (Shelf::default(), Arc::new(Gate::default()));
        let (neighbour, opens) = (runtime.go(parks), Arc::clone(&gate));
        let mut awaited = runtime.go(move || opens.pass()).into_future();
        let waker = Waker::from(Arc::new(Ends(shelf.clone())));
        assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(&waker)).is_pending());
        shelf.put(runtime);
        gate.open();
        is_abandoned(neighbour);
        assert!(selvedge::block_on(awaited).is_ok(), "its result was there before");
        assert!(shelf.is_empty());
    });
}

#[test]
fn a_shutdown_by_a_goroutine_of_its_own_waits_for_the_others() {
    everywhere(|_, runtime| {
        let (give, take) = channel::<Runtime>();
        let ended = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&ended);
        let caller = runtime.go(move || {
            let runtime = take.recv().unwrap();
            for _ in 0..20 {
                let count = Arc::clone(&count);
                drop(runtime.go(move || {
                    (0..20).for_each(|_| yield_now());
                    count.fetch_add(1, SeqCst);
                }));
            }
            // Some have their home beside it; it can't end before it returns.
            let start = Instant::now();
            let error = runtime.shutdown(Duration::MAX).unwrap_err();
            assert!(start.elapsed() < AGES);
            let left: Vec<_> = error.remaining().iter().map(|left| left.id).collect();
            assert_eq!(left, [selvedge::current().id().unwrap()]);
            count.load(SeqCst)
        });
        give.send(runtime).unwrap();
        assert_eq!(caller.join().unwrap(), 20);
    });
}

/// Suspends when it is dropped, until the gate is open.
struct Suspends(Arc<Gate>);

impl Drop for Suspends {
    fn drop(&mut self) {
        self.0.pass();
    }
}

impl Wake for Suspends {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn whom_a_waker_holds_up_is_told_of_at_the_end_and_keeps_its_result() {
    everywhere(|_, runtime| {
        let (gate, never) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
        let opens = Arc::clone(&gate);
        let mut awaited = runtime
            .go(move || {
                opens.pass();
                5
            })
            .into_future();
        let waker = Waker::from(Arc::new(Suspends(Arc::clone(&never))));
        assert!(Pin::new(&mut awaited).poll(&mut Context::from_waker(&waker)).is_pending());
        // The last copy goes on the goroutine, which has its result, and waits.
        drop(waker);
        gate.open();
        eventually("it waits", || never.is_waited_for());
        let error = runtime.shutdown(Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.remaining().len(), 1, "{error}");
        assert_eq!(selvedge::block_on(awaited).unwrap(), 5);
    });
}

// ---- thread-locals of a worker --------------------------------------------------------------------------------

/// What is done when the thread-locals of a kernel thread are torn down.
struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(|end| end());
    }
}

thread_local! { static AT_END: RefCell<Vec<AtEnd>> = const { RefCell::new(Vec::new()) }; }

#[inline(never)]
fn at_end(end: impl FnOnce() + 'static) {
    AT_END.with_borrow_mut(|ends| ends.push(AtEnd(Some(Box::new(end)))));
}

#[test]
fn a_thread_local_of_a_worker_may_join_whom_its_runtime_leaves_behind() {
    beside(|| {
        let runtime = Runtime::builder().processors(2).max_processors(2).max_threads(2);
        let runtime = Placement::Anchored.build(runtime.max_goroutines(100));
        let (begun, told) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let b = Arc::clone(&begun);
        let parked = runtime.go(move || {
            b.store(true, SeqCst);
            parks();
        });
        eventually("it has a home", || begun.load(SeqCst));
        let (handle, tells) = (Mutex::new(Some(parked)), Arc::clone(&told));
        let handle = Arc::new(handle);
        // On both workers, so also on the one that is not the home of the parked one.
        let both = Arc::new(AtomicUsize::new(0));
        let leave = |_| {
            let (handle, tells, both) =
                (Arc::clone(&handle), Arc::clone(&tells), Arc::clone(&both));
            runtime.go(move || {
                at_end(move || {
                    let parked = handle.lock().unwrap().take();
                    parked.into_iter().for_each(is_abandoned);
                    tells.fetch_add(1, SeqCst);
                });
                both.fetch_add(1, SeqCst);
                while both.load(SeqCst) < 2 {
                    std::hint::spin_loop();
                }
            })
        };
        let leavers: Vec<_> = (0..2).map(leave).collect();
        leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
        // A joiner may be told before the worker has left the goroutine; the end waits for no worker in user code.
        eventually("both workers know that they have ended", || runtime.metrics().finished == 2);
        drop(runtime);
        assert_eq!(
            told.load(SeqCst),
            1,
            "one is no home: its thread-locals went, and were waited for"
        );
    });
}

#[test]
fn a_thread_local_of_a_worker_that_is_not_needed_may_hold_the_runtime() {
    beside(|| {
        let builder = Runtime::builder().processors(2).max_processors(2).max_threads(2);
        let runtime = Placement::Anchored.build(builder.max_goroutines(100));
        let (shelf, ended) = (Shelf::default(), Arc::new(AtomicBool::new(false)));
        let (begun, go_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        // One a worker, as neither suspends.
        let leave = |_| {
            let (shelf, ended) = (shelf.clone(), Arc::clone(&ended));
            let (begun, go_on) = (Arc::clone(&begun), Arc::clone(&go_on));
            runtime.go(move || {
                at_end(move || ended.store(shelf.end(), SeqCst));
                begun.fetch_add(1, SeqCst);
                while !go_on.load(SeqCst) {
                    std::hint::spin_loop();
                }
            })
        };
        let leavers: Vec<_> = (0..2).map(leave).collect();
        eventually("both run", || begun.load(SeqCst) == 2);
        runtime.set_processors(1).unwrap();
        go_on.store(true, SeqCst);
        leavers.into_iter().for_each(|leaver| leaver.join().unwrap());
        shelf.put(runtime);
        // The thread of a worker that has slept for five seconds, beyond the processors' number, ends. It does
        // not join itself.
        eventually("it has ended the runtime", || ended.load(SeqCst));
        assert!(shelf.is_empty());
    });
}
