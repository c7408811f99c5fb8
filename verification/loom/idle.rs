//! The roster, between those who publish work and workers that go to sleep: [I1]–[I4], [F1].
//!
//! Work conservation shows only where somebody really blocks: who publishes here then blocks its
//! thread until the work is done, so that a lost wake-up is a deadlock, which loom reports.

use crate::harness::{Bound, Scenario, join, spawn};
use crate::injector::Node;
use selvedge::internals::platform::atomic::{AtomicU32, Ordering};
use selvedge::internals::platform::{Arc, Mutex, Parker, thread};
use selvedge::internals::sched::idle::{IdleWorkers, Sources, WakeAction, WakeReason, WorkerId};
use selvedge::internals::structures::GlobalQueue;

/// Workers that take numbers from one shared queue, or from their own inbox, and answer each.
struct World {
    idle: IdleWorkers,
    queue: GlobalQueue<Node>,
    /// A worker's inbox: what only it may do.
    home: [AtomicU32; 2],
    done: Parker,
    child_done: Parker,
    home_waits_for_child: bool,
    threads: Mutex<Vec<thread::JoinHandle>>,
}

struct At<'a>(&'a World, WorkerId);

impl Sources for At<'_> {
    fn has_stealable(&self) -> bool {
        !self.0.queue.is_empty()
    }

    fn has_bound(&self) -> bool {
        // Relaxed: the roster's fence orders it.
        self.0.home[self.1 as usize].load(Ordering::Relaxed) > 0
    }

    fn has_residents(&self) -> bool {
        true
    }
}

fn world(processors: u32) -> Arc<World> {
    Arc::new(new_world(processors))
}

fn new_world(processors: u32) -> World {
    World {
        idle: IdleWorkers::new(processors, processors, 2),
        queue: GlobalQueue::new(),
        home: [AtomicU32::new(0), AtomicU32::new(0)],
        done: Parker::new(),
        child_done: Parker::new(),
        home_waits_for_child: false,
        threads: Mutex::new(Vec::new()),
    }
}

impl World {
    fn perform_wake(self: &Arc<Self>, wake: WakeAction) {
        match wake {
            WakeAction::Start(id) => {
                let world = Arc::clone(self);
                let handle = spawn(move || world.work(id));
                self.threads.lock().push(handle);
            }
            other => self.idle.unpark(other),
        }
    }

    fn publish(self: &Arc<Self>, number: usize) {
        // SAFETY:
        // - fresh, so in no queue;
        // - freed only after it was taken;
        // - made of race-checked cells, for any thread.
        unsafe { self.queue.push(Node::boxed(number)) };
        self.perform_wake(self.idle.notify());
    }

    fn send_bound(self: &Arc<Self>, id: WorkerId) {
        // Relaxed: what follows fences.
        self.home[id as usize].fetch_add(1, Ordering::Relaxed);
        self.perform_wake(self.idle.wake_bound(id));
    }

    /// A worker: as the real one, with numbers for goroutines.
    fn work(self: &Arc<Self>, id: WorkerId) {
        let mut awake = self.idle.wait_for_assignment(id);
        while let WakeReason::Run { proc, mut searching } = awake {
            while self.take(id, &mut searching) {}
            if !searching && self.idle.start_searching() {
                searching = true;
                while self.take(id, &mut searching) {}
            }
            awake = self.idle.sleep(id, Some(proc), searching, &At(self, id));
        }
    }

    fn take(self: &Arc<Self>, id: WorkerId, searching: &mut bool) -> bool {
        // Relaxed: only this worker takes out.
        let home = &self.home[id as usize];
        let at_home = home.load(Ordering::Relaxed) > 0 && home.fetch_sub(1, Ordering::Relaxed) > 0;
        let number = if at_home { None } else { self.queue.pop().map(Node::unbox) };
        if number.is_none() && !at_home {
            return false;
        }
        if std::mem::take(searching) {
            self.perform_wake(self.idle.stop_searching(&At(self, id)));
        }
        match number {
            // The parent publishes its child, and blocks its kernel thread on it.
            Some(PARENT) => {
                self.publish(CHILD);
                self.child_done.park();
                self.done.unpark();
            }
            Some(CHILD) => self.child_done.unpark(),
            // What is at home blocks the kernel thread until somebody has run the child.
            None if self.home_waits_for_child => {
                self.child_done.park();
                self.done.unpark();
            }
            _ => self.done.unpark(),
        }
        true
    }

