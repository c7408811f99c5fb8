//! This file holds the table of the handlers that are registered with the poller. Each key is used once.
//! insert: take a vacant slot.   remove: vacate the slot and change the key that it will have next.
//! [N5] A key leads to the handler that it was made for, and to nothing once that handler is removed. So an event
//! that arrives after the removal is dropped.
//! Checked by: verification/loom/poller.rs, proptests/slots.rs.
#![forbid(unsafe_code)]

use super::EventHandler;
use crate::platform::Arc;

const HALF: u32 = usize::BITS / 2;

/// The index of a slot in the lower half, and the slot's generation in the upper half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(pub usize);

/// A table of handlers.
pub struct Slots<W> {
    slots: Vec<Slot<W>>,
    /// The indices of the vacant slots.
    vacant: Vec<usize>,
}

struct Slot<W> {
    generation: usize,
    handler: Option<Arc<dyn EventHandler<W>>>,
}

impl<W> Default for Slots<W> {
    fn default() -> Self {
        Slots { slots: Vec::new(), vacant: Vec::new() }
    }
}

impl<W> Slots<W> {
    /// Makes an empty table.
    pub fn new() -> Self {
        Slots::default()
    }

    /// Registers a handler.
    pub fn insert(&mut self, handler: Arc<dyn EventHandler<W>>) -> Key {
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, handler: None });
            self.slots.len() - 1
        });
        assert!(index < 1 << HALF, "a poller has room for 2^{HALF} sockets");
        let slot = &mut self.slots[index];
        slot.handler = Some(handler);
        Key(slot.generation << HALF | index)
    }

    /// Removes a handler. The caller must drop it after it has released the lock of the table. [N5]
    pub fn remove(&mut self, key: Key) -> Option<Arc<dyn EventHandler<W>>> {
        let index = key.index();
        let slot = self.slots.get_mut(index).filter(|slot| slot.generation == key.generation())?;
        let handler = slot.handler.take()?;
        // mutant: the next one has the same key: replace slot.generation + 1 with slot.generation
        slot.generation = (slot.generation + 1) & ((1 << HALF) - 1);
        self.vacant.push(index);
        Some(handler)
    }

    /// Returns the handler of a key, unless it was removed. [N5]
    pub fn get(&self, key: Key) -> Option<&dyn EventHandler<W>> {
        let slot = self.slots.get(key.index())?;
        // mutant: an old key will do: replace slot.generation == key.generation() with true
        if slot.generation == key.generation() { slot.handler.as_deref() } else { None }
    }

    /// Returns the number of registered handlers.
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Returns true if no handler is registered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Key {
    fn index(self) -> usize {
        self.0 & ((1 << HALF) - 1)
    }

    fn generation(self) -> usize {
        self.0 >> HALF
    }
}
