//! Steps: what actors and goroutines do of their own accord, and so what calls foreign code.

pub mod channels;
pub mod futures;
pub mod locks;
pub mod others;
pub mod runtimes;
pub mod scopes;
pub mod spawns;

use crate::acts::perform;
use crate::calm::calm;
use crate::locals::touch;
use crate::program::{On, Step};
use crate::world::World;
use std::sync::Arc;

/// Takes one step. A panic of it is caught, unless it is `bare`.
pub fn take_one(world: &Arc<World>, on: On, step: &Step, bare: bool) {
    if bare {
        take(world, on, step);
    } else {
        let _ = calm(|| take(world, on, step));
    }
    world.empty_bin();
}

fn take(world: &Arc<World>, on: On, step: &Step) {
    match step {
        Step::Do(acts) => perform(acts),
        Step::Spawn(spec) => spawns::spawn(world, spec),
        // A plain thread has no scopes.
        Step::Scope(_) if on == On::Thread && selvedge::current().id().is_none() => {}
        Step::Scope(spec) => scopes::run(world, spec),
        Step::Send(channel, value, how) => channels::send(world, *channel, value, *how),
        Step::Receive(channel, how) => channels::receive(world, *channel, *how),
        Step::Select { .. } => channels::select(world, step),
        Step::Selected { .. } => channels::selected(world, step),
        Step::HoldReceive(slot, channel, waker) => {
            futures::receive(world, *slot, *channel, waker);
        }
        Step::HoldSend(slot, channel, value, waker) => {
            futures::send(world, *slot, *channel, value, waker);
        }
        Step::HoldSleep(slot, micros, waker) => futures::sleep(world, *slot, *micros, waker),
        Step::HoldToken(slot, token, waker) => futures::token(world, *slot, *token, waker),
        Step::HoldTimer(slot, micros, waker) => futures::timer(world, *slot, *micros, waker),
        Step::BlockOn { polls, drop } => futures::block_on(world, polls, drop),
        Step::Limit(what, acts) => locks::limited(world, what, acts),
        Step::Once(acts, value) => locks::once(world, acts, value),
        Step::Blocking(acts) => selvedge::blocking(|| perform(acts)),
        Step::Pinned(acts) => selvedge::pinned(|| perform(acts)),
        Step::WithLocal(key, acts) => touch(*key, || perform(acts)),
        Step::Hog(micros, computes) => runtimes::hog(*micros, *computes),
        Step::BuildSecond(build) => runtimes::build_second(world, build),
        Step::Private(build, steps, shut) => runtimes::private(world, build, steps, *shut),
        Step::HoldSignal(slot, waker) => others::signal(world, *slot, waker),
        Step::Odd(what, acts, value) => others::odd(world, what, acts, value),
        Step::Timer(micros, acts) => futures::reset_timer(world, *micros, acts),
    }
}
