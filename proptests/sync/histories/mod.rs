//! Random programs of two to four, goroutines and plain threads, on one primitive: whatever the
//! interleaving, their answers are those of a sequential oracle.
//!
//! | file | what | its oracle knows |
//! |---|---|---|
//! | `turns` | `RwLock`, `Semaphore` | who is inside, and the queue |
//! | `gatherings` | `WaitGroup`, `Barrier` | the count, who waits, and who may pass |
//! | `once` | `Once`, `OnceLock` | the state, and the value |
//! | `condvar` | `Condvar` alone; a bounded buffer on it | who waits, in order; the buffer |

mod condvar;
mod gatherings;
mod once;
mod turns;

use crate::common::{ALL, beside, finish};
use crate::linear::{Oracle, Recorder, is_linearizable, race};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

/// Times that each program is run.
const RUNS: usize = 8;
/// So short that it ends some waits and not others.
const BRIEFLY: Duration = Duration::from_micros(30);

/// How one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum How {
    Wait,
    Try,
    Briefly,
}

fn how() -> impl Strategy<Value = How> {
    prop_oneof![Just(How::Wait), Just(How::Try), Just(How::Briefly)]
}

/// What two to four do.
fn programs<S: std::fmt::Debug>(
    step: impl Strategy<Value = S>,
    most: usize,
) -> impl Strategy<Value = Vec<Vec<S>>> {
    prop::collection::vec(prop::collection::vec(step, 1..most), 2..5)
}

/// Runs the programs, each time on a new `thing`, on plain threads where the bit in `threads` is set, and
/// on two processors where its last is;
/// `oracle` must explain the answers, and `rest` accept what is left.
#[track_caller]
fn hold<O: Oracle + Send, S: Clone + Send + 'static, T: Send + Sync + 'static>(
    oracle: O,
    threads: u8,
    programs: Vec<Vec<S>>,
    thing: impl Fn() -> T + Send + 'static,
    act: fn(&T, Vec<S>, &mut Recorder<O>),
    rest: impl Fn(&T) + Send + 'static,
) {
    beside(move || {
        for placement in ALL {
            let runtime = placement.runtime(1 + usize::from(threads >> 7));
            for _ in 0..RUNS {
                let thing = Arc::new(thing());
                let shared = Arc::clone(&thing);
                let events = race(&runtime, threads, programs.clone(), move |steps, log| {
                    act(&shared, steps, log);
                });
                assert!(is_linearizable(&oracle, &events), "no order explains {events:#?}");
                rest(&thing);
            }
            finish(runtime);
        }
    });
}
