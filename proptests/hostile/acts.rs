//! Acts: what foreign code does. Called by wakers, destructors, hooks and closures, on whatever thread
//! and in whatever state the runtime calls them.

use crate::calm::{calm, drop_calmly, unwinding};
use crate::ledger::Kind;
use crate::locals::{touch, touch_thread};
use crate::program::{Act, Child, Keep, On, ScopeSpec, Value, WakerSpec};
use crate::slow::slowly;
use crate::steps::{others, scopes, spawns};
use crate::values::{Hostile, throw};
use crate::wakers::poll_once;
use crate::world::{World, world};
use selvedge::time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

/// No act waits longer for another goroutine.
const SHORT: Duration = Duration::from_micros(300);

/// Performs acts one after the other. A panic of one ends them, and goes to the caller: to the runtime.
/// While the thread unwinds, each panic is caught here, since std would abort.
pub fn perform(acts: &[Act]) {
    if acts.is_empty() {
        return;
    }
    let Some(world) = world() else { return };
    for act in acts {
        if unwinding() {
            let _ = calm(|| once(&world, act));
        } else {
            once(&world, act);
        }
    }
}

fn once(world: &Arc<World>, act: &Act) {
    match act {
        Act::Panic => throw(0),
        Act::PanicBadly(depth) => throw(*depth),
        Act::Yield => selvedge::yield_now(),
        Act::Sleep(micros) => time::sleep(Duration::from_micros((*micros).into())),
        Act::Block(micros) => std::thread::sleep(Duration::from_micros((*micros).into())),
        Act::Slow(steps) => slowly(*steps),
        Act::Calmly(acts) => {
            for act in acts {
                let _ = calm(|| once(world, act));
            }
        }
        Act::Touch(key) => touch(*key, || ()),
        Act::TouchThread => touch_thread(),
        Act::Join | Act::Detach | Act::Unpark | Act::Spawn(..) => goroutines(world, act),
        Act::Send(..) | Act::Receive(_) | Act::Close(_) | Act::Cancel(_) => channels(world, act),
        Act::PollHeld(slot, spec) => poll_held(world, *slot, spec),
        Act::DropHeld(slot) => drop(world.take_held(*slot)),
        Act::EndRuntime => world.end_second(false),
        Act::ShutRuntime => world.end_second(true),
        Act::Lock | Act::Acquire | Act::Notify => locks(world, act),
        Act::Blocking(acts) => selvedge::blocking(|| perform(acts)),
        Act::NoSuspend(acts) => selvedge::no_suspend(|| perform(acts)),
        Act::Scope(acts) => scope(world, acts),
        Act::Print => print(world),
        Act::Raise => others::raise(world),
        Act::Exit => exit(),
    }
}

/// std aborts where a destructor that runs meanwhile exits again.
fn exit() {
    static EXITS: AtomicBool = AtomicBool::new(false);
    if !EXITS.swap(true, SeqCst) {
        std::process::exit(crate::run::EXITED);
    }
}

fn goroutines(world: &Arc<World>, act: &Act) {
    if let Act::Spawn(capture, acts) = act {
        return spawns::spawn_leaf(world, capture, acts);
    }
    let Some(joinable) = world.some_handle(world.program.seed.is_multiple_of(2)) else { return };
    match act {
        // Each joiner hears soon of a goroutine that was left behind.
        Act::Join if joinable.is_left_behind() => spawns::join_soon(world, joinable),
        Act::Join => spawns::join_within(world, joinable, SHORT),
        Act::Unpark => {
            joinable.handle.goroutine().unpark();
            world.share(joinable);
        }
        _ => drop(joinable),
    }
}

fn channels(world: &Arc<World>, act: &Act) {
    match act {
        Act::Send(channel, value) => {
            let message = Hostile::of(&world.ledger, Kind::Message, value);
            let sender = &world.channels[*channel].0;
            world.sending(message, |message| sender.send_timeout(message, SHORT));
        }
        Act::Receive(channel) => {
            // While it unwinds, the thread itself waits; a select at home there, once it is chosen to send,
            // could never make its value: docs/panics.md.
            if !unwinding()
                && let Ok(message) = world.channels[*channel].1.recv_timeout(SHORT)
            {
                world.put_into_bin(world.received(message));
            }
        }
        Act::Close(channel) => drop(world.channels[*channel].0.close()),
        Act::Cancel(token) => world.tokens[*token].cancel(),
        _ => unreachable!("not an act on channels or tokens"),
    }
}

/// Where the poll panics, the future is dropped while the thread unwinds.
fn poll_held(world: &Arc<World>, slot: usize, spec: &WakerSpec) {
    let Some(mut future) = world.take_held(slot) else { return };
    if poll_once(future.as_mut(), &world.ledger, spec).is_pending() {
        world.hold(slot, future);
    }
}

fn locks(world: &World, act: &Act) {
    match act {
        Act::Lock => match world.mutex.lock_timeout(SHORT) {
            Ok(guard) => guard.canary().check(),
            Err(error) => drop_calmly(error),
        },
        Act::Acquire => drop(world.permits.acquire_timeout(1, SHORT)),
        _ => world.condvar.notify_all(),
    }
}

fn scope(world: &Arc<World>, acts: &[Act]) {
    if selvedge::current().id().is_none() || !world.may_spawn() {
        return;
    }
    let child = Child {
        elsewhere: false,
        acts: acts.to_vec(),
        capture: Value::default(),
        result: Value::default(),
        late: 0,
        keep: Keep::Detach,
    };
    scopes::run(world, &ScopeSpec { children: vec![child], token: None, body: Vec::new() });
}

/// Where what is formatted asks for it again, that would have no end.
fn print(world: &World) {
    if world.printing.swap(true, SeqCst) {
        return;
    }
    let _over = Over(&world.printing);
    let (sender, receiver) = &world.channels[1];
    let text = format!("{sender:?} {receiver:?} {:?} {:?}", world.tokens, world.mutex);
    let text = format!("{text} {:?} {:?} {:?}", world.shared, world.permits, world.condvar);
    let second = world.runtime(On::Second);
    let text = format!("{text} {:?}", second.as_ref().map(|place| place.runtime()));
    assert!(!text.is_empty());
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(false, SeqCst);
    }
}
