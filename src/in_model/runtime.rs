//! A `Runtime` that a checked or simulated program builds. It has no scheduler, because the program's goroutines have
//! one already. The program stays as it is, and no kernel thread starts.
//! run: in the caller's goroutine, with goroutine-local values of its own.   go: as the free one.
//! Each of its goroutines has a membership token, a goroutine-local value, which the goroutines that it spawns inherit.
//! token made: lock, live + 1.   token gone, at the end: lock, live - 1; the last token wakes the waiter.
//! shutdown: lock, look whether live is 0, else leave a handle to be woken by; park.
//! [G6] `shutdown` says that all have ended only when none of its goroutines runs user code any more,
//! and what they did is seen: each of them has released the lock that it takes.
//! Checked by: proptests/model/runtimes.rs.

use super::goroutine;
use crate::local;
use crate::local::LocalKey;
use crate::observe::run_log;
use crate::observe::run_log::{Left, Place, RuntimeId};
use crate::platform::{Arc, Mutex};
use crate::sched::core::config::Config;
use crate::sched::core::simulation;
use crate::sched::core::wake_handle::Unparker;
use crate::sched::lifecycle::metrics::Metrics;
use crate::sched::lifecycle::shutdown::{Remaining, RemainingState};
use crate::sched::suspend::park;
use crate::wait::instant::Instant;
use crate::wait::trace;
use std::cell::RefCell;
use std::time::Duration;

/// What a machine that this is not has: a checked program does the same on every machine.
pub(crate) const PROCESSORS: usize = 2;

/// See the module.
pub(crate) struct ModelRuntime {
    tenant: RuntimeId,
    most_processors: usize,
    state: Mutex<State>,
}

struct State {
    /// Only told, since one goroutine runs at a time.
    processors: usize,
    /// Calls of `run` that have ended.
    runs: u64,
    /// Membership tokens.
    live: usize,
    /// The goroutine or thread that waits in `shutdown`.
    waits: Option<Unparker>,
}

/// Whether the caller is a goroutine of a checked or simulated program.
pub(crate) fn is_here() -> bool {
    goroutine::is_here() || simulation::is_here()
}

/// A goroutine wears it as long as its closure, or a destructor of a goroutine-local value, runs.
struct MembershipToken(Arc<ModelRuntime>);

static BADGE: LocalKey<RefCell<Option<MembershipToken>>> =
    LocalKey::inherited(|| RefCell::new(None));

impl MembershipToken {
    fn new(host: &Arc<ModelRuntime>) -> Self {
        host.state.lock().live += 1;
        MembershipToken(Arc::clone(host))
    }
}

impl Clone for MembershipToken {
    fn clone(&self) -> Self {
        MembershipToken::new(&self.0)
    }
}

impl Drop for MembershipToken {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.live -= 1;
        let waiter = if state.live == 0 { state.waits.take() } else { None };
        drop(state);
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }
}

/// Makes the caller one of the goroutines of a runtime, and then again what it was.
struct Among {
    caller: u32,
    before: u32,
}

impl Among {
    fn those_of(host: &ModelRuntime) -> Self {
        let caller = trace::caller();
        Among { caller, before: run_log::belongs(caller, host.tenant.number) }
    }
}

impl Drop for Among {
    fn drop(&mut self) {
        run_log::belongs(self.caller, self.before);
    }
}

impl ModelRuntime {
    pub(crate) fn new(config: &Config) -> Arc<ModelRuntime> {
        let tenant = run_log::runtime(config.abort_on_panic).expect("a program's log is open");
        Arc::new(ModelRuntime {
            tenant,
            most_processors: config.max_processors as usize,
            state: Mutex::new(State {
                processors: config.processors as usize,
                runs: 0,
                live: 0,
                waits: None,
            }),
        })
    }

    #[track_caller]
    fn check_run(&self) {
        assert!(
            run_log::this_run() == Some(self.tenant.run),
            "this runtime was built in another run of a checked program: build it inside of the \
             closure that is checked, not in a static, and use it only there"
        );
    }

    /// Calls `f` in the caller's goroutine: a checker has few threads.
    #[track_caller]
    pub(crate) fn run<T>(self: &Arc<Self>, f: impl FnOnce() -> T) -> T {
        self.check_run();
        let _among = Among::those_of(self);
        let called = local::as_another(|| {
            BADGE.set(Some(MembershipToken::new(self)));
            f()
        });
        self.state.lock().runs += 1;
        match called {
            Ok(value) => value,
            Err(error) => panic!("run: in a checked program, {error}"),
        }
    }

    /// Calls `spawn`, whose goroutine is then this runtime's.
    #[track_caller]
    pub(crate) fn go<R>(self: &Arc<Self>, spawn: impl FnOnce() -> R) -> R {
        self.check_run();
        let _among = Among::those_of(self);
        let before = BADGE.replace(Some(MembershipToken::new(self)));
        // Nothing below unwinds but a `clone` of a goroutine-local value.
        let restore = Restore(before);
        let spawned = spawn();
        drop(restore);
        spawned
    }

    /// Waits until all goroutines have ended, for at most `limit`. Returns the goroutines that are left.
    #[track_caller]
    pub(crate) fn drain(&self, limit: Duration, place: Place) -> Vec<Remaining> {
        self.check_run();
        trace::plain("shut a runtime down", place);
        let deadline = Instant::now().saturating_add(limit).nanos();
        loop {
            let waiter = park::waiter();
            let mut state = self.state.lock();
            if state.live == 0 {
                return Vec::new();
            }
            state.waits = Some(waiter);
            drop(state);
            if !park::park_until(place, deadline) {
                self.state.lock().waits = None;
                return self.left();
            }
        }
    }

    fn left(&self) -> Vec<Remaining> {
        let remaining = |left: Left| Remaining {
            id: left.id.into(),
            name: left.name,
            state: if left.waits { RemainingState::Parked } else { RemainingState::Runnable },
            place: left.place,
        };
        let (_, left) = run_log::left_of(self.tenant.number);
        left.into_iter().map(remaining).collect()
    }

    #[track_caller]
    pub(crate) fn processors(&self) -> usize {
        self.check_run();
        self.state.lock().processors
    }

    pub(crate) fn most_processors(&self) -> usize {
        self.most_processors
    }

    #[track_caller]
    pub(crate) fn set_processors(&self, processors: usize) {
        self.check_run();
        self.state.lock().processors = processors;
    }

    #[track_caller]
    pub(crate) fn metrics(&self) -> Metrics {
        self.check_run();
        let (spawned, left) = run_log::left_of(self.tenant.number);
        let State { processors, runs, .. } = *self.state.lock();
        Metrics {
            processors,
            spawned: runs + spawned,
            finished: runs + spawned - left.len() as u64,
            ..Metrics::default()
        }
    }
}

/// The badge that the caller wore before.
struct Restore(Option<MembershipToken>);

impl Drop for Restore {
    fn drop(&mut self) {
        drop(BADGE.replace(self.0.take()));
    }
}
