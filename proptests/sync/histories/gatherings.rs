//! WaitGroup and Barrier: who waits passes by the event that opens it, and is not passed over by that
//! because its time runs out. [U3] [U6]

use super::{BRIEFLY, How, hold, programs};
use crate::linear::{Oracle, Recorder};
use proptest::prelude::*;
use selvedge::sync::{Barrier, WaitError, WaitGroup};
use selvedge::yield_now;

/// Sets of events: those that wait, and those that may pass.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Waiters {
    waiting: u64,
    passing: u64,
}

impl Waiters {
    fn join(&mut self, own: usize) -> bool {
        let is_new = (self.waiting | self.passing) & (1 << own) == 0;
        self.waiting |= u64::from(is_new) << own;
        is_new
    }

    fn open(&mut self) {
        self.passing |= std::mem::take(&mut self.waiting);
    }

    fn pass(&mut self, own: usize) -> bool {
        let may = self.passing & (1 << own) != 0;
        self.passing &= !(1 << own);
        may
    }

    fn cancel_wait(&mut self, own: usize) -> bool {
        let waited = self.waiting & (1 << own) != 0;
        self.waiting &= !(1 << own);
        waited
    }
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Add(isize),
    Count,
    Wait(How),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Done,
    Counted(usize),
    Passed { leads: bool },
    TimedOut,
}

#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Group {
    count: usize,
    waiters: Waiters,
}

impl Oracle for Group {
    type Operation = Operation;
    type Answer = Answer;

    fn begun(mut self, own: usize, operation: Operation, _: Answer) -> Option<Self> {
        let waits = matches!(operation, Operation::Wait(_)) && self.count > 0;
        (waits && self.waiters.join(own)).then_some(self)
    }

    fn ended(mut self, own: usize, operation: Operation, answer: Answer) -> Option<Self> {
        let allowed = match (operation, answer) {
            (Operation::Add(delta), Answer::Done) => {
                self.count = self.count.checked_add_signed(delta)?;
                if self.count == 0 {
                    self.waiters.open();
                }
                true
            }
            (Operation::Count, Answer::Counted(count)) => self.count == count,
            (Operation::Wait(_), Answer::Passed { .. }) => {
                self.waiters.pass(own) || self.count == 0
            }
            (Operation::Wait(How::Briefly), Answer::TimedOut) => self.waiters.cancel_wait(own),
            _ => false,
        };
        allowed.then_some(self)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(isize),
    Done,
    Count,
    Wait(How),
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_isize..3).prop_map(Step::Add),
        3 => Just(Step::Done),
        1 => Just(Step::Count),
        2 => Just(Step::Wait(How::Wait)),
        2 => Just(Step::Wait(How::Briefly)),
        1 => Just(Step::Yield),
    ]
}

fn passed(result: Result<(), WaitError>) -> Answer {
    match result {
        Ok(()) => Answer::Passed { leads: false },
        Err(WaitError::TimedOut) => Answer::TimedOut,
        Err(error) => panic!("{error}"),
    }
}

/// Who owes nothing may wait for long, so all come to an end.
fn work(group: &WaitGroup, steps: Vec<Step>, log: &mut Recorder<Group>) {
    let mut owed = 0;
    for step in steps.into_iter().chain([Step::Wait(How::Wait)]) {
        match step {
            Step::Wait(How::Wait) if owed > 0 => {
                log.note(Operation::Add(-owed), || {
                    group.add(-owed);
                    Answer::Done
                });
                owed = 0;
            }
            Step::Done if owed == 0 => continue,
            _ => {}
        }
        match step {
            Step::Add(delta) => {
                owed += delta;
                log.note(Operation::Add(delta), || {
                    group.add(delta);
                    Answer::Done
                });
            }
            Step::Done => {
                owed -= 1;
                log.note(Operation::Add(-1), || {
                    group.done();
                    Answer::Done
                });
            }
            Step::Count => _ = log.note(Operation::Count, || Answer::Counted(group.count())),
            Step::Wait(how) => {
                _ = log.note(Operation::Wait(how), || match how {
                    How::Briefly => passed(group.wait_timeout(BRIEFLY)),
                    _ => {
                        group.wait();
                        Answer::Passed { leads: false }
                    }
                })
            }
            Step::Yield => yield_now(),
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Gate {
    needed: usize,
    waiters: Waiters,
}

impl Gate {
    fn opens(&self) -> bool {
        self.waiters.waiting.count_ones() as usize + 1 >= self.needed
    }
}

impl Oracle for Gate {
    type Operation = How;
    type Answer = Answer;

    fn begun(mut self, own: usize, _: How, answer: Answer) -> Option<Self> {
        let waits = answer != Answer::Passed { leads: true } && !self.opens();
        (waits && self.waiters.join(own)).then_some(self)
    }

    fn ended(mut self, own: usize, how: How, answer: Answer) -> Option<Self> {
        let allowed = match answer {
            Answer::Passed { leads: true } => {
                let opens = self.opens();
                self.waiters.open();
                opens
            }
            Answer::Passed { leads: false } => self.waiters.pass(own),
            Answer::TimedOut => how == How::Briefly && self.waiters.cancel_wait(own),
            _ => false,
        };
        allowed.then_some(self)
    }
}

fn meet(barrier: &Barrier, steps: Vec<Option<How>>, log: &mut Recorder<Gate>) {
    for step in steps {
        let Some(how) = step else {
            yield_now();
            continue;
        };
        log.note(how, || match how {
            How::Briefly => match barrier.wait_timeout(BRIEFLY) {
                Ok(passed) => Answer::Passed { leads: passed.is_leader() },
                Err(WaitError::TimedOut) => Answer::TimedOut,
                Err(error) => panic!("{error}"),
            },
            _ => Answer::Passed { leads: barrier.wait().is_leader() },
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_wait_group_answers_as_its_oracle_does(
        threads in any::<u8>(),
        programs in programs(step(), 7),
    ) {
        hold(Group::default(), threads, programs, WaitGroup::new, work, |group| {
            assert_eq!(group.count(), 0, "as much was done as was added");
        });
    }

    /// All may give up, so any number may be needed.
    #[test]
    fn a_barrier_that_is_given_up_answers_as_its_oracle_does(
        threads in any::<u8>(),
        needed in 1_usize..5,
        programs in programs(prop_oneof![3 => Just(Some(How::Briefly)), 1 => Just(None)], 7),
    ) {
        let oracle = Gate { needed, waiters: Waiters::default() };
        hold(oracle, threads, programs, move || Barrier::new(needed), meet, |_| {});
    }

    /// As many rounds for each, so all pass.
    #[test]
    fn a_barrier_of_all_answers_as_its_oracle_does(
        threads in any::<u8>(),
        rounds in 1_usize..6,
        yields in prop::collection::vec(0_usize..2, 2..5),
    ) {
        let needed = yields.len();
        let programs = yields.into_iter().map(|yields| {
            let round = [None, Some(How::Wait)];
            round[1 - yields..].repeat(rounds)
        });
        let oracle = Gate { needed, waiters: Waiters::default() };
        let barrier = move || Barrier::new(needed);
        hold(oracle, threads, programs.collect(), barrier, meet, |_| {});
    }
}
