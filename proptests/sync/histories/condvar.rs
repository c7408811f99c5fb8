//! Condvar alone: a notify goes to who has waited longest and has not given up; nobody wakes without
//! one. And a bounded buffer on two of them, whose ends close when nobody is left at the other. [U1] [U2]

use super::{BRIEFLY, How, hold, how, programs};
use crate::linear::{Oracle, Recorder};
use proptest::prelude::*;
use selvedge::sync::{Condvar, Mutex};
use selvedge::yield_now;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
enum Operation {
    WaitBriefly,
    One,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Notified,
    TimedOut,
    /// When so many waits had begun.
    Done(usize),
}

/// Who waits, in order, and who was notified.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
struct Line {
    waiting: Vec<usize>,
    notified: u64,
    begun: usize,
}

impl Oracle for Line {
    type Operation = Operation;
    type Answer = Answer;

    fn begun(mut self, own: usize, operation: Operation, _: Answer) -> Option<Self> {
        let is_new = self.notified & (1 << own) == 0 && !self.waiting.contains(&own);
        let waits = matches!(operation, Operation::WaitBriefly);
        (waits && is_new).then(|| {
            self.waiting.push(own);
            self.begun += 1;
            self
        })
    }

    fn ended(mut self, own: usize, operation: Operation, answer: Answer) -> Option<Self> {
        let place = self.waiting.iter().position(|waiting| *waiting == own);
        let allowed = match (operation, answer) {
            (Operation::WaitBriefly, Answer::Notified) => self.notified & (1 << own) != 0,
            (Operation::WaitBriefly, Answer::TimedOut) => {
                place.map(|at| self.waiting.remove(at)).is_some()
            }
            (Operation::One | Operation::All, Answer::Done(begun)) => {
                let all = matches!(operation, Operation::All);
                let most = if all { self.waiting.len() } else { 1.min(self.waiting.len()) };
                for notified in self.waiting.drain(..most) {
                    self.notified |= 1 << notified;
                }
                begun == self.begun
            }
            _ => false,
        };
        self.notified &= !(1 << own);
        allowed.then_some(self)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Do(Operation),
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Do(Operation::WaitBriefly)),
        3 => Just(Step::Do(Operation::One)),
        1 => Just(Step::Do(Operation::All)),
        2 => Just(Step::Yield),
    ]
}

