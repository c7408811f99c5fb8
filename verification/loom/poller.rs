//! The poller, on a kernel of the model's own: [N3], [N4], [N5], [N6]; and the parker's bell: [K4].
//! Who is not told, or whose worker nobody wakes, waits for ever: loom reports a deadlock.

use crate::harness::{Bound, Scenario, join, spawn};
use crate::kernel::Kernel;
use crate::placement::Anchored;
use crate::sched::builder;
use selvedge::internals::cell::{Cell, Way};
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, Notifier, Parker};
use selvedge::internals::sched::poller::{Event, EventHandler, Key, Poller, Source};
use selvedge::internals::wait::WakeHandle;
use selvedge::{Builder, Runtime, go};

/// A poller with one cell, and the kernel behind it.
struct World {
    kernel: Kernel,
    poller: Poller<Kernel, WakeHandle>,
    cell: Arc<Cell>,
    key: Key,
}

fn world() -> Arc<World> {
    let kernel = Kernel::new();
    let poller = Poller::new(kernel.clone(), Arc::new(kernel.clone()));
    let cell = Arc::new(Cell::new());
    let key = poller.slots.lock().insert(Arc::<Cell>::clone(&cell));
    Arc::new(World { kernel, poller, cell, key })
}

impl World {
    /// Waits for one event, as a worker that sleeps, and wakes who is to be woken.
    fn rest_once(&self) {
        wake_all(self.poller.block(0, &Parker::new(), None).expect("nobody else"));
    }
}

fn wake_all(wakes: Vec<WakeHandle>) {
    // SAFETY: plain threads wait here, which are counted.
    wakes.into_iter().for_each(|wake| unsafe { wake.wake() });
}

/// 2 threads: one reads a byte | it arrives, and is told of. [N6]
#[test]
fn who_waits_learns_of_what_arrives() {
    Scenario {
        name: "poller: who waits learns of what arrives [N4] [N6]",
        threads: 2,
        operations: "read | arrive, rest",
    }
    .check(Bound::Complete, || {
        let world = world();
        let own = Arc::clone(&world);
        let reader = spawn(move || own.kernel.read(&own.cell, || {}));
        world.kernel.arrive(world.key, 1);
        world.rest_once();
        join(reader);
    });
}

/// 3 threads: two read a byte each | both arrive at once, and are told of once. [N6]
#[test]
fn one_event_serves_all_who_wait() {
    Scenario {
        name: "poller: one event serves all who wait [N6]",
        threads: 3,
        operations: "read | read | arrive ×2 at once, rest",
    }
    .check(Bound::usual(), || {
        let world = world();
        let readers = [0, 1].map(|_| {
            let own = Arc::clone(&world);
            spawn(move || own.kernel.read(&own.cell, || {}))
        });
        world.kernel.arrive(world.key, 2);
        world.rest_once();
        readers.into_iter().for_each(join);
    });
}

/// 2 threads: look whether something was told, and then whether it was an end | it is told.
#[test]
fn who_reads_the_count_of_an_end_sees_that_it_is_one() {
    Scenario {
        name: "poller: who reads the count of an end sees that it is one [N6]",
        threads: 2,
        operations: "count, is_odd | ready",
    }
    .check(Bound::Complete, || {
        let cell = Arc::new(Cell::new());
        let own = Arc::clone(&cell);
        let tells = spawn(move || {
            let event = Event { readable: true, eof_or_oob: true, ..Event::default() };
            own.ready(event, &mut Vec::new());
        });
        if cell.count(Way::Read) > 0 {
            assert!(cell.is_odd(), "N6: who waits now is told of nothing more");
        }
        join(tells);
    });
}

/// 2 threads: an event is taken and told of | its socket goes, and another has its slot. [N5]
#[test]
fn an_event_of_one_that_has_gone_reaches_nobody_else() {
    Scenario {
        name: "poller: an event of one that has gone reaches nobody else [N5]",
        threads: 2,
        operations: "rest | remove, insert",
    }
    .check(Bound::Complete, || {
        let world = world();
        world.kernel.arrive(world.key, 1);
        let own = Arc::clone(&world);
        let rests = spawn(move || own.rest_once());
        let gone = world.poller.slots.lock().remove(world.key);
        assert!(gone.is_some(), "it was registered");
        let next = Arc::new(Cell::new());
        let key = world.poller.slots.lock().insert(Arc::<Cell>::clone(&next));
        assert_ne!(key, world.key, "N5: a key is used once");
        join(rests);
        assert_eq!(next.count(Way::Read), 0, "N5: the event was another's");
    });
}

/// 2 threads: one waits at the bell | it is given a permit.
#[test]
fn who_waits_at_a_bell_is_woken_by_a_permit() {
    Scenario {
        name: "parker: who waits at a bell is woken by a permit [K4]",
        threads: 2,
        operations: "park_by | unpark",
    }
    .check(Bound::Complete, || {
        let kernel = Kernel::new();
        let notifier: Arc<dyn Notifier> = Arc::new(kernel.clone());
        let parker = Arc::new(Parker::new());
        let own = Arc::clone(&parker);
        let other = spawn(move || own.unpark());
        let mut source = kernel;
        assert!(parker.park_by(&notifier, || source.take(None, &mut Vec::new())));
        join(other);
    });
}

