//! RwLock and Semaphore: who comes when there is no room, or behind others, queues; the first of the
//! queue goes in when there is room; what is only tried, is had if nobody queues. [R1]

use super::{BRIEFLY, How, hold, how, programs};
use crate::linear::{Oracle, Recorder};
use proptest::prelude::*;
use selvedge::sync::{
    RwLock, RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit, TryLockError, WaitError,
};
use selvedge::yield_now;
use std::fmt::Debug;
use std::hash::Hash;

/// What there is to have.
trait Room: Clone + Eq + Hash + 'static {
    type Need: Copy + Debug + Eq + Hash + Send;
    type Change: Copy + Debug + Send;

    /// Goes in if there is room; what is seen there.
    fn admit(&mut self, need: Self::Need) -> Option<u8>;
    fn change(&mut self, change: Self::Change);
}

#[derive(Clone, Copy, Debug)]
enum Operation<N, C> {
    Ask(How, N),
    Change(C),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Had(u8),
    WouldBlock,
    TimedOut,
    Changed,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Turns<R> {
    room: R,
    queue: Vec<usize>,
}

impl<R: Room> Turns<R> {
    fn is_open(&self, need: R::Need) -> bool {
        self.queue.is_empty() && self.room.clone().admit(need).is_some()
    }
}

impl<R: Room> Oracle for Turns<R> {
    type Operation = Operation<R::Need, R::Change>;
    type Answer = Answer;

    fn begun(mut self, own: usize, operation: Self::Operation, _: Answer) -> Option<Self> {
        let Operation::Ask(How::Wait | How::Briefly, need) = operation else { return None };
        if self.queue.contains(&own) || self.is_open(need) {
            return None;
        }
        self.queue.push(own);
        Some(self)
    }