fn wait_and_notify(
    (mutex, condvar): &(Mutex<usize>, Condvar),
    steps: Vec<Step>,
    log: &mut Recorder<Line>,
) {
    for step in steps {
        let Step::Do(operation) = step else {
            yield_now();
            continue;
        };
        log.note(operation, || {
            let mut begun = mutex.lock().unwrap();
            match operation {
                Operation::WaitBriefly => {
                    *begun += 1;
                    let (_begun, ended) = condvar.wait_timeout(begun, BRIEFLY).unwrap();
                    let notified = ended.ended().is_ok();
                    return if notified { Answer::Notified } else { Answer::TimedOut };
                }
                Operation::One => condvar.notify_one(),
                Operation::All => condvar.notify_all(),
            }
            Answer::Done(*begun)
        });
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    Push(How, u8),
    Pop(How),
    LeavePushing,
    LeavePopping,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Got {
    Pushed,
    Popped(u8),
    /// It was full, or empty, when it was tried or the time was over.
    Not,
    Closed,
    Left,
}

/// Both the buffer and its oracle: what it does is sequential, who waits is the condvars' affair.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Buffer {
    queue: VecDeque<u8>,
    room: usize,
    pushing: usize,
    popping: usize,
}

impl Buffer {
    /// What comes of it just now; nothing: it has to wait.
    fn now(&mut self, what: At) -> Option<Got> {
        match what {
            At::Push(..) if self.popping == 0 => Some(Got::Closed),
            At::Push(_, value) if self.queue.len() < self.room => {
                self.queue.push_back(value);
                Some(Got::Pushed)
            }
            At::Push(..) => None,
            At::Pop(_) if self.queue.is_empty() && self.pushing == 0 => Some(Got::Closed),
            At::Pop(_) => self.queue.pop_front().map(Got::Popped),
            At::LeavePushing => {
                self.pushing -= 1;
                Some(Got::Left)
            }
            At::LeavePopping => {
                self.popping -= 1;
                Some(Got::Left)
            }
        }
    }
}

impl Oracle for Buffer {
    type Operation = At;
    type Answer = Got;

    fn ended(mut self, _own: usize, what: At, got: Got) -> Option<Self> {
        let may_fail = !matches!(what, At::Push(How::Wait, _) | At::Pop(How::Wait));
        let expected = self.now(what).or(may_fail.then_some(Got::Not));
        (expected == Some(got)).then_some(self)
    }
}

struct Shared {
    buffer: Mutex<Buffer>,
    not_full: Condvar,
    not_empty: Condvar,
}

impl Shared {
    fn run(&self, what: At) -> Got {
        let (wait_on, tell) = match what {
            At::Push(..) | At::LeavePushing => (&self.not_full, &self.not_empty),
            At::Pop(_) | At::LeavePopping => (&self.not_empty, &self.not_full),
        };
        let mut got = None;
        let mut waits = |buffer: &mut Buffer| {
            got = buffer.now(what);
            got.is_none()
        };
        let mut guard = self.buffer.lock().unwrap();
        match what {
            At::Push(How::Wait, _) | At::Pop(How::Wait) => {
                drop(wait_on.wait_while(guard, &mut waits).unwrap());
            }
            At::Push(How::Briefly, _) | At::Pop(How::Briefly) => {
                drop(wait_on.wait_timeout_while(guard, BRIEFLY, &mut waits).unwrap());
            }
            _ => _ = waits(&mut guard),
        }
        match got {
            Some(Got::Pushed | Got::Popped(_)) => tell.notify_one(),
            Some(Got::Left) => tell.notify_all(),
            _ => {}
        }
        got.unwrap_or(Got::Not)
    }
}

fn produce_and_consume(shared: &Shared, program: Vec<Option<At>>, log: &mut Recorder<Buffer>) {
    for step in program {
        match step {
            Some(what) => _ = log.note(what, || shared.run(what)),
            None => yield_now(),
        }
    }
}

/// One who only pushes, or only pops, and then leaves.
fn of_role(pushes: bool, steps: Vec<Option<(How, u8)>>) -> Vec<Option<At>> {
    let at = |(how, value)| if pushes { At::Push(how, value) } else { At::Pop(how) };
    let leave = if pushes { At::LeavePushing } else { At::LeavePopping };
    steps.into_iter().map(|step| step.map(at)).chain([Some(leave)]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_condvar_answers_as_its_oracle_does(
        threads in any::<u8>(),
        programs in programs(step(), 7),
    ) {
        let pair = || (Mutex::new(0), Condvar::new());
        hold(Line::default(), threads, programs, pair, wait_and_notify, |_| {});
    }

    #[test]
    fn a_buffer_on_condvars_answers_as_its_oracle_does(
        threads in any::<u8>(),
        room in 1_usize..3,
        programs in programs(prop::option::weighted(0.8, (how(), any::<u8>())), 7),
    ) {
        let pushing = programs.len() / 2;
        let popping = programs.len() - pushing;
        let buffer = Buffer { queue: VecDeque::new(), room, pushing, popping };
        let programs = programs.into_iter().enumerate();
        let programs = programs.map(|(at, steps)| of_role(at < pushing, steps)).collect();
        let oracle = buffer.clone();
        let shared = move || Shared {
            buffer: Mutex::new(buffer.clone()),
            not_full: Condvar::new(),
            not_empty: Condvar::new(),
        };
        hold(oracle, threads, programs, shared, produce_and_consume, |_| {});
    }
}