/// 3 threads: main reads | one looks, then blocks its kernel thread until main has read | another sleeps,
/// at the sockets if it may. [N3]
#[test]
fn who_wanted_to_wait_while_another_looked_tries_again() {
    Scenario {
        name: "poller: who wanted to wait while another looked tries again [N3]",
        threads: 3,
        operations: "read, arrive | look, block | rest",
    }
    .check(Bound::usual(), || {
        let world = world();
        let [sleeper, looker] = [0, 1].map(|_| Arc::new(Parker::new()));
        let stops = Arc::new(AtomicBool::new(false));
        let looks = {
            let (world, sleeper, looker) =
                (Arc::clone(&world), Arc::clone(&sleeper), looker.clone());
            spawn(move || {
                let wakes = world.poller.look(|slot| {
                    assert_eq!(slot, 7, "the seat that was left");
                    sleeper.unpark();
                });
                wake_all(wakes);
                looker.park();
            })
        };
        let sleeps = {
            let (world, sleeper, stops) = (Arc::clone(&world), Arc::clone(&sleeper), stops.clone());
            // Relaxed: the parker carries it.
            spawn(move || {
                while !stops.load(Ordering::Relaxed) {
                    match world.poller.block(7, &sleeper, None) {
                        Some(wakes) => wake_all(wakes),
                        None => sleeper.park(),
                    }
                }
            })
        };
        world.kernel.read(&world.cell, || world.kernel.arrive(world.key, 1));
        looker.unpark();
        // Relaxed: the parker carries it.
        stops.store(true, Ordering::Relaxed);
        sleeper.unpark();
        join(looks);
        join(sleeps);
    });
}

/// A runtime whose goroutines wait for one socket of the model's.
struct Attended {
    runtime: Runtime,
    kernel: Kernel,
    cell: Arc<Cell>,
    key: Key,
}

fn attended(build: impl FnOnce(Builder) -> Runtime, processors: usize) -> Attended {
    let kernel = Kernel::new();
    let (source, notifier) = (Box::new(kernel.clone()), Arc::new(kernel.clone()));
    let runtime = build(builder(processors).kernel(source, notifier));
    let cell = Arc::new(Cell::new());
    let key = runtime.register(Arc::<Cell>::clone(&cell));
    Attended { runtime, kernel, cell, key }
}

fn anchored(builder: Builder) -> Runtime {
    builder.anchored().expect("a model grants what is asked for")
}

fn migrating(builder: Builder) -> Runtime {
    // SAFETY: the goroutines of these models touch no thread-local and keep no guard.
    unsafe { builder.build_migrating() }.expect("a model grants what is asked for")
}

impl Attended {
    fn reads(&self) -> impl FnOnce() + Send + 'static {
        let (kernel, cell) = (self.kernel.clone(), Arc::clone(&self.cell));
        move || kernel.read(&cell, || {})
    }
}

/// 2 threads: main lets a goroutine read, and a byte arrive | 1 worker, which looks, and sleeps at the
/// sockets. [N3] [I2]
#[test]
fn a_goroutine_reads_what_arrives_later() {
    Scenario {
        name: "poller: a goroutine reads what arrives later [N3] [N6]",
        threads: 2,
        operations: "go(read), arrive, join, drop | 1 worker",
    }
    .check(Bound::usual(), || {
        let world = attended(anchored, 1);
        let reader = world.runtime.go(world.reads());
        world.kernel.arrive(world.key, 1);
        reader.join().expect("no panic");
    });
}

/// 3 threads: as above, on 2 workers, of which one may learn of what is for a goroutine at home with the
/// other. [N3] [I2]
#[test]
fn a_worker_at_the_sockets_wakes_another_home() {
    Scenario {
        name: "poller: a worker at the sockets wakes another home [N3] [I2]",
        threads: 3,
        operations: "go(read), go, arrive, join ×2, drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let world = attended(anchored, 2);
        let reader = world.runtime.go(world.reads());
        let other = world.runtime.go(|| {});
        world.kernel.arrive(world.key, 1);
        reader.join().expect("no panic");
        other.join().expect("no panic");
    });
}

/// 3 threads: two goroutines without a home read what comes at once; the one who learns of it wakes
/// another for the rest, as one of the two blocks its kernel thread on the other. [N3] [I1]
#[test]
fn of_two_that_are_ready_at_once_neither_waits_for_the_other() {
    Scenario {
        name: "poller: of two that are ready at once neither waits for the other [N3] [I1]",
        threads: 3,
        operations: "run(go(read, unpark), read, block), drop | 2 workers",
    }
    .check(Bound::narrow(), || {
        let world = attended(migrating, 2);
        let (reads, again) = (world.reads(), world.reads());
        let (kernel, key) = (world.kernel.clone(), world.key);
        world.runtime.run(move || {
            let parent = Arc::new(Parker::new());
            let child = Arc::clone(&parent);
            let handle = go(move || {
                reads();
                child.unpark();
            });
            kernel.arrive(key, 2);
            again();
            parent.park();
            handle.join().expect("no panic");
        });
        drop(world);
    });
}
