//! Random programs on goroutines and plain threads: whatever the interleaving, what each did under a
//! lock is a sequential history that its oracle accepts. [M1]

use crate::common::{ALL, beside, finish};
use crate::{Body, mixture};
use proptest::prelude::*;
use selvedge::sync::{LockError, Mutex, TryLockError};
use selvedge::{CancelToken, yield_now};
use std::sync::Arc;
use std::time::Duration;

/// One step of one who takes part.
#[derive(Clone, Copy, Debug)]
enum Step {
    Lock { suspend: bool },
    TryLock,
    LockBriefly,
    LockCancelled,
    Yield,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<bool>().prop_map(|suspend| Step::Lock { suspend }),
        1 => Just(Step::TryLock),
        1 => Just(Step::LockBriefly),
        1 => Just(Step::LockCancelled),
        1 => Just(Step::Yield),
    ]
}

/// What the mutexes guard: who had it, in order; `inside` while somebody is at it.
#[derive(Default)]
struct Log {
    entries: Vec<(usize, usize)>,
    inside: bool,
}

impl Log {
    fn enter(&mut self, actor: usize, number: usize, suspend: bool) {
        assert!(!self.inside, "two hold it at once");
        self.inside = true;
        if suspend {
            yield_now();
        }
        self.entries.push((actor, number));
        self.inside = false;
    }
}

/// Takes `steps`, each with one of `mutexes`; how many entries it made in each.
fn act(actor: usize, steps: &[(usize, Step)], mutexes: &[Mutex<Log>]) -> Vec<usize> {
    let mut made = vec![0; mutexes.len()];
    let cancelled = CancelToken::new();
    cancelled.cancel();
    for (which, step) in steps {
        let which = which % mutexes.len();
        let mutex = &mutexes[which];
        let mut enter = |mut log: selvedge::sync::MutexGuard<'_, Log>, suspend| {
            log.enter(actor, made[which], suspend);
            made[which] += 1;
        };
        match *step {
            Step::Lock { suspend } => enter(mutex.lock().unwrap(), suspend),
            Step::TryLock => match mutex.try_lock() {
                Ok(log) => enter(log, false),
                Err(TryLockError::WouldBlock) => {}
                Err(error) => panic!("{error}"),
            },
            Step::LockBriefly => match mutex.lock_timeout(Duration::from_micros(20)) {
                Ok(log) => enter(log, false),
                Err(LockError::TimedOut) => {}
                Err(error) => panic!("{error}"),
            },
            Step::LockCancelled => {
                assert!(matches!(mutex.lock_cancel(&cancelled), Err(LockError::Cancelled)));
            }
            Step::Yield => yield_now(),
        }
    }
    made
}

/// Each one's entries, in the order in which it made them, and no others.
fn check(log: &Log, made: &[usize]) {
    let mut next = vec![0; made.len()];
    for (actor, number) in &log.entries {
        assert_eq!(*number, next[*actor], "an entry was lost, or came twice");
        next[*actor] += 1;
    }
    assert_eq!(next, made, "as many entries as were made");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_is_done_under_a_mutex_is_a_history(
        locks in 1usize..3,
        programs in prop::collection::vec(prop::collection::vec((0usize..2, step()), 0..60), 2..7),
        processors in 1usize..4,
        migrating in any::<bool>(),
    ) {
        beside(move || {
            let runtime = ALL[usize::from(migrating)].runtime(processors);
            let mutexes: Arc<Vec<_>> =
                Arc::new((0..locks).map(|_| Mutex::new(Log::default())).collect());
            let made = Arc::new(Mutex::new(vec![vec![0; programs.len()]; locks]));
            let bodies = programs.into_iter().enumerate().map(|(actor, steps)| {
                let (mutexes, made) = (Arc::clone(&mutexes), Arc::clone(&made));
                Box::new(move || {
                    let counts = act(actor, &steps, &mutexes);
                    let mut made = made.lock().unwrap();
                    made.iter_mut().zip(counts).for_each(|(made, n)| made[actor] = n);
                }) as Body
            });
            mixture(&runtime, bodies.collect());
            let made = made.lock().unwrap();
            for (mutex, made) in mutexes.iter().zip(&*made) {
                check(&mutex.lock().unwrap(), made);
            }
            finish(runtime);
        });
    }
}
