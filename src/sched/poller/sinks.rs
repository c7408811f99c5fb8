//! Slots: who is registered with the poller, by keys that are used once.
//! insert: take a vacant slot.   remove: the slot is vacant, and its next key another.
//! [N5] A key leads to what it was made for, and to nothing once that is removed: an event that was
//! under way meanwhile is dropped.
//! Checked by: verification/loom/poller.rs, proptests/slots.rs.
#![forbid(unsafe_code)]

use super::EventHandler;
use crate::platform::Arc;

const HALF: u32 = usize::BITS / 2;

/// A slot's index in the lower half, its generation in the upper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(pub usize);

/// The table.
pub struct Slots<W> {
    slots: Vec<Slot<W>>,
    /// Vacant ones.
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
    /// An empty table.
    pub fn new() -> Self {
        Slots::default()
    }

    /// Registers a sink.
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

    /// Forgets a sink, which the caller drops without the lock. [N5]
    pub fn remove(&mut self, key: Key) -> Option<Arc<dyn EventHandler<W>>> {
        let index = key.index();
        let slot = self.slots.get_mut(index).filter(|slot| slot.generation == key.generation())?;
        let handler = slot.handler.take()?;
        // mutant: the next one has the same key: replace slot.generation + 1 with slot.generation
        slot.generation = (slot.generation + 1) & ((1 << HALF) - 1);
        self.vacant.push(index);
        Some(handler)
    }

    /// What a key leads to. [N5]
    pub fn get(&self, key: Key) -> Option<&dyn EventHandler<W>> {
        let slot = self.slots.get(key.index())?;
        // mutant: an old key will do: replace slot.generation == key.generation() with true
        if slot.generation == key.generation() { slot.handler.as_deref() } else { None }
    }

    /// How many are registered.
    pub fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Whether none is.
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
