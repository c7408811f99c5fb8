//! Random programs against an oracle: each goroutine runs exactly once, each join gets its value or
//! its panic, as many finish as were spawned, and an anchored one sees one kernel thread.
//!
//! A program is a tree. A node does its steps, then returns a value made from what it joined, or
//! panics. The oracle is a sequential interpreter of the same tree.

use crate::common::{Placement, beside, eventually, finish, thread_id};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};
use selvedge::{Goroutine, JoinError, Runtime};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};

#[derive(Clone, Debug)]
enum Step {
    Yield(u8),
    /// A goroutine, joined at once, later, or never.
    Go(Arc<Node>, Fate),
    /// Parked, until a goroutine unparks it.
    ParkForGoroutine,
    /// Parked, until a plain thread unparks it.
    ParkForThread,
    /// A permit given before the park.
    UnparkSelf,
    Blocking(u8),
    /// Children that borrow; those marked are joined within the scope.
    Scope(Vec<(Arc<Node>, bool)>),
    Resize(u8),
    Pinned(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    JoinNow,
    JoinLater,
    Detach,
}

#[derive(Clone, Debug)]
struct Node {
    steps: Vec<Step>,
    panics: bool,
    /// Carries a closure and a result too large for the cell.
    big: bool,
}

/// What every goroutine of a run can see.
struct World {
    runtime: Runtime,
    anchored: bool,
    /// How often each node ran, by the path of its spawn.
    runs: AtomicU64,
    ended: AtomicU64,
    moved: AtomicBool,
    /// To the plain thread that unparks.
    unparker: Sender<(Goroutine, Arc<AtomicBool>)>,
}

type Outcome = Result<u64, u64>;

const SCOPE_PANIC: u64 = 0x5c09e;

fn mix(sum: u64, with: Outcome) -> u64 {
    let with = with.unwrap_or_else(|panic| !panic);
    (sum ^ with).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

/// What a node alone amounts to: distinct for each place in the tree.
fn seed(parent: u64, step: usize, child: usize) -> u64 {
    mix(parent, Ok((step as u64) << 32 | child as u64 | 1 << 63))
}

// ---- the oracle -------------------------------------------------------------------------------------

#[derive(Default)]
struct Expected {
    /// The sum of the seeds of all nodes that run: a node left out, or run twice, changes it.
    seeds: u64,
    count: u64,
}

fn expect(node: &Node, own: u64, expected: &mut Expected) -> Outcome {
    expected.seeds = expected.seeds.wrapping_add(own);
    expected.count += 1;
    let mut sum = own;
    let mut later = Vec::new();
    for (at, step) in node.steps.iter().enumerate() {
        match step {
            Step::Go(child, fate) => {
                let outcome = expect(child, seed(own, at, 0), expected);
                match fate {
                    Fate::JoinNow => sum = mix(sum, outcome),
                    Fate::JoinLater => later.push(outcome),
                    Fate::Detach => {}
                }
            }
            Step::Scope(children) => {
                let mut unclaimed = false;
                for (n, (child, joined)) in children.iter().enumerate() {
                    let outcome = expect(child, seed(own, at, n), expected);
                    unclaimed |= !joined && outcome.is_err();
                    if *joined {
                        sum = mix(sum, outcome);
                    }
                }
                if unclaimed {
                    return Err(SCOPE_PANIC);
                }
            }
            _ => {}
        }
    }
    sum = later.into_iter().fold(sum, mix);
    if node.panics { Err(own) } else { Ok(sum) }
}

// ---- the run ----------------------------------------------------------------------------------------

fn outcome(joined: Result<u64, JoinError>) -> Outcome {
    joined.map_err(|error| {
        let payload = error.into_panic().expect("no goroutine is abandoned");
        payload.downcast_ref::<u64>().copied().unwrap_or(SCOPE_PANIC)
    })
}

fn live(node: &Node, own: u64, world: &Arc<World>) -> u64 {
    let home = thread_id();
    world.runs.fetch_add(own, SeqCst);
    let _end = CountEnd(world);
    let mut sum = own;
    let mut later = Vec::new();
    for (at, step) in node.steps.iter().enumerate() {
        match step {
            Step::Go(child, fate) => {
                let handle = spawn(child, seed(own, at, 0), world);
                match fate {
                    Fate::JoinNow => sum = mix(sum, outcome(handle.join())),
                    Fate::JoinLater => later.push(handle),
                    Fate::Detach => drop(handle),
                }
            }
            Step::Scope(children) => sum = scoped(children, own, at, sum, world),
            step => simple(step, world),
        }
        if world.anchored && thread_id() != home {
            world.moved.store(true, SeqCst);
        }
    }
    sum = later.into_iter().fold(sum, |sum, handle| mix(sum, outcome(handle.join())));
    if world.anchored && thread_id() != home {
        world.moved.store(true, SeqCst);
    }
    if node.panics {
        resume_unwind(Box::new(own));
    }
    sum
}

struct CountEnd<'a>(&'a World);

impl Drop for CountEnd<'_> {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, SeqCst);
    }
}

