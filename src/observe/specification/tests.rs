//! Each rule must report a history that breaks it, event by event, and must report nothing where the same
//! events come in an allowed order.

use super::bounded_wait;
use super::history::{Breach, History};
use super::{Doing, Event, Place};
use Event::*;
use std::collections::HashSet;

/// A goroutine.
const G: usize = 64;
/// Another goroutine.
const H: usize = 128;

/// One step of a history.
enum Step {
    G(usize, Event),
    D(Doing),
    Act,
    Done,
}

fn g(event: Event) -> Step {
    Step::G(G, event)
}

fn take(book: &mut History, step: Step) -> Result<(), Breach> {
    match step {
        Step::G(key, event) => book.goroutine(key, event),
        Step::D(doing) => book.doing(doing),
        Step::Act => book.begin_acting(),
        Step::Done => book.end_acting(),
    }
}

/// Begins a history with two processors. Worker 0 holds the first processor, and worker 1 sleeps.
fn book() -> History {
    let mut book = History::default();
    let doings = [
        Doing::Active(2),
        Doing::Idle(0),
        Doing::Idle(1),
        Doing::Seated(0),
        Doing::Held { processor: 0, by: Some(0) },
        Doing::Seated(1),
        Doing::AboutToSleep(1),
        Doing::Sleeps(1),
    ];
    doings.into_iter().for_each(|doing| book.doing(doing).expect("a good beginning"));
    book
}

fn holds(steps: impl IntoIterator<Item = Step>) -> History {
    let mut book = book();
    for (number, step) in steps.into_iter().enumerate() {
        take(&mut book, step).unwrap_or_else(|breach| panic!("step {number}: {breach:?}"));
    }
    book
}

/// Checks that the last step, and no earlier step, breaks the invariant.
#[track_caller]
fn breaks(invariant: &str, steps: impl IntoIterator<Item = Step>) {
    let mut steps: Vec<_> = steps.into_iter().collect();
    let last = steps.pop().expect("a step that breaks it");
    let mut book = holds(steps);
    let breach = take(&mut book, last).expect_err("the last step is told of");
    assert_eq!(breach.invariant, invariant, "{breach:?}");
}

fn left(parks: bool) -> Event {
    Left { worker: 0, parks }
}

/// The steps by which a goroutine is spawned and put into the first run queue.
fn born() -> Vec<Step> {
    vec![g(Spawned(1)), g(Queued(Place::RunQueue(0)))]
}

/// The steps by which a goroutine gets on its stack, run by worker 0.
fn running() -> Vec<Step> {
    let mut steps = born();
    steps.extend([g(Taken(Place::RunQueue(0))), g(Resumed(0))]);
    steps
}

fn decides() -> Step {
    Step::D(Doing::Decides { worker: 0, processor: 0 })
}

fn then(mut steps: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    steps.extend(more);
    steps
}

#[test]
fn a_whole_life_is_in_order() {
    let place = std::panic::Location::caller();
    let life = then(
        running(),
        [
            g(Home(Some(0))),
            g(Parks(place)),
            g(Suspends(place)),
            g(left(true)),
            Step::Act,
            g(Unparks),
            g(Queued(Place::RemoteQueue(0))),
            g(UnparkAction),
            Step::Done,
            decides(),
            g(Taken(Place::RemoteQueue(0))),
            g(Queued(Place::BoundQueue(0))),
            g(Taken(Place::BoundQueue(0))),
            g(Resumed(0)),
            g(Permit),
            g(left(false)),
            g(Exited),
            g(Joined),
        ],
    );
    let book = holds(life);
    assert_eq!(book.drained(), Ok(()));
    assert_eq!(book.ended(HashSet::new()), Ok(()));
}

#[test]
fn one_that_is_taken_twice_is_run_twice() {
    breaks("[E2]", then(born(), [g(Taken(Place::RunQueue(0))), g(Taken(Place::RunQueue(0)))]));
    breaks("[E2]", then(born(), [g(Taken(Place::Next(0)))]));
    breaks("[E2]", then(running(), [g(Taken(Place::RunQueue(0)))]));
    breaks("[E2]", then(born(), [g(Resumed(0))]));
    breaks("[E2]", then(running(), [g(left(false)), g(Exited), g(Queued(Place::GlobalQueue))]));
}

#[test]
fn one_in_two_queues_is_seen() {
    breaks("[E3]", then(born(), [g(Queued(Place::GlobalQueue))]));
}

#[test]
fn a_stack_in_use_is_left_alone() {
    breaks("[S1]", then(running(), [g(Queued(Place::RunQueue(0)))]));
    breaks("[S1]", then(running(), [g(Resumed(1))]));
    breaks("[S1]", then(running(), [g(Exited)]));
    breaks("[S1]", then(born(), [g(left(true))]));
}

