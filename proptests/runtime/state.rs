//! The state word against a sequential oracle, under random sequences of what the protocol allows.
//! [S2] Of all unparks of one park, exactly one makes it runnable. [S3] A permit is consumed once.
//! [S6] Who unparks by an id unparks the goroutine of that id, or nobody.

use crate::common::beside;
use proptest::prelude::*;
use selvedge::internals::sched::state::{BeginPark, StateWord, UnparkAction};

/// What the scheduler may do, where the protocol allows it; skipped where it does not.
#[derive(Clone, Copy, Debug)]
enum Op {
    Unpark,
    /// By one who knows it by its id; whether that is its own, or the one before.
    UnparkIf(bool),
    TakePermit,
    Park,
    ParkInPlace,
    /// The run queue, or the thread that sleeps beneath it, lets it go on.
    GoOn,
    Recycle,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Parked,
    /// Its permit is taken when it goes on.
    Queued,
    /// Its permit was delivered.
    Delivered,
    InPlace,
}

struct Oracle {
    state: State,
    permit: bool,
    id: u64,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Unpark),
        3 => Just(Op::UnparkIf(true)),
        1 => Just(Op::UnparkIf(false)),
        3 => Just(Op::TakePermit),
        4 => Just(Op::Park),
        3 => Just(Op::ParkInPlace),
        5 => Just(Op::GoOn),
        1 => Just(Op::Recycle),
    ]
}

impl Oracle {
    fn unpark(&mut self) -> UnparkAction {
        let first = !std::mem::replace(&mut self.permit, true);
        match self.state {
            State::Parked if first => {
                self.state = State::Queued;
                UnparkAction::Enqueue
            }
            State::InPlace if first => UnparkAction::WakeInPlace,
            _ => UnparkAction::Nothing,
        }
    }

    fn unpark_if(&mut self) -> UnparkAction {
        if self.state == State::Parked {
            self.state = State::Delivered;
            return UnparkAction::Enqueue;
        }
        self.unpark()
    }

    fn park(&mut self, asleep: State) -> BeginPark {
        if self.permit {
            self.state = State::Queued;
            return BeginPark::Readied;
        }
        self.state = asleep;
        BeginPark::Parked
    }

    fn step(&mut self, word: &StateWord, op: Op) -> Result<(), TestCaseError> {
        match (op, self.state) {
            (Op::Unpark, _) => prop_assert_eq!(word.unpark(), self.unpark()),
            (Op::UnparkIf(true), _) => prop_assert_eq!(word.unpark_if(self.id), self.unpark_if()),
            (Op::UnparkIf(false), _) => {
                prop_assert_eq!(
                    word.unpark_if(self.id.wrapping_sub(1)),
                    UnparkAction::Nothing,
                    "S6"
                );
            }
            (Op::TakePermit, State::Running) => {
                prop_assert_eq!(word.take_permit(), std::mem::take(&mut self.permit));
            }
            (Op::Park, State::Running) => {
                prop_assert_eq!(word.begin_park(), self.park(State::Parked));
            }
            (Op::ParkInPlace, State::Running) => {
                prop_assert_eq!(word.begin_park_in_place(), self.park(State::InPlace));
            }
            (Op::GoOn, State::Queued | State::InPlace) if self.permit => {
                word.end_park();
                self.permit = false;
                self.state = State::Running;
            }
            (Op::GoOn, State::Delivered) => {
                word.end_park();
                self.state = State::Running;
            }
            (Op::Recycle, State::Running) => {
                word.reset(self.id + 1);
                *self = Oracle { state: State::Running, permit: false, id: self.id + 1 };
            }
            _ => {}
        }
        Ok(())
    }

    fn compare(&self, word: &StateWord) -> Result<(), TestCaseError> {
        prop_assert_eq!(word.has_permit(), self.permit);
        prop_assert_eq!(word.is_parked(), self.state == State::Parked);

        let text = format!("{word:?}");
        prop_assert!(text.contains(&format!("permit: {}", self.permit)), "{}", text);
        prop_assert!(!text.contains("IMPOSSIBLE"), "{}", text);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn the_word_does_as_the_oracle_says(ops in prop::collection::vec(op(), 0..80)) {
        let word = StateWord::new();
        let mut oracle = Oracle { state: State::Running, permit: false, id: 0 };
        for op in ops {
            oracle.step(&word, op)?;
            oracle.compare(&word)?;
        }
    }
}

#[test]
fn of_many_unparks_at_once_exactly_one_enqueues() {
    beside(|| {
        for round in 0..500 {
            let word = StateWord::new();
            assert_eq!(word.begin_park(), BeginPark::Parked);
            let enqueued: usize = std::thread::scope(|s| {
                let unpark = || usize::from(word.unpark() == UnparkAction::Enqueue);
                let threads: Vec<_> = (0..3).map(|_| s.spawn(unpark)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(enqueued, 1, "round {round}");
            word.end_park();
            assert!(!word.take_permit(), "the permit was consumed by the park");
        }
    });
}
