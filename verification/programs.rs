//! Random programs of goroutines, for the checkers to run: spawn, join, yield, park, unpark, block.
//!
//! A program is made of one sequence of operations, which is a run of it; each goroutine gets its own
//! of them, in that order. What an operation waits for (posts given, a child's end) comes earlier in
//! the sequence and is never taken back, so whichever schedule is taken, the first operation of the
//! sequence that is not done yet can be done: no program can deadlock, and one that does is a bug.

use selvedge::internals::platform::cell::UnsafeCell;
use selvedge::internals::platform::{Arc, Mutex, Parker, tls};
use selvedge::{Goroutine, JoinHandle, blocking, current, go, park, yield_now};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone, Copy, Debug)]
enum Op {
    Yield,
    Spawn(usize),
    /// Of an own child.
    Join(usize),
    /// A post for another goroutine, or for itself, with an unpark.
    Post(usize),
    /// Parks until so many posts have come.
    Await(u32),
    /// A post from inside a blocking section.
    BlockingPost(usize),
    /// Blocks the kernel thread, in a section, until so many posts have come.
    BlockingAwait(u32),
}

/// How large, and whether kernel threads are blocked: then somebody must retake their processors.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub goroutines: usize,
    pub operations: usize,
    pub blocks: bool,
}

#[derive(Debug)]
pub struct Program(Vec<Vec<Op>>);

/// What is known of a goroutine while a program is made.
#[derive(Default)]
struct Draft {
    posts: u32,
    awaited: u32,
    children: Vec<usize>,
    joined: bool,
}

impl Program {
    /// The program of number `seed`: always the same.
    pub fn of(seed: u64, size: Size) -> Program {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03);
        let (mut program, mut drafts) = (vec![Vec::new()], vec![Draft::default()]);
        while program.iter().map(Vec::len).sum::<usize>() < size.operations {
            let who = dice.below(drafts.len());
            if drafts[who].joined {
                continue; // it has ended by now
            }
            if let Some(op) = draw(&mut dice, who, size, &mut drafts) {
                program[who].push(op);
                program.resize_with(drafts.len(), Vec::new);
            }
        }
        Program(program)
    }

    pub fn goroutines(&self) -> usize {
        self.0.len()
    }

    /// The numbers of the first `count` programs in which one goroutine waits for others.
    pub fn numbers(count: usize, size: Size) -> Vec<u64> {
        (0..).filter(|&seed| Program::of(seed, size).someone_waits()).take(count).collect()
    }

    /// Whether one goroutine awaits posts, some of which are another's.
    fn someone_waits(&self) -> bool {
        let waits = |who: usize| self.0[who].iter().any(|op| matches!(op, Op::Await(_)));
        let posts = |op: &Op, to: usize| matches!(op, Op::Post(target) if *target == to);
        let foreign = |who: usize| {
            let others = (0..self.goroutines()).filter(|&other| other != who);
            others.flat_map(|other| &self.0[other]).any(|op| posts(op, who))
        };
        (0..self.goroutines()).any(|who| waits(who) && foreign(who))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, operations) in self.0.iter().enumerate() {
            write!(f, "{}{number}:", if number > 0 { "; " } else { "" })?;
            operations.iter().try_for_each(|op| write!(f, " {op:?}"))?;
        }
        Ok(())
    }
}

fn draw(dice: &mut Dice, who: usize, size: Size, drafts: &mut Vec<Draft>) -> Option<Op> {
    let kinds = if size.blocks { 7 } else { 5 };
    match dice.below(kinds) {
        0 => Some(Op::Yield),
        1 if drafts.len() < size.goroutines => {
            let child = drafts.len();
            drafts.push(Draft::default());
            drafts[who].children.push(child);
            Some(Op::Spawn(child))
        }
        2 => {
            let child = drafts[who].children.pop()?;
            drafts[child].joined = true;
            Some(Op::Join(child))
        }
        kind @ (3 | 5) => {
            let target = dice.below(drafts.len());
            drafts[target].posts += 1;
            Some(if kind == 3 { Op::Post(target) } else { Op::BlockingPost(target) })
        }
        kind @ (4 | 6) => {
            let Draft { posts, awaited, .. } = &mut drafts[who];
            if posts == awaited {
                return None;
            }
            *awaited += 1 + dice.below((*posts - *awaited) as usize) as u32;
            Some(if kind == 4 { Op::Await(*awaited) } else { Op::BlockingAwait(*awaited) })
        }
        _ => None,
    }
}