#[test]
fn a_home_is_kept() {
    let homed = || then(running(), [g(Home(Some(0))), g(left(false))]);
    breaks("[A1]", then(homed(), [g(Queued(Place::RunQueue(0)))]));
    breaks("[A1]", then(homed(), [g(Queued(Place::BoundQueue(1)))]));
    breaks("[A1]", then(homed(), [g(Resumed(1))]));
    breaks("[A1]", then(homed(), [Step::D(Doing::Vacated(0))]));
}

#[test]
fn whoever_runs_holds_a_processor() {
    let taken = then(born(), [g(Taken(Place::RunQueue(0)))]);
    breaks("[E4]", then(taken, [g(Resumed(1))]));
    breaks("[E4]", [Step::D(Doing::Decides { worker: 0, processor: 1 })]);
    let hold = |processor, by| Step::D(Doing::Held { processor, by: Some(by) });
    breaks("[I4]", [hold(0, 1)]);
    breaks("[I4]", [hold(1, 0)]);
    let retaken = |cpu_bound| Step::D(Doing::Retaken { worker: 0, processor: 0, cpu_bound });
    breaks("[H1]", [retaken(false), retaken(false)]);
}

#[test]
fn of_those_that_compute_without_a_processor_there_are_few() {
    let cpu_bound = |id| {
        let held = Doing::Held { processor: 0, by: Some(id) };
        let freed = Doing::Held { processor: 0, by: None };
        [held, Doing::Retaken { worker: id, processor: 0, cpu_bound: true }, freed].map(Step::D)
    };
    let free = [Step::D(Doing::Held { processor: 0, by: None })];
    let four = free.into_iter().chain((2..6).flat_map(cpu_bound));
    breaks("[E4]", four.chain(cpu_bound(6).into_iter().take(2)));
}

#[test]
fn a_permit_is_consumed_once() {
    let place = std::panic::Location::caller();
    let given = || then(running(), [g(Unparks), g(UnparkAction), g(Parks(place)), g(Permit)]);
    holds(given());
    breaks("[S3]", then(running(), [g(Parks(place)), g(Permit)]));
    breaks("[S3]", then(given(), [g(Parks(place)), g(Permit)]));
    // A permit may be for the next park if it was given while the goroutine consumed another.
    holds(then(
        running(),
        [g(Parks(place)), g(Unparks), g(Permit), g(UnparkAction), g(Parks(place)), g(Permit)],
    ));
}

#[test]
fn a_permit_is_not_lost() {
    let place = std::panic::Location::caller();
    let parks = || [g(Parks(place)), g(left(true))];
    let given = || then(running(), [g(Unparks), g(UnparkAction)]);
    breaks("[S3]", then(then(given(), parks()), [decides()]));
    // The goroutine is not parked yet, because its worker may still find the permit, and does.
    holds(then(then(given(), parks()), [g(Queued(Place::RunQueue(0))), decides()]));
    // The permit was given while the goroutine parks, and after that the unpark ended without effect.
    let late = then(running(), [g(Unparks)]);
    let late = then(then(late, parks()), [decides(), g(UnparkAction)]);
    breaks("[S3]", late);
    // A deadline has made the goroutine runnable, and the permit came after that.
    let timed = then(then(running(), parks()), [decides(), Step::Act, g(Expires)]);
    let timed =
        then(timed, [g(Unparks), g(UnparkAction), g(Queued(Place::GlobalQueue)), Step::Done]);
    holds(timed);
}

/// Worker 0 goes to sleep, in the end.
fn falls_asleep() -> Vec<Step> {
    [
        Doing::Held { processor: 0, by: None },
        Doing::Idle(0),
        Doing::AboutToSleep(0),
        Doing::Sleeps(0),
    ]
    .map(Step::D)
    .into()
}

#[test]
fn nobody_sleeps_while_there_is_work() {
    breaks("[I1]", then(born(), falls_asleep()));
    breaks("[I1]", then(vec![g(Spawned(1)), g(Queued(Place::GlobalQueue))], falls_asleep()));
    breaks("[I1]", then(vec![g(Spawned(1)), g(Queued(Place::Next(0)))], falls_asleep()));
    // A wake-up is in flight, or the thread that queued it is still at work.
    let woken = Step::D(Doing::Held { processor: 1, by: Some(1) });
    holds(then(then(born(), [woken]), falls_asleep()));
    holds(then(then(vec![Step::Act], born()), falls_asleep()));
    // The worker is on a goroutine's stack, while a processor is idle and another goroutine waits in the run
    // queue.
    let other = [Step::G(H, Spawned(2)), Step::G(H, Queued(Place::RunQueue(0)))];
    let busy = then(born(), other);
    breaks("[I1]", then(busy, [g(Taken(Place::RunQueue(0))), g(Resumed(0))]));
    // The monitor takes care of what waits in `run_next` of a processor that runs.
    let next = [Step::G(H, Spawned(2)), Step::G(H, Queued(Place::Next(0)))];
    holds(then(then(born(), next), [g(Taken(Place::RunQueue(0))), g(Resumed(0))]));
}

