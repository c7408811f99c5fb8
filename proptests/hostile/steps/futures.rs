//! Futures that are polled once, with a hostile waker, and then held: somebody polls or drops them later.

use crate::acts::perform;
use crate::ledger::{Canary, Kind};
use crate::program::{Acts, Value, WakerSpec};
use crate::values::Hostile;
use crate::wakers::poll_once;
use crate::world::{Held, World};
use selvedge::time::{self, Timer};
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}

pub fn hold(
    world: &World,
    slot: usize,
    waker: &WakerSpec,
    future: impl Future<Output = ()> + Send + 'static,
) {
    let mut future: Held = Box::pin(future);
    if poll_once(future.as_mut(), &world.ledger, waker).is_pending() {
        world.hold(slot, future);
    }
}

pub fn receive(world: &Arc<World>, slot: usize, channel: usize, waker: &WakerSpec) {
    let own = Arc::clone(world);
    let receiver = world.channels[channel].1.clone();
    hold(world, slot, waker, async move {
        if let Ok(message) = receiver.recv_async().await {
            own.put_into_bin(own.received(message));
        }
    });
}

pub fn send(world: &Arc<World>, slot: usize, channel: usize, value: &Value, waker: &WakerSpec) {
    let ledger = Arc::clone(&world.ledger);
    let sender = world.channels[channel].0.clone();
    let message = Hostile::of(&ledger, Kind::Message, value);
    let number = message.canary().number();
    hold(world, slot, waker, async move {
        if sender.send_async(message).await.is_ok() {
            Canary::note_sent(&ledger, number);
        }
    });
}

pub fn sleep(world: &Arc<World>, slot: usize, length: u32, waker: &WakerSpec) {
    hold(world, slot, waker, time::sleep_async(micros(length)));
}

pub fn token(world: &Arc<World>, slot: usize, token: usize, waker: &WakerSpec) {
    let token = world.tokens[token].clone();
    hold(world, slot, waker, async move { token.cancelled_async().await });
}

pub fn timer(world: &Arc<World>, slot: usize, length: u32, waker: &WakerSpec) {
    let receiver = time::after(micros(length));
    hold(world, slot, waker, async move {
        let _ = receiver.recv_async().await;
    });
}

/// A timer is set anew while a future waits for it.
pub fn reset_timer(world: &Arc<World>, length: u32, acts: &Acts) {
    let timer = Timer::after(Duration::from_secs(3600));
    let spec = WakerSpec { wake: acts.clone(), ..WakerSpec::default() };
    let mut future = Box::pin(timer.receiver().recv_async());
    if poll_once(future.as_mut(), &world.ledger, &spec).is_pending() {
        timer.reset(micros(length));
        selvedge::block_on(future).expect("its time has come");
    }
}

/// A future of the program's own: each poll performs acts, and wakes itself.
pub fn block_on(world: &Arc<World>, polls: &[Acts], drop: &Value) {
    let owned = Hostile::of(&world.ledger, Kind::Other, drop);
    let mut at = 0;
    selvedge::block_on(poll_fn(move |context| {
        owned.canary().check();
        let Some(acts) = polls.get(at) else { return Poll::Ready(()) };
        at += 1;
        perform(acts);
        context.waker().wake_by_ref();
        Poll::Pending
    }));
}