/// A splitmix generator.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((word ^ word >> 31) % limit as u64) as usize
    }
}

/// A program that runs.
pub struct Run {
    program: Arc<Program>,
    /// Whether each goroutine stays on the worker on which it began. [A1]
    anchored: bool,
    letters: Vec<Letters>,
    /// No part of the model: how often each goroutine ran to its end.
    ended: Vec<AtomicUsize>,
}

/// The posts for one goroutine.
struct Letters {
    box_: Mutex<(u32, Option<Goroutine>)>,
    gate: Parker,
}

impl Run {
    pub fn new(program: &Arc<Program>, anchored: bool) -> Arc<Run> {
        let count = program.goroutines();
        let letters = || Letters { box_: Mutex::new((0, None)), gate: Parker::new() };
        Arc::new(Run {
            program: Arc::clone(program),
            anchored,
            letters: (0..count).map(|_| letters()).collect(),
            ended: (0..count).map(|_| AtomicUsize::new(0)).collect(),
        })
    }

    /// The life of goroutine `me`; the first one's is to be run by the caller.
    pub fn live(self: &Arc<Self>, me: usize) -> usize {
        let home = tls::worker();
        let stack = Own(UnsafeCell::new(me));
        self.letters[me].box_.lock().1 = Some(current());
        let mut children: Vec<(usize, JoinHandle<usize>)> = Vec::new();
        for &op in &self.program.0[me] {
            match op {
                Op::Yield => yield_now(),
                Op::Spawn(child) => {
                    let run = Arc::clone(self);
                    children.push((child, go(move || run.live(child))));
                }
                Op::Join(child) => {
                    let at = children.iter().position(|(which, _)| *which == child);
                    let (_, handle) = children.swap_remove(at.expect("an own child"));
                    assert_eq!(handle.join().expect("no panic"), child, "its own result");
                }
                Op::Post(target) => self.post(target),
                Op::Await(posts) => {
                    while self.letters[me].box_.lock().0 < posts {
                        park();
                    }
                }
                Op::BlockingPost(target) => blocking(|| self.post(target)),
                Op::BlockingAwait(posts) => blocking(|| {
                    while self.letters[me].box_.lock().0 < posts {
                        self.letters[me].gate.park();
                    }
                }),
            }
            assert!(!self.anchored || home == tls::worker(), "A1: it goes on at home, {op:?}");
            assert_eq!(stack.touch(), me, "S1: its stack is its own, {op:?}");
        }
        self.ended[me].fetch_add(1, Ordering::Relaxed);
        me
    }

    fn post(&self, target: usize) {
        let letters = &self.letters[target];
        let addressee = {
            let mut letter_box = letters.box_.lock();
            letter_box.0 += 1;
            letter_box.1.clone()
        };
        letters.gate.unpark();
        if let Some(goroutine) = addressee {
            goroutine.unpark();
        }
    }

    /// Once the runtime has ended.
    #[track_caller]
    pub fn assert_each_ran_once(&self) {
        let times: Vec<_> = self.ended.iter().map(|n| n.load(Ordering::Relaxed)).collect();
        assert!(
            times.iter().all(|n| *n == 1),
            "each must run once, ran {times:?}: {}",
            self.program
        );
    }
}

/// A number on a goroutine's stack: who touches it at the same time as another is caught by loom.
struct Own(UnsafeCell<usize>);

impl Own {
    fn touch(&self) -> usize {
        // SAFETY: it never leaves the goroutine; loom checks just that.
        self.0.with_mut(|cell| unsafe { *cell })
    }
}
