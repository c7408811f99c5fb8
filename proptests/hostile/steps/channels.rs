//! Channels: each message that was sent is received once.

use crate::acts::perform;
use crate::calm::drop_calmly;
use crate::ledger::{Canary, Kind};
use crate::program::{How, Step, Value};
use crate::values::Hostile;
use crate::world::World;
use selvedge::chan::Select;
use std::sync::Arc;
use std::time::Duration;

fn micros(micros: u32) -> Duration {
    Duration::from_micros(micros.into())
}

pub fn send(world: &Arc<World>, channel: usize, value: &Value, how: How) {
    let message = Hostile::of(&world.ledger, Kind::Message, value);
    let sender = &world.channels[channel].0;
    world.sending(message, |message| match how {
        How::Plain => sender.send(message).map_err(drop_calmly),
        How::Try => sender.try_send(message).map_err(drop_calmly),
        How::Timeout(limit) => sender.send_timeout(message, micros(limit)).map_err(drop_calmly),
        How::Cancel(token) => {
            sender.send_cancel(message, &world.tokens[token]).map_err(drop_calmly)
        }
        How::Awaited => selvedge::block_on(sender.send_async(message)).map_err(drop_calmly),
    });
}

pub fn receive(world: &Arc<World>, channel: usize, how: How) {
    let receiver = &world.channels[channel].1;
    let message = match how {
        How::Plain => receiver.recv().ok(),
        How::Try => receiver.try_recv().ok(),
        How::Timeout(limit) => receiver.recv_timeout(micros(limit)).ok(),
        How::Cancel(token) => receiver.recv_cancel(&world.tokens[token]).ok(),
        How::Awaited => selvedge::block_on(receiver.recv_async()).ok(),
    };
    // Dropped here, and a panic of it goes on.
    drop(message.map(|message| world.received(message)));
}

/// The value of a send is made once its arm was chosen. What makes it is foreign code.
///
/// A goroutine that is left behind in such a select keeps whoever is chosen to receive from it waiting, so
/// only those that stay take this step, and the next.
pub fn select(world: &Arc<World>, step: &Step) {
    let Step::Select { send, value, acts, receive, limit } = step else { unreachable!() };
    if !world.stays() {
        return;
    }
    let (sender, receiver) = (&world.channels[*send].0, &world.channels[*receive].1);
    let mut number = None;
    let mut make = || {
        perform(acts);
        let message = Hostile::of(&world.ledger, Kind::Message, value);
        number = Some(message.canary().number());
        message
    };
    let (mut sent, mut got) = (None, None);
    match limit {
        Some(limit) => selvedge::select! {
            send(sender, make()) -> result => sent = Some(result),
            recv(receiver) -> result => got = result.ok(),
            default(micros(*limit)) => {}
        },
        None => selvedge::select! {
            send(sender, make()) -> result => sent = Some(result),
            recv(receiver) -> result => got = result.ok(),
        },
    }
    match sent {
        Some(Ok(())) => Canary::note_sent(&world.ledger, number.expect("it was made")),
        Some(Err(error)) => drop_calmly(error),
        None => {}
    }
    drop(got.map(|message| world.received(message)));
}

/// An operation that was selected and is never finished is undone.
pub fn selected(world: &Arc<World>, step: &Step) {
    let Step::Selected { send, value, acts, finish } = step else { unreachable!() };
    if !world.stays() {
        return;
    }
    let sender = &world.channels[*send].0;
    let mut select = Select::new();
    let index = select.send(sender);
    let Ok(operation) = select.select_timeout(micros(500)) else { return };
    assert_eq!(operation.index(), index);
    perform(acts);
    if *finish {
        let message = Hostile::of(&world.ledger, Kind::Message, value);
        world.sending(message, |message| operation.send(sender, message));
    }
}
