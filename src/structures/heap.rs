//! Heap: deadlines in order. Each deadline can be cancelled by its ticket. The heap uses no atomics, so its user must
//! lock it.
//! push: append, sift up.   pop_due: take the first entry, sift the last one down.   cancel: fill the hole.
//! Each node has four children. An entry has 16 bytes, so that the children share a cache line or two. A table,
//! indexed by ticket, says where each entry is, so that nothing outside of the heap is touched.
//!
//! [N1] No entry is earlier than its parent, so the first entry is the earliest. Equal deadlines are in the order of
//! pushes.
//! [N2] `places[slot]` is where the entry of `slot` is, and `items[slot]` is its item.
//! push, pop_due and cancel take O(log n) steps. If a push finds the vectors full, it also moves their contents.
//! Checked by: proptests/heap.rs.

/// The deadline that is never reached.
pub const NEVER: u64 = u64::MAX;

const CHILDREN: usize = 4;
/// An empty heap that has allocated more entries than this frees its memory.
const KEPT: usize = 4096;
const NO_SLOT: u32 = u32::MAX;

/// Names an entry from its push until the entry leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: u64,
    /// The number of the push, which orders equal deadlines. It wraps, so the order is right only while fewer than
    /// 2^31 pushes lie between two entries with the same deadline.
    turn: u32,
    slot: u32,
}

/// A heap of deadlines; see the module's documentation.
#[derive(Debug)]
pub struct Heap<T> {
    entries: Vec<Entry>,
    /// For each used slot, the index of its entry. For each free slot, the next free slot.
    places: Vec<u32>,
    items: Vec<Option<T>>,
    free: u32,
    turn: u32,
}

impl Entry {
    fn goes_before(&self, other: &Entry) -> bool {
        if self.deadline != other.deadline {
            return self.deadline < other.deadline;
        }
        (self.turn.wrapping_sub(other.turn) as i32) < 0
    }
}

impl<T: Copy + PartialEq> Heap<T> {
    /// Returns an empty heap, which has allocated nothing.
    pub const fn new() -> Self {
        Heap { entries: Vec::new(), places: Vec::new(), items: Vec::new(), free: NO_SLOT, turn: 0 }
    }

    /// Returns the nearest deadline, or [`NEVER`].
    #[inline]
    pub fn nearest(&self) -> u64 {
        self.entries.first().map_or(NEVER, |first| first.deadline)
    }

    /// Returns how many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry.
    pub fn push(&mut self, deadline: u64, item: T) -> Ticket {
        let slot = self.take_slot(item);
        let entry = Entry { deadline, turn: self.turn, slot };
        self.turn = self.turn.wrapping_add(1);
        self.entries.push(entry);
        self.sift_up(self.entries.len() - 1, entry);
        Ticket(slot)
    }

    /// Takes the first entry if its deadline is at `now` or before.
    pub fn pop_due(&mut self, now: u64) -> Option<T> {
        let first = *self.entries.first()?;
        if first.deadline > now {
            return None;
        }
        self.remove(0);
        let item = self.free_slot(first.slot);
        self.shrink_if_empty();
        Some(item)
    }

    /// Removes the entry that `ticket` names if it is still the entry of `item`. Returns false if the entry has
    /// left. No two entries at a time have equal items.
    pub fn cancel(&mut self, ticket: Ticket, item: T) -> bool {
        let slot = ticket.0;
        // A slot that was freed and used again holds another item. [N2]
        if self.items.get(slot as usize).copied().flatten() != Some(item) {
            return false;
        }
        self.remove(self.places[slot as usize] as usize);
        self.free_slot(slot);
        self.shrink_if_empty();
        true
    }

    /// Fills the hole at `at` with the last entry, and moves that entry to where it belongs.
    fn remove(&mut self, at: usize) {
        let last = self.entries.pop().expect("the caller has seen an entry");
        if at == self.entries.len() {
            return;
        }
        if at > 0 && last.goes_before(&self.entries[(at - 1) / CHILDREN]) {
            self.sift_up(at, last);
        } else {
            self.sift_down(at, last);
        }
    }

    /// Moves the hole at `at` up to where `entry` belongs. [N1]
    fn sift_up(&mut self, mut at: usize, entry: Entry) {
        while at > 0 {
            let parent = (at - 1) / CHILDREN;
            if !entry.goes_before(&self.entries[parent]) {
                break;
            }
            self.put(at, self.entries[parent]);
            at = parent;
        }
        self.put(at, entry);
    }

    /// Moves the hole at `at` down to where `entry` belongs. [N1]
    fn sift_down(&mut self, mut at: usize, entry: Entry) {
        loop {
            let children = CHILDREN * at + 1;
            if children >= self.entries.len() {
                break;
            }
            let end = (children + CHILDREN).min(self.entries.len());
            let mut first = children;
            for child in children + 1..end {
                if self.entries[child].goes_before(&self.entries[first]) {
                    first = child;
                }
            }
            if !self.entries[first].goes_before(&entry) {
                break;
            }
            self.put(at, self.entries[first]);
            at = first;
        }
        self.put(at, entry);
    }

    /// [N2]
    fn put(&mut self, at: usize, entry: Entry) {
        self.entries[at] = entry;
        self.places[entry.slot as usize] = at as u32;
    }

    fn take_slot(&mut self, item: T) -> u32 {
        if self.free == NO_SLOT {
            assert!(self.places.len() < NO_SLOT as usize, "more than 2^32 deadlines in one heap");
            self.places.push(0);
            self.items.push(Some(item));
            return self.places.len() as u32 - 1;
        }
        let slot = self.free;
        self.free = self.places[slot as usize];
        self.items[slot as usize] = Some(item);
        slot
    }

    fn free_slot(&mut self, slot: u32) -> T {
        self.places[slot as usize] = self.free;
        self.free = slot;
        self.items[slot as usize].take().expect("a slot with an entry has an item")
    }

    fn shrink_if_empty(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEPT {
            *self = Heap { turn: self.turn, ..Heap::new() };
        }
    }
}

impl<T: Copy + PartialEq> Default for Heap<T> {
    fn default() -> Self {
        Heap::new()
    }
}
