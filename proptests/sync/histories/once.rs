//! Once and OnceLock: one runs at a time and none after one that completed; a panic poisons a Once, and
//! leaves a OnceLock as it was. [U4] [U5]

use super::{BRIEFLY, hold, programs};
use crate::linear::{Oracle, Recorder};
use proptest::prelude::*;
use selvedge::sync::{Once, OnceLock};
use selvedge::yield_now;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How a closure ends, after a yield or without.
#[derive(Clone, Copy, Debug)]
struct Run {
    yields: bool,
    panics: bool,
}

impl Run {
    fn run(self) {
        if self.yields {
            yield_now();
        }
        if self.panics {
            resume_unwind(Box::new("as told"));
        }
    }
}

fn run() -> impl Strategy<Value = Run> {
    (any::<bool>(), prop::bool::weighted(0.3)).prop_map(|(yields, panics)| Run { yields, panics })
}

#[derive(Clone, Copy, Debug)]
enum Operation {
    Call { run: Run, past_poison: bool },
    WaitBriefly,
    IsCompleted,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    /// It called the closure.
    Ran,
    Panicked,
    /// It is complete.
    Passed,
    /// It panicked, and had called no closure.
    Poisoned,
    TimedOut,
    Is(bool),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    Incomplete,
    Running(usize),
    Poisoned,
    Complete,
}

impl Oracle for State {
    type Operation = Operation;
    type Answer = Answer;

    fn begun(self, own: usize, operation: Operation, answer: Answer) -> Option<Self> {
        let Operation::Call { past_poison, .. } = operation else { return None };
        let runs = matches!(answer, Answer::Ran | Answer::Panicked);
        let may = self == State::Incomplete || self == State::Poisoned && past_poison;
        (runs && may).then_some(State::Running(own))
    }

    fn ended(self, own: usize, operation: Operation, answer: Answer) -> Option<Self> {
        let is_running = self == State::Running(own);
        let heeds_poison = !matches!(operation, Operation::Call { past_poison: true, .. });
        match answer {
            Answer::Ran if is_running => Some(State::Complete),
            Answer::Panicked if is_running => Some(State::Poisoned),
            Answer::Passed if self == State::Complete => Some(self),
            Answer::Poisoned if self == State::Poisoned && heeds_poison => Some(self),
            Answer::TimedOut if matches!(self, State::Incomplete | State::Running(_)) => Some(self),
            Answer::Is(complete) if complete == (self == State::Complete) => Some(self),
            _ => None,
        }
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (run(), any::<bool>())
            .prop_map(|(run, past_poison)| Operation::Call { run, past_poison }),
        2 => Just(Operation::WaitBriefly),
        1 => Just(Operation::IsCompleted),
    ]
}

fn call(once: &Once, run: Run, past_poison: bool) -> Answer {
    let mut called = false;
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut body = || {
            called = true;
            run.run();
        };
        match past_poison {
            true => once.call_once_force(|_| body()),
            false => once.call_once(body),
        }
    }));
    match (ended, called) {
        (Ok(()), true) => Answer::Ran,
        (Ok(()), false) => Answer::Passed,
        (Err(_), true) => Answer::Panicked,
        (Err(_), false) => Answer::Poisoned,
    }
}

fn call_and_wait(once: &Once, operations: Vec<Operation>, log: &mut Recorder<State>) {
    for operation in operations {
        log.note(operation, || match operation {
            Operation::Call { run, past_poison } => call(once, run, past_poison),
            Operation::WaitBriefly => match catch_unwind(|| once.wait_timeout(BRIEFLY)) {
                Ok(Ok(())) => Answer::Passed,
                Ok(Err(_)) => Answer::TimedOut,
                Err(_) => Answer::Poisoned,
            },
            Operation::IsCompleted => Answer::Is(once.is_completed()),
        });
    }
}

#[derive(Clone, Copy, Debug)]
enum Ask {
    Get,
    Set(u8),
    Make(u8, Run),
    Wait,
    WaitBriefly,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Reply {
    Value(u8),
    None,
    Set,
    Refused(u8),
    Panicked,
    TimedOut,
}

/// The value.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Slot(Option<u8>);

impl Oracle for Slot {
    type Operation = Ask;
    type Answer = Reply;

    fn ended(mut self, _own: usize, ask: Ask, reply: Reply) -> Option<Self> {
        let before = self.0;
        let expected = match ask {
            Ask::Get => before.map_or(Reply::None, Reply::Value),
            Ask::Set(value) if before.is_some() => Reply::Refused(value),
            Ask::Set(value) => {
                self.0 = Some(value);
                Reply::Set
            }
            Ask::Make(_, Run { panics: true, .. }) if before.is_none() => Reply::Panicked,
            Ask::Make(value, _) => Reply::Value(*self.0.get_or_insert(value)),
            Ask::Wait => Reply::Value(before?),
            Ask::WaitBriefly => before.map_or(Reply::TimedOut, Reply::Value),
        };
        (expected == reply).then_some(self)
    }
}

fn ask() -> impl Strategy<Value = Ask> {
    prop_oneof![
        2 => Just(Ask::Get),
        2 => any::<u8>().prop_map(Ask::Set),
        4 => (any::<u8>(), run()).prop_map(|(value, run)| Ask::Make(value, run)),
        1 => Just(Ask::Wait),
        2 => Just(Ask::WaitBriefly),
    ]
}

fn set_and_get(lock: &OnceLock<u8>, asks: Vec<Ask>, log: &mut Recorder<Slot>) {
    for ask in asks {
        log.note(ask, || match ask {
            Ask::Get => lock.get().map_or(Reply::None, |value| Reply::Value(*value)),
            Ask::Set(value) => lock.set(value).map_or_else(Reply::Refused, |()| Reply::Set),
            Ask::Make(value, run) => {
                let make = || {
                    run.run();
                    value
                };
                let made = catch_unwind(AssertUnwindSafe(|| *lock.get_or_init(make)));
                made.map_or(Reply::Panicked, Reply::Value)
            }
            Ask::Wait => Reply::Value(*lock.wait()),
            Ask::WaitBriefly => {
                lock.wait_timeout(BRIEFLY).map_or(Reply::TimedOut, |value| Reply::Value(*value))
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_once_answers_as_its_oracle_does(
        threads in any::<u8>(),
        programs in programs(operation(), 6),
    ) {
        hold(State::Incomplete, threads, programs, Once::new, call_and_wait, |_| {});
    }

    #[test]
    fn a_once_lock_answers_as_its_oracle_does(
        threads in any::<u8>(),
        mut programs in programs(ask(), 6),
        last in any::<u8>(),
    ) {
        // The first waits for nobody, and sees to it that there is a value.
        programs[0].retain(|ask| !matches!(ask, Ask::Wait));
        programs[0].push(Ask::Set(last));
        hold(Slot(None), threads, programs, OnceLock::new, set_and_get, |lock| {
            assert!(lock.get().is_some());
        });
    }
}
