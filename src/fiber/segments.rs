//! Segments: the address space of an arena, reserved as stacks are needed and given back when it is free.
//! claim: a slot of the lowest segment that has one; if none has, one more segment is reserved.
//! release: segments in which nothing is in use are unmapped.
//!
//! Slot numbers are fixed: segment k always has the same ones, wherever it lies and whether it is there or
//! not. The first segment has some 32 MiB, the next doubles the whole, and so on up to 1 GiB each: a small
//! program reserves little, and a million stacks are some hundred mappings. Where the kernel refuses a
//! whole segment, a smaller one takes its place, and the rest of its numbers stay unused meanwhile.
//!
//! Low slots are used first, so that high segments become free.
//! Checked by: src/fiber/segment_tests.rs.

use super::stack_mapping::{Guards, Mapping, Opened, Slot};
use super::{SlotLayout, StackError};
use std::ops::Range;

/// About the size of the first segment; and of the largest.
const FIRST_BYTES: usize = 32 << 20;
const MOST_BYTES: usize = 1 << 30;

/// Which slot numbers each segment has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    slots: u32,
    /// Logarithms of the number of slots in the first segment, and in the largest.
    first: u32,
    most: u32,
}

impl Plan {
    pub(super) fn new(layout: SlotLayout, slots: u32) -> Self {
        let log = |bytes: usize| (bytes / layout.stride()).max(1).ilog2();
        Plan { slots, first: log(FIRST_BYTES), most: log(MOST_BYTES) }
    }

    /// The slots of segment `index`; empty behind the last one.
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

    /// The segment that has slot number `slot`.
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

/// The segments of an arena. Behind its lock.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) plan: Plan,
    layout: SlotLayout,
    wanted: Guards,
    /// `None` where a segment was given back, or could not be had.
    all: Vec<Option<Segment>>,
    /// No segment below it has a slot to claim.
    lowest: usize,
    /// Slots whose guards are in place.
    opened: usize,
}

#[derive(Debug)]
struct Segment {
    mapping: Mapping,
    /// Number of its first slot.
    start: u32,
    /// Slots that are out or warm, or are being opened.
    used: u32,
    /// Numbers of slots that were opened and have no memory.
    trimmed: Vec<u32>,
    /// Numbers of slots whose guard the kernel refused, to be tried again.
    bare: Vec<u32>,
    /// From this number on no slot was ever used.
    fresh: u32,
    /// Core files shall not have it, since nothing in it is in use.
    hidden: bool,
}

/// A slot that its caller may use, once it is open.
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

    /// Slots whose guards are in place.
    pub(super) fn opened(&self) -> usize {
        self.opened
    }

    /// A slot that is not in use, the number as low as can be had. If `closed`, one that is not open yet.
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
                // A segment above may have room all the same; one more would be refused as well.
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

    /// Segment `index`, which is reserved if it is not there.
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

    /// The slot of a claim was opened, so it is in use.
    pub(super) fn opened_as(&mut self, number: u32, opened: Opened) {
        self.opened += 1;
        self.of(number).mapping.count(opened);
    }

    /// The slot of a claim could not be opened.
    pub(super) fn unclaim(&mut self, number: u32) {
        let segment = self.of(number);
        segment.bare.push(number);
        self.leave(number);
    }

    /// The slot is in use no more, is open and has no memory.
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

    /// Where a slot that is in use is.
    pub(super) fn slot(&self, number: u32) -> Slot {
        let segment = self.all[self.plan.segment(number)].as_ref();
        segment.expect("a segment with a slot in use is there").slot(number)
    }

    /// The number of the slot in which this address lies.
    pub(super) fn number_at(&self, address: usize) -> Option<u32> {
        let mut there = self.all.iter().flatten();
        there.find_map(|segment| Some(segment.start + segment.mapping.index_of(address)?))
    }

    /// How many slots of each segment are in use.
    pub(super) fn used(&self) -> Vec<u32> {
        self.all.iter().map(|segment| segment.as_ref().map_or(0, |s| s.used)).collect()
    }

    /// Never unmaps what there is.
    pub(super) fn forget(&mut self) {
        self.all.drain(..).for_each(std::mem::forget);
    }

    /// Takes out the segments from number `from` on in which nothing is in use, the highest first, as long
    /// as `least` slots stay open. The caller drops them, which unmaps them. Those that stay are kept out of
    /// core files.
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
    /// A segment for the slots of `range`, or for as many of them as can be had.
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
