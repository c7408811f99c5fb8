//! Sockets whose bytes come whenever they please: [N3], [N4], [N6], [A1], [I1], [I2].

use crate::harness::{Plan, Scenario};
use crate::kernel::Kernel;
use crate::placement::Anchored;
use crate::support::{Flag, Gate, Home, Ledger, builder, end};
use selvedge::internals::cell::Cell;
use selvedge::internals::platform::Arc;
use selvedge::{Builder, Runtime, blocking, go};
use shuttle::thread;

/// Three goroutines read two bytes each. Where they have no home, a fourth blocks its kernel thread until
/// all have; where they have one, it might be theirs.
fn readers(build: impl FnOnce(Builder) -> Runtime, threads: usize, is_anchored: bool) {
    let kernel = Kernel::new();
    let (source, notifier) = (Box::new(kernel.clone()), Arc::new(kernel.clone()));
    let runtime = Arc::new(build(builder(2, threads).kernel(source, notifier)));
    let cell = Arc::new(Cell::new());
    let key = runtime.register(Arc::<Cell>::clone(&cell));
    let over = Flag::default();
    let outside = {
        let (runtime, over, kernel) = (Arc::clone(&runtime), over.clone(), kernel.clone());
        thread::spawn(move || {
            let mut bytes = [1, 2, 1, 2].into_iter();
            while !over.is_set() {
                bytes.next().into_iter().for_each(|bytes| kernel.arrive(key, bytes));
                runtime.retake_all();
                runtime.see_to_sockets();
                thread::yield_now();
            }
        })
    };
    let ledger = Ledger::new(3);
    let entered = ledger.clone();
    runtime.run(move || {
        let gate = Gate::default();
        let held = gate.clone();
        let blocked = (!is_anchored).then(|| go(move || blocking(|| held.pass())));
        let readers = [0, 1, 2].map(|i| {
            let (kernel, cell, ledger) = (kernel.clone(), Arc::clone(&cell), entered.clone());
            go(move || {
                let home = Home::here();
                (0..2).for_each(|_| kernel.read(&cell, || {}));
                if is_anchored {
                    home.assert_still_here();
                }
                ledger.enter(i);
            })
        });
        readers.into_iter().for_each(|reader| reader.join().expect("no panic"));
        gate.open();
        blocked.into_iter().for_each(|blocked| blocked.join().expect("no panic"));
    });
    over.set();
    outside.join().expect("no panic");
    ledger.assert_each_ran_once();
    end(Arc::into_inner(runtime).expect("the thread outside has ended"));
}

/// 5 threads, 5 goroutines; sampled. Everybody reads what is its share, at home.
#[test]
fn readers_share_what_arrives_at_home() {
    Scenario {
        name: "sockets: readers share what arrives, at home [A1] [N3]",
        threads: 5,
        goroutines: 5,
    }
    .check(&Plan::usual(1500), || {
        readers(|builder| builder.anchored().expect("a model grants it"), 3, true);
    });
}

/// The same, migrating.
#[test]
fn readers_share_what_arrives_anywhere() {
    // SAFETY: as `support::migrating`.
    let build = |builder: Builder| unsafe { builder.build_migrating() }.expect("a model grants it");
    Scenario {
        name: "sockets: readers share what arrives, anywhere [N3]",
        threads: 5,
        goroutines: 5,
    }
    .check(&Plan::usual(1500), move || readers(build, 3, false));
}

/// 5 threads, 3 goroutines; sampled. Two wait for one socket, each at a home of its own, and a third worker
/// may be the one that learns of both: each home is woken.
#[test]
fn two_homes_of_one_batch_are_both_woken() {
    let name = "sockets: two homes of one batch are both woken [I2] [N3]";
    Scenario { name, threads: 5, goroutines: 3 }.check(&Plan::usual(1500), || {
        let kernel = Kernel::new();
        let (source, notifier) = (Box::new(kernel.clone()), Arc::new(kernel.clone()));
        let builder = builder(1, 3).kernel(source, notifier);
        let (runtime, gone) = (builder.anchored().expect("a model grants it"), Flag::default());
        let cell = Arc::new(Cell::new());
        let key = runtime.register(Arc::<Cell>::clone(&cell));
        let begun = [Flag::default(), Flag::default(), Flag::default()];
        let all = [0, 1, 2].map(|number: usize| {
            let (begun, gone) = (begun[number].clone(), gone.clone());
            let (kernel, cell) = (kernel.clone(), Arc::clone(&cell));
            runtime.go(move || {
                begun.set();
                gone.spin();
                if number < 2 {
                    kernel.read(&cell, || {});
                }
            })
        });
        // Each in user code, on a thread of its own, though there is one processor.
        while !begun.iter().all(Flag::is_set) {
            runtime.retake_all();
            thread::yield_now();
        }
        gone.set();
        while runtime.metrics().idle_processors == 0 {
            thread::yield_now();
        }
        kernel.arrive(key, 2);
        while !all.iter().all(|one| one.is_finished()) {
            runtime.see_to_sockets();
            thread::yield_now();
        }
        end(runtime);
    });
}