    fn stop(self: &Arc<Self>) {
        self.idle.stop(|| {});
        loop {
            let Some(handle) = self.threads.lock().pop() else { break };
            join(handle);
        }
    }
}

const NUMBER: usize = 1;
const PARENT: usize = 2;
const CHILD: usize = 3;

/// 2 threads: twice, publish and block until it is done | 1 worker with 1 processor.
#[test]
fn work_published_while_the_worker_goes_to_sleep_is_done() {
    Scenario {
        name: "idle: work published while the worker goes to sleep is done [I1]",
        threads: 2,
        operations: "2 (publish, block) | worker",
    }
    .check(Bound::usual(), || {
        let world = world(1);
        for _ in 0..2 {
            world.publish(NUMBER);
            world.done.park();
        }
        world.stop();
    });
}

/// 3 threads: main publishes | a parent that publishes a child and blocks its thread on it | the
/// other worker. 2 processors.
#[test]
fn a_worker_blocked_on_its_child_does_not_keep_the_child() {
    Scenario {
        name: "idle: a worker blocked on its child does not keep the child [I1]",
        threads: 3,
        operations: "publish, block | parent blocks on child | worker",
    }
    .check(Bound::usual(), || {
        let world = world(2);
        world.publish(PARENT);
        world.done.park();
        world.stop();
    });
}

/// 3 threads: 2 publishers | 1 worker. Neither's work is lost.
#[test]
fn two_publishers_need_not_both_wake() {
    Scenario {
        name: "idle: two publishers need not both wake [I1]",
        threads: 3,
        operations: "publish, block twice | publish | worker",
    }
    .check(Bound::usual(), || {
        let world = world(1);
        let other = {
            let world = Arc::clone(&world);
            spawn(move || world.publish(NUMBER))
        };
        world.publish(NUMBER);
        join(other);
        while !world.queue.is_empty() {
            thread::yield_now();
        }
        world.stop();
    });
}

/// 2 threads: start a worker, then send it something home and block | the worker goes to sleep.
#[test]
fn a_parked_worker_is_woken_for_its_inbox() {
    Scenario {
        name: "idle: a parked worker is woken for its inbox [I2]",
        threads: 2,
        operations: "publish, block; send home, block | worker",
    }
    .check(Bound::usual(), || {
        let world = world(1);
        world.publish(NUMBER);
        world.done.park();
        world.send_bound(0);
        world.done.park();
        world.stop();
    });
}

/// 3 threads, 1 processor: both workers get work at home and share the processor. [I3] [I4]
#[test]
fn a_queueing_worker_gets_the_processor_of_one_that_sleeps() {
    Scenario {
        name: "idle: a queueing worker gets the processor of one that sleeps [I3]",
        threads: 3,
        operations: "send home to both, block | worker | worker queues",
    }
    .check(Bound::usual(), || {
        let world = world(1);
        world.publish(NUMBER);
        world.done.park();
        // The second worker has a thread, but no processor: it queues.
        let second = {
            let world = Arc::clone(&world);
            let id = world.idle.take_slot().expect("a vacant seat");
            world.home[id as usize].fetch_add(1, Ordering::Relaxed);
            spawn(move || {
                let mut awake = world.idle.queue(id, None);
                while let WakeReason::Run { proc, mut searching } = awake {
                    while world.take(id, &mut searching) {}
                    awake = world.idle.sleep(id, Some(proc), searching, &At(&world, id));
                }
            })
        };
        world.done.park();
        world.send_bound(0);
        world.done.park();
        world.idle.stop(|| {});
        join(second);
        world.stop();
    });
}

/// 3 threads, 2 processors: publish, then send home what waits for it | the worker that rechecks |
/// the other. What a recheck saw is not forgotten when a wake-up for home overtakes it. That the wake-up
/// carries a token shows at three preemptions, not at two.
#[test]
fn a_recheck_overtaken_by_a_wake_up_is_not_forgotten() {
    Scenario {
        name: "idle: a recheck overtaken by a wake-up is not forgotten [I1]",
        threads: 3,
        operations: "publish, send home, block | worker rechecks | worker",
    }
    .check(Bound::Preemptions(3), || {
        let world = Arc::new(World { home_waits_for_child: true, ..new_world(2) });
        world.publish(NUMBER);
        world.done.park();
        world.publish(CHILD);
        world.send_bound(0);
        world.done.park();
        world.stop();
    });
}
