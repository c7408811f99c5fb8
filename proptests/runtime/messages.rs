//! Large messages through channels: how often they lie on the stack.

use crate::common::{beside, finish};
use crate::stacks::{KIB, MIB};
use selvedge::chan::{Receiver, Sender, bounded};
use selvedge::{Runtime, Spawn};
use std::hint::black_box;

const MESSAGE: usize = 64 * KIB;
type Message = [u8; MESSAGE];

#[inline(never)]
fn message() -> Box<Message> {
    vec![1; MESSAGE].into_boxed_slice().try_into().expect("so long")
}

#[inline(never)]
fn send(to: &Sender<Message>) {
    to.send(*message()).unwrap();
}

#[inline(never)]
fn recv(from: &Receiver<Message>) -> Box<Message> {
    Box::new(from.recv().unwrap())
}

#[inline(never)]
fn try_recv(from: &Receiver<Message>) -> Box<Message> {
    Box::new(from.try_recv().unwrap())
}

#[inline(never)]
fn select_recv(from: &Receiver<Message>) -> Box<Message> {
    selvedge::select! { recv(from) -> message => Box::new(message.unwrap()) }
}

/// A message is in the caller's argument, or its result and what it is unwrapped to, and nowhere below; in a
/// `select!` once more, in its arm. (Tests are optimized; else the caller's own moves would come on top.)
#[test]
fn a_large_message_is_not_copied_from_frame_to_frame() {
    beside(|| {
        let builder = Runtime::builder().processors(1).stack_size(4 * MIB).measure_stacks(true);
        let runtime = builder.build().unwrap();
        let (to, from) = bounded::<Message>(4);
        let copies = |name: &str, operation: &(dyn Fn() + Sync)| {
            let call = || {
                selvedge::scope(|s| {
                    s.go_with(Spawn::new().name(name), operation).unwrap().join().unwrap();
                })
            };
            runtime.run(call);
            let uses = runtime.stack_use();
            let of = |name: &str| uses.iter().find(|used| used.name.as_deref() == Some(name));
            let base = of("base").map_or(0, |used| used.most);
            (of(name).unwrap().most - base) as f64 / MESSAGE as f64
        };
        let _ = copies("base", &|| drop(black_box(message())));
        for (name, operation, most) in [
            ("send", &(|| send(&to)) as &(dyn Fn() + Sync), 2.2),
            ("recv", &|| drop(recv(&from)), 2.2),
            ("send again", &|| send(&to), 2.2),
            ("try_recv", &|| drop(try_recv(&from)), 2.2),
            ("send once more", &|| send(&to), 2.2),
            ("select! recv", &|| drop(select_recv(&from)), 3.2),
        ] {
            let found = copies(name, operation);
            assert!(found <= most, "{name}: {found} copies");
        }
        finish(runtime);
    });
}
