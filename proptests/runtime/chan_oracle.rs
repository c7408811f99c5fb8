//! Channels against a sequential oracle: a queue with a capacity that may be closed.
//! Alone: random operations must answer as the oracle does. Together: goroutines and plain threads run
//! random programs of non-waiting operations, whose answers must be linearizable.
//! Waiting operations: conservation, and the order of each sender at each receiver.

use crate::common::{ALL, Placement};
use crate::linear::{self, Event, EventOf, Oracle as _};
use proptest::prelude::*;
use selvedge::chan::{Receiver, Sender, TryRecvError, TrySendError, bounded};
use selvedge::select;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Operation {
    Send(u8),
    Recv,
    /// A select with a default, over a receive and a send.
    Either(u8),
    Close,
    Len,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Sent,
    Full,
    Closed,
    Received(u8),
    Empty,
    Was(bool),
    Length(usize),
}

/// What the channel is, in words that nobody can misread.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Oracle {
    queue: VecDeque<u8>,
    capacity: usize,
    closed: bool,
    /// Selects that keep a place for a value that they have yet to make, as a set.
    places: u64,
}

impl Oracle {
    fn new(capacity: usize) -> Self {
        Oracle { queue: VecDeque::new(), capacity, closed: false, places: 0 }
    }

    fn is_full(&self) -> bool {
        self.queue.len() + self.places.count_ones() as usize >= self.capacity
    }

    fn send(&mut self, value: u8) -> Answer {
        if self.closed {
            return Answer::Closed;
        }
        if self.is_full() {
            return Answer::Full;
        }
        self.queue.push_back(value);
        Answer::Sent
    }

    fn recv(&mut self) -> Answer {
        match self.queue.pop_front() {
            Some(value) => Answer::Received(value),
            None if self.closed => Answer::Closed,
            None => Answer::Empty,
        }
    }

    /// Select number `own` takes a place for its value.
    fn take_place(mut self, own: usize) -> Option<Self> {
        self.places |= 1 << own;
        let had_room = self.queue.len() + self.places.count_ones() as usize <= self.capacity;
        (had_room && !self.closed).then_some(self)
    }
}

impl linear::Oracle for Oracle {
    type Operation = Operation;
    type Answer = Answer;

    /// A select that sends takes two steps: it takes a place, and then fills it.
    fn begun(self, own: usize, operation: Operation, answer: Answer) -> Option<Self> {
        let may_take_place = matches!(operation, Operation::Either(_))
            && matches!(answer, Answer::Sent | Answer::Closed)
            && self.places & (1 << own) == 0;
        may_take_place.then(|| self.take_place(own)).flatten()
    }

    fn ended(mut self, own: usize, operation: Operation, answer: Answer) -> Option<Self> {
        let place = 1 << own;
        let had_place = self.places & place != 0;
        self.places &= !place;
        let allowed = match operation {
            Operation::Send(value) => self.send(value) == answer,
            Operation::Recv => self.recv() == answer,
            Operation::Close => Answer::Was(std::mem::replace(&mut self.closed, true)) == answer,
            Operation::Len => Answer::Length(self.queue.len()) == answer,
            Operation::Either(value) => match answer {
                Answer::Sent => had_place && self.send(value) == answer,
                Answer::Received(_) => self.recv() == answer,
                // Of a closed channel both arms may be ready.
                Answer::Closed => self.closed,
                _ => self.queue.is_empty() && self.is_full() && !self.closed,
            },
        };
        allowed.then_some(self)
    }
}

/// Does it to the channel.
fn run(operation: Operation, tx: &Sender<u8>, rx: &Receiver<u8>) -> Answer {
    match operation {
        Operation::Send(value) => match tx.try_send(value) {
            Ok(()) => Answer::Sent,
            Err(TrySendError::Full(back)) if back == value => Answer::Full,
            Err(TrySendError::Disconnected(back)) if back == value => Answer::Closed,
            Err(other) => panic!("{other:?} gave another value back"),
        },
        Operation::Recv => match rx.try_recv() {
            Ok(value) => Answer::Received(value),
            Err(TryRecvError::Empty) => Answer::Empty,
            Err(TryRecvError::Disconnected) => Answer::Closed,
        },
        Operation::Either(value) => select! {
            send(tx, value) -> sent => if sent.is_ok() { Answer::Sent } else { Answer::Closed },
            recv(rx) -> value => value.map_or(Answer::Closed, Answer::Received),
            default => Answer::Empty,
        },
        Operation::Close => Answer::Was(!tx.close()),
        Operation::Len => Answer::Length(rx.len()),
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        6 => any::<u8>().prop_map(Operation::Send),
        6 => Just(Operation::Recv),
        3 => any::<u8>().prop_map(Operation::Either),
        1 => Just(Operation::Len),
        1 => Just(Operation::Close),
    ]
}

