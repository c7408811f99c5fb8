//! Other places where foreign code is called: conversions, iterators, `Deref`, `IntoFuture`, `Clone` and
//! `PartialEq` of values, and destructors of values that are replaced, or that nobody will receive.

use crate::acts::perform;
use crate::calm::{calm, drop_calmly};
use crate::ledger::Kind;
use crate::locals::replace;
use crate::program::{Acts, Odd, Value, WakerSpec};
use crate::steps::futures::hold;
use crate::values::Hostile;
use crate::world::World;
use selvedge::chan::{Receiver, Sender, unbounded};
use selvedge::signal::{SIGUSR1, Signals};
use selvedge::sync::OnceLock;
use selvedge::time::Instant;
use selvedge::{Spawn, net, process, time};
use std::future::{IntoFuture, Ready, ready};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// Converts, iterates and the like by performing acts.
struct Converts<'a>(&'a Acts);

impl From<Converts<'_>> for Instant {
    fn from(converts: Converts<'_>) -> Instant {
        perform(converts.0);
        Instant::now()
    }
}

impl From<Converts<'_>> for String {
    fn from(converts: Converts<'_>) -> String {
        perform(converts.0);
        String::from("converted")
    }
}

impl AsRef<std::ffi::OsStr> for Converts<'_> {
    fn as_ref(&self) -> &std::ffi::OsStr {
        perform(self.0);
        std::ffi::OsStr::new("-n")
    }
}

impl ToSocketAddrs for Converts<'_> {
    type Iter = std::iter::Empty<SocketAddr>;

    fn to_socket_addrs(&self) -> io::Result<Self::Iter> {
        perform(self.0);
        Ok(std::iter::empty())
    }
}

impl net::ToSocketAddrs for Converts<'_> {}

impl IntoFuture for Converts<'_> {
    type Output = ();
    type IntoFuture = Ready<()>;

    fn into_future(self) -> Ready<()> {
        perform(self.0);
        ready(())
    }
}

impl Iterator for Converts<'_> {
    type Item = i32;

    fn next(&mut self) -> Option<i32> {
        perform(self.0);
        None
    }
}

/// Leads to an end of a channel.
struct Leads<'a, T>(&'a Acts, &'a T);

impl<T> Deref for Leads<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        perform(self.0);
        self.1
    }
}

/// A message that is sent again, on its own channel, when it is dropped.
struct Echo {
    value: Hostile,
    back: Option<Sender<Echo>>,
    again: Option<Hostile>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.value.canary().check();
        if let (Some(back), Some(value)) = (self.back.take(), self.again.take()) {
            let _ = back.send(Echo { value, back: None, again: None });
        }
    }
}

pub fn odd(world: &Arc<World>, what: &Odd, acts: &Acts, value: &Value) {
    let make = || Hostile::of(&world.ledger, Kind::Other, value);
    match what {
        Odd::Deref => deref(world, acts),
        Odd::Instant => {
            drop(world.mutex.lock_deadline(Converts(acts)));
            time::sleep_until(Converts(acts));
            let _ = world.group.wait_deadline(Converts(acts));
        }
        Odd::Name => {
            drop(Spawn::new().name(Converts(acts)));
        }
        Odd::Address => {
            assert!(net::TcpStream::connect(Converts(acts)).is_err(), "there is no address");
        }
        Odd::Argument => {
            let mut command = process::Command::new("true");
            command.arg(Converts(acts));
            drop(command);
        }
        Odd::Iterator => {
            let _ = Signals::new(Converts(acts));
        }
        Odd::IntoFuture => selvedge::block_on(Converts(acts)),
        Odd::LastReceiver => last_receiver(world, value),
        Odd::Value => values(world, acts, make()),
        Odd::Replaced => replace(make()),
    }
}

fn deref(world: &World, acts: &Acts) {
    let (sender, receiver) = &world.channels[2];
    let (sender, receiver) = (Leads(acts, sender), Leads(acts, receiver));
    let mut got = None;
    selvedge::select! {
        recv(receiver) -> message => got = message.ok(),
        default => {}
    }
    drop(got.map(|message| world.received(message)));
    assert!(sender.capacity().is_some());
}

/// What is in the channel goes with the last receiver, and sends on the channel, which is closed.
fn last_receiver(world: &World, value: &Value) {
    let make = || Hostile::of(&world.ledger, Kind::Other, value);
    let (sender, receiver): (Sender<Echo>, Receiver<Echo>) = unbounded();
    for _ in 0..3 {
        let message = Echo { value: make(), back: Some(sender.clone()), again: Some(make()) };
        assert!(sender.send(message).is_ok(), "there is a receiver");
    }
    drop(receiver);
    assert!(sender.is_closed());
}

/// A value that is cloned, compared, taken.
fn values(world: &World, acts: &Acts, value: Hostile) {
    let mut lock = OnceLock::from(Compares(value, acts, world));
    let copy = calm(|| lock.clone());
    let _ = calm(|| copy.as_ref().is_some_and(|copy| *copy == lock));
    drop_calmly(copy);
    drop(lock.take());
}

struct Compares<'a>(Hostile, &'a Acts, &'a World);

impl Clone for Compares<'_> {
    fn clone(&self) -> Self {
        self.0.canary().check();
        perform(self.1);
        Compares(Hostile::of(&self.2.ledger, Kind::Other, &Value::default()), self.1, self.2)
    }
}

impl PartialEq for Compares<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.canary().check();
        other.0.canary().check();
        perform(self.1);
        true
    }
}

/// A future that waits for a signal: its waker is called on the thread of signals.
pub fn signal(world: &Arc<World>, slot: usize, waker: &WakerSpec) {
    let signals = Signals::new([SIGUSR1]).expect("they can be had");
    hold(world, slot, waker, async move {
        let _ = signals.recv_async().await;
    });
}

pub fn raise(world: &World) {
    world.raised.store(true, SeqCst);
    // SAFETY: the process handles it as long as it runs programs: see `listens`.
    unsafe { libc::kill(libc::getpid(), SIGUSR1) };
}

/// From here on the signal of `raise` does not end the process.
pub fn listens() {
    std::mem::forget(Signals::new([SIGUSR1]).expect("they can be had"));
}

/// Whether the thread of signals is there.
pub fn hears() -> bool {
    let signals = Signals::new([SIGUSR1]).expect("they can be had");
    // SAFETY: it is handled.
    unsafe { libc::kill(libc::getpid(), SIGUSR1) };
    signals.recv_timeout(Duration::from_secs(5)).is_ok()
}
