//! Whom a panic reaches, what it leaves alone, and suspension while the kernel thread unwinds.

use crate::common::{Gate, Placement, eventually, everywhere, finish, message, panic_of};
use selvedge::Runtime;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

#[test]
fn a_panic_reaches_the_joiner_with_its_payload() {
    everywhere(|_, runtime| {
        let error = runtime.go(|| panic!("number {}", 7)).join().unwrap_err();
        assert!(error.is_panic() && !error.is_abandoned());
        assert_eq!(error.to_string(), "the goroutine panicked: number 7");
        assert_eq!(message(&*error.into_panic().unwrap()), "number 7");
        let odd = runtime.go(|| std::panic::panic_any(41_u8)).join().unwrap_err();
        assert_eq!(odd.to_string(), "the goroutine panicked");
        assert_eq!(*odd.into_panic().unwrap().downcast::<u8>().unwrap(), 41);
        assert_eq!(runtime.metrics().unclaimed_panics, 0, "each was claimed");
        finish(runtime);
    });
}

#[test]
fn a_panic_that_nobody_can_join_is_counted() {
    everywhere(|_, runtime| {
        for _ in 0..5 {
            drop(runtime.go(|| panic!("nobody hears this one")));
        }
        eventually("all ended", || runtime.metrics().finished == 5);
        let kept = runtime.go(|| panic!("nor this"));
        eventually("it ended", || kept.is_finished());
        drop(kept);
        assert_eq!(runtime.metrics().unclaimed_panics, 6);
        finish(runtime);
    });
}

#[test]
fn a_scope_passes_on_the_panic_of_a_child_that_nobody_joined() {
    everywhere(|_, runtime| {
        let ran = AtomicUsize::new(0);
        runtime.run(|| {
            let child = || {
                selvedge::yield_now();
                ran.fetch_add(1, SeqCst);
            };
            let text = panic_of(|| {
                selvedge::scope(|s| {
                    s.go(|| panic!("the child's"));
                    (0..10).for_each(|_| drop(s.go(child)));
                })
            });
            assert_eq!((text.as_str(), ran.load(SeqCst)), PASSED_ON);
            // Joined: the panic is the joiner's.
            selvedge::scope(|s| assert!(s.go(|| panic!("claimed")).join().is_err()));
            // The parent's own panic goes first, after all children have ended.
            let text = panic_of(|| {
                selvedge::scope(|s| {
                    (0..10).for_each(|_| drop(s.go(child)));
                    panic!("the parent's");
                })
            });
            assert_eq!((text.as_str(), ran.load(SeqCst)), ("the parent's", 20));
        });
        finish(runtime);
    });
}

const PASSED_ON: (&str, usize) = ("a scoped goroutine panicked, and nobody joined it", 10);

#[test]
fn a_panic_leaves_suspended_neighbours_alone() {
    everywhere(|_, runtime| {
        let gate = Arc::new(Gate::default());
        let spawn = |n| {
            let gate = Arc::clone(&gate);
            runtime.go(move || {
                let kept = vec![n; 10];
                gate.pass();
                assert!(!std::thread::panicking());
                kept.into_iter().sum::<usize>()
            })
        };
        let neighbours: Vec<_> = (0..50).map(spawn).collect();
        let panicking: Vec<_> = (0..50).map(|n| runtime.go(move || panic!("{n}"))).collect();
        for (n, handle) in panicking.into_iter().enumerate() {
            let payload = handle.join().unwrap_err().into_panic().unwrap();
            assert_eq!(message(&*payload), n.to_string());
        }
        gate.open();
        for (n, neighbour) in neighbours.into_iter().enumerate() {
            assert_eq!(neighbour.join().unwrap(), 10 * n);
        }
        finish(runtime);
    });
}

// ---- suspension in a `Drop`, while unwinding ----------------------------------------------------------

/// Suspends in every way there is when it is dropped.
struct SuspendsInDrop {
    way: usize,
    ran: Arc<AtomicUsize>,
}

const WAYS: usize = 7;

