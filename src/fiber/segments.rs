//! Segments: the address space of a stack pool. A segment is reserved when its stacks are needed, and is given
//! back when none of its slots is in use.
//! claim: takes a slot of the lowest segment that has a free slot. If no segment has a free slot, one more
//! segment is reserved.
//! release: unmaps segments in which no slot is in use.
//!
//! Slot numbers are fixed: segment k always has the same numbers, wherever it is mapped and whether or not it
//! is mapped. The first segment has some 32 MiB. Each next segment doubles the total, until segments have 1
//! GiB each. So a small program reserves little, and a million stacks take some 500 reservations, which the
//! kernel can merge with their neighbours. If the kernel refuses a whole segment, a smaller segment is reserved,
//! and the other slot numbers of the segment stay unused meanwhile.
//!
//! Low slots are used first, so that high segments become free.
//! Checked by: src/fiber/segment_tests.rs.

use super::stack_mapping::{Guards, Mapping, Opened, Slot};
use super::{SlotLayout, StackError};
use std::ops::Range;

/// The approximate size of the first segment, and of the largest segment.
const FIRST_BYTES: usize = 32 << 20;
const MOST_BYTES: usize = 1 << 30;

/// Which slot numbers each segment has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    slots: u32,
    /// The logarithms of the number of slots in the first segment and in the largest segment.
    first: u32,
    most: u32,
}

impl Plan {
    pub(super) fn new(layout: SlotLayout, slots: u32) -> Self {
        let log = |bytes: usize| (bytes / layout.stride()).max(1).ilog2();
        Plan { slots, first: log(FIRST_BYTES), most: log(MOST_BYTES) }
    }

    /// Returns the slot numbers of segment `index`. The range is empty after the last segment.
    pub(super) fn range(self, index: usize) -> Range<u32> {
        self.start(index)..self.start(index + 1)
    }

    fn start(self, index: usize) -> u32 {
        let doublings = (self.most - self.first) as usize;
        let start = match index {
            0 => 0,
            _ if index <= doublings => 1 << (self.first as usize + index - 1),
            _ => (index - doublings) << self.most,
        };
        start.min(self.slots as usize) as u32
    }

    /// Returns the index of the segment that has slot number `slot`.
    pub(super) fn segment(self, slot: u32) -> usize {
        if slot >> self.first == 0 {
            return 0;
        }
        if slot >> self.most == 0 {
            return (slot.ilog2() - self.first + 1) as usize;
        }
        (self.most - self.first) as usize + (slot >> self.most) as usize
    }
}

/// The segments of a stack pool. The lock of the pool protects them.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) plan: Plan,
    layout: SlotLayout,
    wanted: Guards,
    /// `None` if the segment was given back, or could not be reserved.
    all: Vec<Option<Segment>>,
    /// No segment below this index has a slot to claim.
    lowest: usize,
    /// The number of slots that have their guards.
    opened: usize,
}

#[derive(Debug)]
struct Segment {
    mapping: Mapping,
    /// The number of the segment's first slot.
    start: u32,
    /// The number of slots that are out, warm, or being opened.
    used: u32,
    /// The numbers of trimmed slots. These slots are open, but have no memory now.
    trimmed: Vec<u32>,
    /// The numbers of slots for which the kernel refused a guard. They will be tried again.
    bare: Vec<u32>,
    /// No slot from this number on was ever used.
    fresh: u32,
    /// True if the segment is left out of core files, because no slot in it is in use.
    hidden: bool,
}

/// A slot that is reserved for the caller. The caller may use the slot after it has been opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    pub(super) number: u32,
    pub(super) slot: Slot,
    pub(super) is_open: bool,
}

impl Segments {
    pub(super) fn new(layout: SlotLayout, slots: u32, wanted: Guards) -> Self {
        let plan = Plan::new(layout, slots);
        Segments { plan, layout, wanted, all: Vec::new(), lowest: 0, opened: 0 }
    }

    /// Returns the number of slots that have their guards.
    pub(super) fn opened(&self) -> usize {
        self.opened
    }

    /// Claims a slot that is not in use, with the lowest number available. If `closed`, claims a slot that is
    /// not open yet.
    pub(super) fn claim(&mut self, closed: bool) -> Result<Claim, StackError> {
        let mut refused = None;
        let mut index = if closed { 0 } else { self.lowest };
        loop {
            if self.plan.range(index).is_empty() {
                let exhausted = StackError::Exhausted { slots: self.plan.slots as usize };
                return Err(refused.unwrap_or(exhausted));
            }
            match self.segment(index) {
                Ok(segment) => {
                    if let Some(claim) = segment.claim(closed) {
                        return Ok(claim);
                    }
                }
                // A higher segment that is already there may still have a free slot. A new segment would be
                // refused too.
                Err(error) => {
                    refused.get_or_insert(error);
                    if index >= self.all.len() {
                        return Err(error);
                    }
                }
            }
            index += 1;
            if !closed && refused.is_none() {
                self.lowest = index;
            }
        }
    }

