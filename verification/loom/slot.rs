//! The slot of one item: [P3], [P4].

use crate::harness::{Bound, Payload, Scenario, assert_conserved, join, spawn};
use selvedge::internals::platform::{Arc, Mutex};
use selvedge::internals::structures::Slot;
use std::ptr::NonNull;

/// Two items, and the slot through which they go.
struct World {
    slot: Slot<Payload>,
    items: [Payload; 2],
    left: Mutex<Vec<usize>>,
}

fn world() -> Arc<World> {
    let items = [Payload::new(0), Payload::new(0)];
    Arc::new(World { slot: Slot::new(), items, left: Mutex::new(Vec::new()) })
}

impl World {
    /// Writes an item, and puts it in. What that displaces leaves here.
    fn put(&self, number: usize) {
        let item = &self.items[number - 1];
        item.write(number);
        let displaced = self.slot.put(NonNull::from(item));
        self.leave(displaced);
    }

    fn take(&self) {
        self.leave(self.slot.take());
    }

    fn leave(&self, item: Option<NonNull<Payload>>) {
        // SAFETY: the items lie in the world, which outlives its threads.
        let number = item.map(|item| unsafe { item.as_ref() }.take());
        self.left.lock().extend(number);
    }
}

/// 3 threads: put, put | take | take. Complete in the long run. Each item leaves once, whole.
#[test]
fn an_item_leaves_once_whoever_takes_it() {
    Scenario {
        name: "slot: an item leaves once, whoever takes it [P3] [P4]",
        threads: 3,
        operations: "2 put | take | take",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let thieves = [(), ()].map(|()| {
            let world = Arc::clone(&world);
            spawn(move || world.take())
        });
        world.put(1);
        world.put(2);
        thieves.into_iter().for_each(join);
        world.take();
        assert_conserved(2, std::mem::take(&mut *world.left.lock()));
    });
}

/// 3 threads: put, hand over | take over, put | take. The next owner may get what the first put in.
#[test]
fn a_slot_passes_from_owner_to_owner() {
    Scenario {
        name: "slot: a slot passes from owner to owner [P3] [P4]",
        threads: 3,
        operations: "put, hand over | take over, put | take",
    }
    .check(Bound::complete_if_long(), || {
        let world = world();
        let owner = Arc::new(Mutex::new(1));
        let thief = {
            let world = Arc::clone(&world);
            spawn(move || world.take())
        };
        let next = {
            let (world, owner) = (Arc::clone(&world), Arc::clone(&owner));
            spawn(move || {
                // Before it has the slot it does nothing.
                if *owner.lock() == 2 {
                    world.put(2);
                } else {
                    world.items[1].write(2);
                    world.left.lock().push(2);
                }
            })
        };
        world.put(1);
        *owner.lock() = 2;
        join(next);
        join(thief);
        world.take();
        assert_conserved(2, std::mem::take(&mut *world.left.lock()));
    });
}