fn spawn(node: &Arc<Node>, own: u64, world: &Arc<World>) -> selvedge::JoinHandle<u64> {
    let (node, world) = (Arc::clone(node), Arc::clone(world));
    if !node.big {
        return selvedge::go(move || live(&node, own, &world));
    }
    let ballast = [own; 64];
    let handle = selvedge::go(move || {
        let value = live(&node, std::hint::black_box(ballast)[63], &world);
        [value; 64]
    });
    selvedge::go(move || match handle.join() {
        Ok(values) => values[17],
        Err(error) => resume_unwind(error.into_panic().expect("a panic")),
    })
}

fn scoped(
    children: &[(Arc<Node>, bool)],
    own: u64,
    at: usize,
    sum: u64,
    world: &Arc<World>,
) -> u64 {
    selvedge::scope(|s| {
        let mut handles = Vec::new();
        for (n, (child, joined)) in children.iter().enumerate() {
            let handle = s.go(move || live(child, seed(own, at, n), world));
            if *joined {
                handles.push(handle);
            }
        }
        handles.into_iter().fold(sum, |sum, handle| mix(sum, outcome(handle.join())))
    })
}

fn simple(step: &Step, world: &Arc<World>) {
    match step {
        Step::Yield(times) => (0..*times).for_each(|_| selvedge::yield_now()),
        Step::ParkForGoroutine => {
            let flag = Arc::new(AtomicBool::new(false));
            let (me, set) = (selvedge::current(), Arc::clone(&flag));
            drop(selvedge::go(move || {
                set.store(true, SeqCst);
                me.unpark();
            }));
            wait_for(&flag);
        }
        Step::ParkForThread => {
            let flag = Arc::new(AtomicBool::new(false));
            world.unparker.send((selvedge::current(), Arc::clone(&flag))).unwrap();
            wait_for(&flag);
        }
        Step::UnparkSelf => {
            selvedge::current().unpark();
            selvedge::park();
        }
        Step::Blocking(n) => {
            let n = u64::from(*n);
            let got = selvedge::blocking(|| {
                if n.is_multiple_of(16) {
                    std::thread::sleep(std::time::Duration::from_micros(20 * n));
                }
                n + 1
            });
            assert_eq!(got, n + 1);
        }
        Step::Resize(to) => world.runtime.set_processors(usize::from(*to)).unwrap(),
        Step::Pinned(times) => selvedge::pinned(|| {
            let here = thread_id();
            (0..*times).for_each(|_| selvedge::yield_now());
            assert_eq!(thread_id(), here, "pinned");
        }),
        Step::Go(..) | Step::Scope(_) => unreachable!("not simple"),
    }
}

fn wait_for(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        selvedge::park();
    }
}

// ---- the check --------------------------------------------------------------------------------------