    /// Returns segment `index`, and reserves it first if it is not there.
    fn segment(&mut self, index: usize) -> Result<&mut Segment, StackError> {
        if index >= self.all.len() || self.all[index].is_none() {
            let segment = Segment::reserve(self.layout, self.plan.range(index), self.wanted)?;
            if index >= self.all.len() {
                self.all.push(None);
            }
            self.all[index] = Some(segment);
        }
        Ok(self.all[index].as_mut().expect("just reserved"))
    }

    /// Records that the slot of a claim was opened. The slot stays in use.
    pub(super) fn opened_as(&mut self, number: u32, opened: Opened) {
        self.opened += 1;
        self.of(number).mapping.count(opened);
    }

    /// Records that the slot of a claim could not be opened. The slot becomes bare.
    pub(super) fn unclaim(&mut self, number: u32) {
        let segment = self.of(number);
        segment.bare.push(number);
        self.leave(number);
    }

    /// Records that a slot is no longer in use. The slot is open and has no memory.
    pub(super) fn trimmed(&mut self, number: u32) {
        self.of(number).trimmed.push(number);
        self.leave(number);
    }

    fn leave(&mut self, number: u32) {
        let index = self.plan.segment(number);
        self.lowest = self.lowest.min(index);
        self.of(number).used -= 1;
    }

    fn of(&mut self, number: u32) -> &mut Segment {
        let index = self.plan.segment(number);
        self.all[index].as_mut().expect("a segment with a slot in use is there")
    }

    /// Returns the address and the properties of a slot that is in use.
    pub(super) fn slot(&self, number: u32) -> Slot {
        let segment = self.all[self.plan.segment(number)].as_ref();
        segment.expect("a segment with a slot in use is there").slot(number)
    }

    /// Returns the number of the slot that contains this address.
    pub(super) fn number_at(&self, address: usize) -> Option<u32> {
        let mut there = self.all.iter().flatten();
        there.find_map(|segment| Some(segment.start + segment.mapping.index_of(address)?))
    }

    /// Returns how many slots of each segment are in use.
    pub(super) fn used(&self) -> Vec<u32> {
        self.all.iter().map(|segment| segment.as_ref().map_or(0, |s| s.used)).collect()
    }

    /// Forgets all segments without unmapping them. Their memory is leaked.
    pub(super) fn forget(&mut self) {
        self.all.drain(..).for_each(std::mem::forget);
    }

    /// Removes segments with an index of `from` or more in which no slot is in use. The highest segments are removed
    /// first, and only while `least` slots stay open. The caller drops the returned mappings, which unmaps them. The
    /// unused segments that are not removed are left out of core files.
    pub(super) fn release(&mut self, from: usize, least: usize) -> Vec<Mapping> {
        let mut free = Vec::new();
        for segment in self.all.iter_mut().flatten().filter(|segment| segment.used == 0) {
            if !std::mem::replace(&mut segment.hidden, true) {
                segment.mapping.dump(false);
            }
        }
        for place in self.all.iter_mut().skip(from).rev() {
            let Some(segment) = place.take_if(|segment| segment.used == 0) else { continue };
            let opened = segment.trimmed.len();
            if self.opened - opened < least {
                *place = Some(segment);
                continue;
            }
            self.opened -= opened;
            free.push(segment.mapping);
        }
        while self.all.pop_if(|last| last.is_none()).is_some() {}
        self.lowest = 0;
        free
    }
}

impl Segment {
    /// Reserves a segment for the slots of `range`, or for as many of them as the kernel grants.
    fn reserve(
        layout: SlotLayout,
        range: Range<u32>,
        wanted: Guards,
    ) -> Result<Segment, StackError> {
        let mut slots = range.end - range.start;
        let mapping = loop {
            match Mapping::reserve(layout, slots, wanted) {
                Ok(mapping) => break mapping,
                Err(error) if slots == 1 => return Err(error),
                Err(_) => slots /= 2,
            }
        };
        mapping.dump(false);
        let start = range.start;
        let (trimmed, bare) = (Vec::new(), Vec::new());
        Ok(Segment { mapping, start, used: 0, trimmed, bare, fresh: start, hidden: true })
    }

    fn slot(&self, number: u32) -> Slot {
        self.mapping.slot(number - self.start)
    }

    fn claim(&mut self, closed: bool) -> Option<Claim> {
        let trimmed = if closed { None } else { self.trimmed.pop() };
        let is_open = trimmed.is_some();
        let number = trimmed.or_else(|| self.bare.pop()).or_else(|| {
            let number = self.fresh;
            (number - self.start < self.mapping.slots()).then(|| {
                self.fresh += 1;
                number
            })
        })?;
        if std::mem::take(&mut self.hidden) {
            self.mapping.dump(true);
        }
        self.used += 1;
        Some(Claim { number, slot: self.slot(number), is_open })
    }
}
