//! Goroutines: how they are spawned, what they do, and what their joiners must find.

use crate::calm::{calm_unless, drop_calmly, drop_payload, unwinding};
use crate::ledger::{Kind, Ledger, Life, fault};
use crate::program::{Act, Keep, On, Spawn, Step, Value};
use crate::slow::Late;
use crate::steps::take_one;
use crate::values::{Hostile, Outcome, throw};
use crate::wakers::poll_once;
use crate::world::{Joinable, World, world};
use selvedge::{JoinError, SpawnError, time, try_go};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

/// Nobody waits longer for a goroutine that was left behind.
const SOON: Duration = Duration::from_secs(5);
/// What is awaited is polled so often by hostile wakers, and then as usual.
pub const POLLS: usize = 20;

/// Records how a goroutine ends.
struct Living {
    ledger: Arc<Ledger>,
    number: usize,
}

impl Drop for Living {
    fn drop(&mut self) {
        self.ledger.lives(self.number, if unwinding() { Life::Panicked } else { Life::Returned });
    }
}

/// The life of a goroutine. What the closure owns goes before its end is recorded.
fn live(number: usize, spec: &Spawn, capture: Hostile) -> Outcome {
    let _late = Late(spec.late);
    let ledger = Arc::clone(capture.canary().ledger());
    ledger.lives(number, Life::Running);
    let _living = Living { ledger: Arc::clone(&ledger), number };
    let world = world();
    let act = || {
        let capture = capture;
        if let Some(world) = &world {
            for (step, bare) in &spec.steps {
                ledger.does(number, format!("{step:?}"));
                take_one(world, spec.on, step, *bare);
            }
        }
        ledger.does(number, String::from("its end"));
        drop(capture);
    };
    // Where nobody asks for it, a payload whose destructor panics aborts, as a result does.
    let passes = world.as_ref().is_none_or(|world| world.program.lets_payloads_pass());
    if calm_unless(passes, act).is_none() {
        throw(0);
    }
    drop(world);
    Outcome { value: Hostile::owned(&ledger, Kind::Result, number, &spec.result), of: number }
}

/// Spawns a goroutine where `spec` says, or where the caller is.
pub fn spawn(world: &Arc<World>, spec: &Spawn) {
    if let Some(joinable) = start(world, spec) {
        keep(world, joinable, &spec.keep);
    }
}

fn start(world: &Arc<World>, spec: &Spawn) -> Option<Joinable> {
    let number = world.ledger.spawned(&format!("{:?}", spec.on));
    let capture = Hostile::owned(&world.ledger, Kind::Capture, number, &spec.capture);
    let shared = Arc::new(spec.clone());
    let closure = move || live(number, &shared, capture);
    let place = world.runtime(spec.on);
    let (spawned, ended) = match &place {
        Some(place) => (place.runtime().try_go(closure), Arc::clone(&place.ended)),
        // A goroutine's own runtime, which may be any.
        None => (try_go(closure), Arc::default()),
    };
    let is_known = place.is_some();
    // Perhaps it ends the runtime here.
    drop(place);
    match spawned {
        Ok(handle) => {
            world.ledger.lives(number, Life::NotBegun);
            Some(Joinable { handle, number, ended: is_known.then_some(ended) })
        }
        Err(error) => {
            refused(world, number, error);
            None
        }
    }
}

fn refused<F>(world: &World, number: usize, error: SpawnError<F>) {
    assert!(!format!("{error} {error:?}").is_empty());
    world.ledger.lives(number, Life::Refused);
    drop(error);
}

/// A goroutine without steps, which performs `acts`.
pub fn spawn_leaf(world: &Arc<World>, capture: &Value, acts: &[Act]) {
    if !world.may_spawn() {
        return;
    }
    let on = if selvedge::current().id().is_some() { On::Thread } else { On::Main };
    let steps = vec![(Step::Do(acts.to_vec()), true)];
    let (capture, result) = (capture.clone(), Value::default());
    spawn(world, &Spawn { on, steps, capture, result, late: 0, keep: Keep::Shared });
}