fn node() -> impl Strategy<Value = Arc<Node>> {
    let simple = || {
        prop_oneof![
            4 => (1..6_u8).prop_map(Step::Yield),
            2 => Just(Step::ParkForGoroutine),
            2 => Just(Step::ParkForThread),
            1 => Just(Step::UnparkSelf),
            2 => any::<u8>().prop_map(Step::Blocking),
            1 => prop_oneof![Just(1), Just(2), Just(4), Just(8)].prop_map(Step::Resize),
            1 => (1..4_u8).prop_map(Step::Pinned),
        ]
    };
    let build = |(steps, panics, big)| Arc::new(Node { steps, panics, big });
    let traits = || (prop::bool::weighted(0.15), prop::bool::weighted(0.2));
    let leaf = (prop::collection::vec(simple(), 0..4), traits());
    let leaf = leaf.prop_map(move |(steps, (panics, big))| build((steps, panics, big)));
    leaf.prop_recursive(4, 80, 6, move |inner| {
        let fate = prop_oneof![Just(Fate::JoinNow), Just(Fate::JoinLater), Just(Fate::Detach)];
        let child = (inner.clone(), any::<bool>());
        let step = prop_oneof![
            3 => simple(),
            4 => (inner, fate).prop_map(|(node, fate)| Step::Go(node, fate)),
            1 => prop::collection::vec(child, 0..4).prop_map(Step::Scope),
        ];
        (prop::collection::vec(step, 0..6), traits())
            .prop_map(move |(steps, (panics, big))| build((steps, panics, big)))
    })
}

fn run_program(placement: Placement, processors: usize, root: &Arc<Node>) -> TestCaseResult {
    let mut expected = Expected::default();
    let right = expect(root, 1, &mut expected);
    let (unparker, to_unpark) = channel::<(Goroutine, Arc<AtomicBool>)>();
    let thread = std::thread::spawn(move || {
        for (goroutine, flag) in to_unpark {
            flag.store(true, SeqCst);
            goroutine.unpark();
        }
    });
    let world = Arc::new(World {
        runtime: placement.runtime(processors),
        anchored: placement.is_anchored(),
        runs: AtomicU64::new(0),
        ended: AtomicU64::new(0),
        moved: AtomicBool::new(false),
        unparker,
    });
    let (program, seen) = (Arc::clone(root), Arc::clone(&world));
    let got = outcome(world.runtime.go(move || live(&program, 1, &seen)).join());
    prop_assert_eq!(got, right, "the root's result");
    eventually("every node ends", || world.ended.load(SeqCst) >= expected.count);
    eventually("the goroutines let go of the world", || Arc::strong_count(&world) == 1);
    let world = Arc::into_inner(world).expect("the last one");
    finish(world.runtime);
    prop_assert_eq!(world.ended.into_inner(), expected.count, "how many ran");
    prop_assert_eq!(world.runs.into_inner(), expected.seeds, "which ran");
    prop_assert!(!world.moved.into_inner(), "[A1] an anchored goroutine changed its kernel thread");
    drop(world.unparker);
    thread.join().unwrap();
    Ok(())
}

fn programs(placement: Placement, cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..Default::default() };
    let processors = prop_oneof![Just(1_usize), Just(2), Just(4), Just(8)];
    let program = (processors, node());
    let goroutines = AtomicU64::new(0);
    TestRunner::new(config)
        .run(&program, |(processors, root)| {
            let mut expected = Expected::default();
            let _ = expect(&root, 1, &mut expected);
            goroutines.fetch_add(expected.count, SeqCst);
            run_program(placement, processors, &root)
        })
        .unwrap_or_else(|error| panic!("{error}"));
    // The programs are not all trivial ones.
    let each = goroutines.into_inner() / u64::from(cases);
    assert!(each >= 4, "{each} goroutines a program");
}

#[test]
fn anchored_programs_do_as_the_oracle_says() {
    beside(|| programs(Placement::Anchored, 1500));
}

#[test]
fn migrating_programs_do_as_the_oracle_says() {
    beside(|| programs(Placement::Migrating, 1500));
}

#[test]
fn isolated_programs_do_as_the_oracle_says() {
    beside(|| programs(Placement::Isolated, 1500));
}