/// Runs each program beside the others, every second one as a goroutine; all that happened.
fn race(
    runtime: &selvedge::Runtime,
    capacity: usize,
    programs: Vec<Vec<Operation>>,
) -> Vec<EventOf<Oracle>> {
    let (tx, rx) = bounded(capacity);
    linear::race(
        runtime,
        0b0101_0101,
        programs,
        move |program, log: &mut linear::Recorder<Oracle>| {
            let (tx, rx) = (tx.clone(), rx.clone());
            for operation in program {
                log.note(operation, || run(operation, &tx, &rx));
            }
        },
    )
}

fn is_linearizable(capacity: usize, events: &[EventOf<Oracle>]) -> bool {
    linear::is_linearizable(&Oracle::new(capacity), events)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn alone_a_channel_answers_as_the_oracle_does(
        capacity in 0..4_usize,
        program in prop::collection::vec(operation(), 0..40),
    ) {
        let (tx, rx) = bounded(capacity);
        let mut oracle = Oracle::new(capacity);
        for operation in program {
            let answer = run(operation, &tx, &rx);
            let before = match oracle.clone().take_place(0) {
                Some(placed) if matches!(operation, Operation::Either(_)) => {
                    placed.ended(0, operation, answer)
                }
                _ => None,
            };
            let next = before.or_else(|| oracle.clone().ended(0, operation, answer));
            prop_assert!(next.is_some(), "{operation:?} answered {answer:?}");
            oracle = next.expect("it was asked");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn together_the_answers_are_those_of_one_order(
        capacity in 1..3_usize,
        programs in prop::collection::vec(prop::collection::vec(operation(), 1..6), 2..5),
    ) {
        for placement in ALL {
            let runtime = placement.runtime(2);
            for _ in 0..20 {
                let events = race(&runtime, capacity, programs.clone());
                prop_assert!(is_linearizable(capacity, &events), "no order explains {events:#?}");
            }
        }
    }

    #[test]
    fn values_that_wait_arrive_once_and_in_their_sender_s_order(
        capacity in 0..4_usize,
        senders in 1..5_usize,
        receivers in 1..4_usize,
        each in 1..40_usize,
        threads in any::<u8>(),
        by_select in any::<u8>(),
    ) {
        let runtime = Placement::Anchored.runtime(2);
        let (tx, rx) = bounded::<(usize, usize)>(capacity);
        let (log, logs) = selvedge::chan::unbounded();
        let start = |at: usize, body: Box<dyn FnOnce() + Send>| {
            if threads >> at & 1 == 1 {
                drop(std::thread::spawn(body));
            } else {
                drop(runtime.go(body));
            }
        };
        for sender in 0..senders {
            let (tx, select) = (tx.clone(), by_select >> sender & 1 == 1);
            start(sender, Box::new(move || for n in 0..each {
                if select {
                    select! { send(tx, (sender, n)) -> sent => sent.unwrap() }
                } else {
                    tx.send((sender, n)).unwrap();
                }
            }));
        }
        for receiver in 0..receivers {
            let (rx, log) = (rx.clone(), log.clone());
            let select = by_select >> (4 + receiver) & 1 == 1;
            start(4 + receiver, Box::new(move || {
                let mut seen = Vec::new();
                loop {
                    let next = if select { select! { recv(rx) -> value => value } } else { rx.recv() };
                    let Ok(value) = next else { break };
                    seen.push(value);
                }
                log.send(seen).unwrap();
            }));
        }
        drop((tx, rx, log));
        let mut all = Vec::new();
        for seen in logs {
            for sender in 0..senders {
                let own: Vec<_> = seen.iter().filter(|(from, _)| *from == sender).collect();
                prop_assert!(own.is_sorted(), "out of order: {own:?}");
            }
            all.extend(seen);
        }
        all.sort_unstable();
        let expected: Vec<_> =
            (0..senders).flat_map(|sender| (0..each).map(move |n| (sender, n))).collect();
        prop_assert_eq!(all, expected);
    }
}

#[test]
fn the_search_finds_what_no_order_explains() {
    let event = |begun, ended, operation, answer| Event { begun, ended, operation, answer };
    let (one, two) = (Operation::Send(1), Operation::Send(2));
    let (sent, recv) = (Answer::Sent, Operation::Recv);
    let overtakes =
        [event(0, 1, one, sent), event(2, 3, two, sent), event(4, 5, recv, Answer::Received(2))];
    assert!(!is_linearizable(2, &overtakes), "2 came before 1");
    let at_once =
        [event(0, 3, one, sent), event(1, 2, two, sent), event(4, 5, recv, Answer::Received(2))];
    assert!(is_linearizable(2, &at_once));
    let twice = [
        event(0, 1, one, sent),
        event(2, 5, recv, Answer::Received(1)),
        event(3, 4, recv, Answer::Received(1)),
    ];
    assert!(!is_linearizable(2, &twice));
    let stale = [event(0, 1, one, sent), event(2, 3, recv, Answer::Empty)];
    assert!(!is_linearizable(2, &stale));
}