fn keep(world: &Arc<World>, joinable: Joinable, keep: &Keep) {
    match keep {
        Keep::Shared => world.share(joinable),
        Keep::Detach => drop(joinable),
        Keep::Join => {
            let Joinable { handle, number, ended } = joinable;
            check(world, number, &ended, handle.join());
        }
        Keep::JoinTimeout(micros) => {
            join_within(world, joinable, Duration::from_micros((*micros).into()));
        }
        Keep::JoinCancel(token) => {
            let Joinable { handle, number, ended } = joinable;
            match handle.join_cancel(&world.tokens[*token]) {
                Ok(result) => check(world, number, &ended, result),
                Err(error) => {
                    assert!(!format!("{error} {error:?}").is_empty());
                    world.share(Joinable { handle: error.into_handle(), number, ended });
                }
            }
        }
        Keep::Await(spec) => {
            let Joinable { handle, number, ended } = joinable;
            let mut future = handle.into_future();
            for _ in 0..POLLS {
                match poll_once(Pin::new(&mut future), &world.ledger, spec) {
                    Poll::Ready(result) => return check(world, number, &ended, result),
                    Poll::Pending => time::sleep(Duration::from_micros(200)),
                }
            }
            check(world, number, &ended, selvedge::block_on(future));
        }
        Keep::Hold(slot, spec) => {
            let Joinable { handle, number, ended } = joinable;
            let own = Arc::clone(world);
            let mut future = Box::pin(async move { check(&own, number, &ended, handle.await) });
            if poll_once(future.as_mut(), &world.ledger, spec).is_pending() {
                world.hold(*slot, future);
            }
        }
        Keep::PollAndDrop(spec) => {
            let Joinable { handle, number, ended } = joinable;
            let mut future = handle.into_future();
            if let Poll::Ready(result) = poll_once(Pin::new(&mut future), &world.ledger, spec) {
                check(world, number, &ended, result);
            }
        }
    }
}

pub fn join_within(world: &Arc<World>, joinable: Joinable, limit: Duration) {
    let Joinable { handle, number, ended } = joinable;
    match handle.join_timeout(limit) {
        Ok(result) => check(world, number, &ended, result),
        Err(error) => world.share(Joinable { handle: error.into_handle(), number, ended }),
    }
}

/// Joins a goroutine whose runtime has ended, or ends just now.
pub fn join_soon(world: &Arc<World>, joinable: Joinable) {
    let Joinable { handle, number, ended } = joinable;
    match handle.join_timeout(SOON) {
        Ok(result) => check(world, number, &ended, result),
        Err(_) => {
            fault(&format!("the joiner of {number} hears nothing, and its runtime has ended"))
        }
    }
}

/// A joiner gets the result of this goroutine, its panic, or word that its runtime has ended.
pub fn check(
    world: &World,
    number: usize,
    ended: &Option<Arc<std::sync::atomic::AtomicBool>>,
    result: Result<Outcome, JoinError>,
) {
    let life = world.ledger.life(number);
    match result {
        Ok(outcome) => {
            outcome.value.canary().check();
            if outcome.of != number || life != Life::Returned {
                fault(&format!(
                    "the joiner of {number} ({life:?}) got the result of {}",
                    outcome.of
                ));
            }
            drop_calmly(outcome);
        }
        Err(error) => {
            assert!(!format!("{error} {error:?}").is_empty());
            if error.is_abandoned() {
                if ended.as_ref().is_some_and(|ended| !ended.load(SeqCst)) {
                    fault(&format!("goroutine {number} was abandoned, and its runtime is there"));
                }
            } else if life != Life::Panicked {
                fault(&format!("the joiner of {number} ({life:?}) is told of a panic"));
            }
            if let Ok(payload) = error.into_panic() {
                drop_payload(payload);
            }
        }
    }
}