#[test]
fn a_home_does_not_sleep_while_somebody_waits_there() {
    let homed =
        then(running(), [g(Home(Some(0))), g(left(false)), g(Queued(Place::BoundQueue(0)))]);
    breaks("[I2]", then(homed, falls_asleep()));
}

#[test]
fn a_retaken_processor_is_not_left_alone() {
    let retaken = Step::D(Doing::Retaken { worker: 0, processor: 0, cpu_bound: false });
    let freed = [Doing::Held { processor: 0, by: None }, Doing::Idle(0)].map(Step::D);
    let other = [Step::Act, Step::G(H, Spawned(2)), Step::G(H, Queued(Place::RunQueue(0)))];
    let steps = then(then(running(), other), [retaken]);
    breaks("[I5]", then(then(steps, freed), [Step::Done]));
}

#[test]
fn nobody_queues_while_a_processor_is_idle() {
    breaks("[I3]", [Step::D(Doing::Queues(1))]);
    let held = |processor, by| Step::D(Doing::Held { processor, by });
    let steps = [held(1, Some(2)), Step::D(Doing::Queues(1)), held(0, None)];
    breaks("[I3]", then(steps.into(), [Step::D(Doing::Idle(0))]));
}

#[test]
fn none_is_lost_on_its_way() {
    breaks("[E1]", then(vec![g(Spawned(1))], falls_asleep()));
    let parked = then(running(), [g(left(true)), decides(), g(Expires)]);
    breaks("[E1]", then(parked, falls_asleep()));
}

#[test]
fn the_end_knows_everybody() {
    let book = holds(running());
    assert_eq!(book.drained().expect_err("it runs").invariant, "[E1]");
    assert_eq!(book.ended(HashSet::new()), Ok(()), "it is on a stack");
    let book = holds(born());
    assert_eq!(book.ended(HashSet::from([G])), Ok(()));
    assert_eq!(book.ended(HashSet::new()).expect_err("it is forgotten").invariant, "[E1]");
    let stopped = [Step::D(Doing::Stopping), Step::D(Doing::Stopped)];
    let stopped = then(born(), stopped);
    breaks("[T1]", then(stopped, [g(Taken(Place::RunQueue(0))), g(Resumed(0))]));
}

#[test]
fn results_and_cells_have_one_owner() {
    breaks("[G2]", then(running(), [g(left(false)), g(Exited), g(Joined), g(Joined)]));
    breaks("[G1]", then(born(), [g(Spawned(2))]));
}

#[test]
fn no_queue_starves() {
    let most = bounded_wait::RUN_QUEUE as usize;
    let turn = |n: usize| (0..n).map(|_| decides());
    holds(born().into_iter().chain(turn(most)));
    breaks("[F2]", born().into_iter().chain(turn(most + 1)));
    let wait_in = |place| vec![g(Spawned(1)), g(Queued(place))];
    let next = bounded_wait::NEXT as usize;
    breaks("[F2]", wait_in(Place::Next(0)).into_iter().chain(turn(next + 1)));
    let shared = bounded_wait::global_queue(1) as usize;
    holds(wait_in(Place::GlobalQueue).into_iter().chain(turn(shared)));
    breaks("[F2]", wait_in(Place::GlobalQueue).into_iter().chain(turn(shared + 1)));
    let homed =
        || then(running(), [g(Home(Some(0))), g(left(false)), g(Queued(Place::BoundQueue(0)))]);
    breaks("[F2]", homed().into_iter().chain(turn(bounded_wait::RING as usize + 1)));
    // While another thread is at work it may have claimed the goroutine already.
    holds(born().into_iter().chain([Step::Act]).chain(turn(2 * most)));
}

#[test]
fn a_report_names_the_invariant_and_tells_the_history() {
    let mut book = holds(running());
    let breach = book.goroutine(G, Queued(Place::GlobalQueue)).expect_err("its stack is in use");
    let mut text = String::new();
    book.tell(&breach, &mut text).expect("a string takes it");
    for said in ["[S1] is broken: goroutine 1", "spawned as goroutine 1", "resumed by worker 0"] {
        assert!(text.contains(said), "{text}");
    }
    assert!(text.contains("Decides") || text.contains("Held"), "{text}");
}