impl Drop for SuspendsInDrop {
    fn drop(&mut self) {
        let unwinding = std::thread::panicking();
        match self.way % WAYS {
            0 => (0..20).for_each(|_| selvedge::yield_now()),
            1 => {
                let (flag, me) = (Arc::new(AtomicBool::new(false)), selvedge::current());
                let set = Arc::clone(&flag);
                drop(selvedge::go(move || {
                    set.store(true, SeqCst);
                    me.unpark();
                }));
                while !flag.load(SeqCst) {
                    selvedge::park();
                }
            }
            2 => assert_eq!(selvedge::go(|| 7).join().unwrap(), 7),
            3 => assert_eq!(selvedge::blocking(|| 8), 8),
            4 => {
                let mut number = 0;
                selvedge::scope(|s| drop(s.go(|| number = 9)));
                assert_eq!(number, 9);
            }
            5 => {
                // A permit that is there already.
                selvedge::current().unpark();
                selvedge::park();
            }
            _ => {
                // A panic caught within the unwinding, in another goroutine.
                let inner = selvedge::go(|| std::panic::resume_unwind(Box::new(1_u8)));
                assert!(inner.join().unwrap_err().is_panic());
            }
        }
        assert_eq!(std::thread::panicking(), unwinding, "the panic is still one's own");
        self.ran.fetch_add(1, SeqCst);
    }
}

fn unwind_among_innocents(runtime: &Runtime) {
    let (stop, ran) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let innocent = |_| {
        let stop = Arc::clone(&stop);
        runtime.go(move || {
            while !stop.load(SeqCst) {
                assert!(!std::thread::panicking(), "somebody else's panic");
                selvedge::yield_now();
            }
        })
    };
    let innocents: Vec<_> = (0..8).map(innocent).collect();
    let guilty = |way: usize| {
        let ran = Arc::clone(&ran);
        runtime.go(move || {
            let _guard = SuspendsInDrop { way, ran };
            selvedge::yield_now();
            std::panic::resume_unwind(Box::new(way));
        })
    };
    let guilty: Vec<_> = (0..3 * WAYS).map(guilty).collect();
    for (way, handle) in guilty.into_iter().enumerate() {
        let payload = handle.join().unwrap_err().into_panic().unwrap();
        assert_eq!(*payload.downcast::<usize>().unwrap(), way);
    }
    stop.store(true, SeqCst);
    innocents.into_iter().for_each(|innocent| innocent.join().expect("it was innocent"));
    assert_eq!(ran.load(SeqCst), 3 * WAYS);
}

#[test]
fn a_suspension_while_unwinding_shows_nobody_else_the_panic() {
    everywhere(|_, runtime| {
        unwind_among_innocents(&runtime);
        finish(runtime);
    });
}

#[test]
fn a_mutex_unlocked_by_an_innocent_is_not_poisoned() {
    everywhere(|placement, runtime| {
        if placement == Placement::Migrating {
            // Its guard would be bound to a thread: outside the promise.
            return finish(runtime);
        }
        let ran = Arc::new(AtomicUsize::new(0));
        let spawn = |n: usize| {
            let ran = Arc::clone(&ran);
            runtime.go(move || {
                let mutex = std::sync::Mutex::new(0);
                if n.is_multiple_of(5) {
                    let _guard = SuspendsInDrop { way: n / 5, ran };
                    std::panic::resume_unwind(Box::new(n));
                }
                for _ in 0..50 {
                    let mut number = mutex.lock().unwrap();
                    selvedge::yield_now();
                    *number += 1;
                }
                assert!(!mutex.is_poisoned());
            })
        };
        let handles: Vec<_> = (0..40).map(spawn).collect();
        for (n, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.join().is_ok(), !n.is_multiple_of(5), "goroutine {n}");
        }
        finish(runtime);
    });
}

#[test]
fn a_goroutine_that_caught_its_own_panic_suspends_as_before() {
    everywhere(|_, runtime| {
        runtime.run(|| {
            for n in 0..20 {
                assert_eq!(panic_of(|| panic!("{n}")), n.to_string());
                selvedge::yield_now();
                assert_eq!(selvedge::go(move || n).join().unwrap(), n);
            }
        });
        finish(runtime);
    });
}