    fn ended(mut self, own: usize, operation: Self::Operation, answer: Answer) -> Option<Self> {
        let place = self.queue.iter().position(|queued| *queued == own);
        let allowed = match (operation, answer) {
            (Operation::Ask(_, need), Answer::Had(seen)) => {
                let is_first = self.queue.first().is_none_or(|first| *first == own);
                is_first && self.room.admit(need) == Some(seen)
            }
            (Operation::Ask(How::Try, need), Answer::WouldBlock) => !self.is_open(need),
            (Operation::Ask(How::Briefly, _), Answer::TimedOut) => place.is_some(),
            (Operation::Change(change), Answer::Changed) => {
                self.room.change(change);
                true
            }
            _ => false,
        };
        place.map(|at| self.queue.remove(at));
        allowed.then_some(self)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step<N> {
    Ask(How, N),
    /// Lets go of a part of what one has, or makes some.
    Shift,
    LetGo,
    Yield,
}

fn step<N: Copy + Debug>(need: impl Strategy<Value = N>) -> impl Strategy<Value = Step<N>> {
    prop_oneof![
        6 => (how(), need).prop_map(|(how, need)| Step::Ask(how, need)),
        1 => Just(Step::Shift),
        1 => Just(Step::LetGo),
        2 => Just(Step::Yield),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Access {
    Read,
    /// Writes this, once it is in; it sees what was there.
    Write(u8),
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Shelf {
    readers: usize,
    has_writer: bool,
    value: u8,
}

#[derive(Clone, Copy, Debug)]
enum Leave {
    Reader,
    Writer,
    Downgrade,
}

impl Room for Shelf {
    type Need = Access;
    type Change = Leave;

    fn admit(&mut self, need: Access) -> Option<u8> {
        match need {
            Access::Read if !self.has_writer => {
                self.readers += 1;
                Some(self.value)
            }
            Access::Write(value) if !self.has_writer && self.readers == 0 => {
                self.has_writer = true;
                Some(std::mem::replace(&mut self.value, value))
            }
            _ => None,
        }
    }

    fn change(&mut self, change: Leave) {
        match change {
            Leave::Reader => self.readers -= 1,
            Leave::Writer => self.has_writer = false,
            Leave::Downgrade => (self.has_writer, self.readers) = (false, 1),
        }
    }
}

enum Guard<'a> {
    Read(RwLockReadGuard<'a, u8>),
    Write(RwLockWriteGuard<'a, u8>),
}

/// Asks for it; the value that it saw, and with it the guard.
fn enter(lock: &RwLock<u8>, how: How, need: Access) -> (Answer, Option<Guard<'_>>) {
    let guard = match (need, how) {
        (Access::Read, How::Wait) => Guard::Read(lock.read().unwrap()),
        (Access::Read, How::Try) => match lock.try_read() {
            Ok(guard) => Guard::Read(guard),
            Err(TryLockError::WouldBlock) => return (Answer::WouldBlock, None),
            Err(error) => panic!("{error}"),
        },
        (Access::Read, How::Briefly) => match lock.read_timeout(BRIEFLY) {
            Ok(guard) => Guard::Read(guard),
            Err(_) => return (Answer::TimedOut, None),
        },
        (Access::Write(_), How::Wait) => Guard::Write(lock.write().unwrap()),
        (Access::Write(_), How::Try) => match lock.try_write() {
            Ok(guard) => Guard::Write(guard),
            Err(TryLockError::WouldBlock) => return (Answer::WouldBlock, None),
            Err(error) => panic!("{error}"),
        },
        (Access::Write(_), How::Briefly) => match lock.write_timeout(BRIEFLY) {
            Ok(guard) => Guard::Write(guard),
            Err(_) => return (Answer::TimedOut, None),
        },
    };
    match (guard, need) {
        (Guard::Write(mut guard), Access::Write(value)) => {
            (Answer::Had(std::mem::replace(&mut *guard, value)), Some(Guard::Write(guard)))
        }
        (Guard::Read(guard), _) => (Answer::Had(*guard), Some(Guard::Read(guard))),
        (Guard::Write(_), Access::Read) => unreachable!("a reader asked"),
    }
}

fn read_and_write(lock: &RwLock<u8>, steps: Vec<Step<Access>>, log: &mut Recorder<Turns<Shelf>>) {
    let mut held: Option<Guard<'_>> = None;
    for step in steps.into_iter().chain([Step::LetGo]) {
        let leaves = matches!(step, Step::Ask(..) | Step::LetGo);
        match (held.take(), step) {
            (Some(Guard::Write(guard)), Step::Shift) => {
                log.note(Operation::Change(Leave::Downgrade), || {
                    held = Some(Guard::Read(RwLockWriteGuard::downgrade(guard)));
                    Answer::Changed
                });
            }
            (Some(guard), _) if leaves => {
                let leave = match guard {
                    Guard::Read(_) => Leave::Reader,
                    Guard::Write(_) => Leave::Writer,
                };
                log.note(Operation::Change(leave), || {
                    drop(guard);
                    Answer::Changed
                });
            }
            (guard, _) => held = guard,
        }
        match step {
            Step::Ask(how, need) => {
                _ = log.note(Operation::Ask(how, need), || {
                    let (answer, guard) = enter(lock, how, need);
                    held = guard;
                    answer
                })
            }
            Step::Yield => yield_now(),
            Step::Shift | Step::LetGo => {}
        }
    }
}

/// So many free permits.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Free(usize);

impl Room for Free {
    type Need = usize;
    type Change = usize;

    fn admit(&mut self, need: usize) -> Option<u8> {
        self.0 = self.0.checked_sub(need)?;
        Some(0)
    }

    fn change(&mut self, given: usize) {
        self.0 += given;
    }
}

fn take_and_give(semaphore: &Semaphore, steps: Vec<Step<usize>>, log: &mut Recorder<Turns<Free>>) {
    let mut held: Option<SemaphorePermit<'_>> = None;
    for step in steps.into_iter().chain([Step::LetGo]) {
        if let (Step::Ask(..) | Step::LetGo, Some(permit)) = (step, held.as_ref()) {
            log.note(Operation::Change(permit.count()), || {
                held = None;
                Answer::Changed
            });
        }
        match step {
            Step::Ask(how, need) => {
                _ = log.note(Operation::Ask(how, need), || {
                    held = match how {
                        How::Wait => Some(semaphore.acquire(need)),
                        How::Try => semaphore.try_acquire(need),
                        How::Briefly => match semaphore.acquire_timeout(need, BRIEFLY) {
                            Ok(permit) => Some(permit),
                            Err(WaitError::TimedOut) => return Answer::TimedOut,
                            Err(error) => panic!("{error}"),
                        },
                    };
                    if held.is_some() { Answer::Had(0) } else { Answer::WouldBlock }
                })
            }
            Step::Shift => {
                _ = log.note(Operation::Change(1), || {
                    semaphore.add_permits(1);
                    Answer::Changed
                })
            }
            Step::Yield => yield_now(),
            Step::LetGo => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn an_rwlock_answers_as_its_oracle_does(
        threads in any::<u8>(),
        programs in programs(
            step(prop_oneof![Just(Access::Read), any::<u8>().prop_map(Access::Write)]),
            7,
        ),
    ) {
        let room = Shelf { readers: 0, has_writer: false, value: 0 };
        let oracle = Turns { room, queue: Vec::new() };
        hold(oracle, threads, programs, || RwLock::new(0), read_and_write, |lock| {
            assert!(lock.try_write().is_ok(), "it is free again");
        });
    }

    #[test]
    fn a_semaphore_answers_as_its_oracle_does(
        threads in any::<u8>(),
        permits in 2_usize..4,
        mut programs in programs(step(1_usize..5), 7),
    ) {
        // There may never be as many as somebody asks for; then it may not wait for them for long.
        for step in programs.iter_mut().flatten() {
            if let Step::Ask(how @ How::Wait, need) = step && *need > permits {
                *how = How::Briefly;
            }
        }
        let made = programs.iter().flatten().filter(|step| matches!(step, Step::Shift)).count();
        let oracle = Turns { room: Free(permits), queue: Vec::new() };
        let semaphore = move || Semaphore::new(permits);
        hold(oracle, threads, programs, semaphore, take_and_give, move |semaphore| {
            assert_eq!(semaphore.available_permits(), permits + made, "all are free again");
        });
    }
}
