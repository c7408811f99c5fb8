//! Compare: finds out what each word of a block is, by comparing the blocks of two donors. [C8]
//! A word that is equal in both blocks is a constant. A word that differs by the distance of the donors'
//! thread pointers points into the block itself. The other words are few, and this file must know the purpose
//! of each of them. docs/thread-locals.md lists them.
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::donor::Donor;
use super::error::ThreadLocalsError;
use super::learn::{Offset, Range};
use super::pointer;
use super::template::{VECTOR, layout};
use crate::fiber::sanitizer;
use std::ptr;

/// The words that guard stacks and pointers, by the ABI. They are the same in all threads of a process.
const GUARDS: [Offset; 2] = [0x28, 0x30];

/// The result of comparing two donors.
pub(super) struct Compared<'a> {
    pub(super) donors: [&'a Donor; 2],
    pub(super) range: Range,
    pub(super) image: Vec<u64>,
    pub(super) selves: Vec<(Offset, isize)>,
    pub(super) stack_low: Vec<Offset>,
    pub(super) stack_high: Vec<Offset>,
    pub(super) stack_size: Vec<Offset>,
    pub(super) list: Option<Offset>,
    pub(super) number: Option<Offset>,
    /// Words that stay with the kernel thread.
    pub(super) kernel_threads: Vec<Offset>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(
        one: &'a Donor,
        two: &'a Donor,
        range: Range,
    ) -> Result<Self, ThreadLocalsError> {
        let images = [one, two].map(|donor| donor.image(range.below, range.above));
        let mut compared = Compared {
            donors: [one, two],
            range,
            image: images[0].clone(),
            selves: Vec::new(),
            stack_low: Vec::new(),
            stack_high: Vec::new(),
            stack_size: Vec::new(),
            list: None,
            number: None,
            kernel_threads: Vec::new(),
        };
        let [first, second] = images;
        for (word, (a, b)) in first.iter().copied().zip(second.iter().copied()).enumerate() {
            let offset = range.offset(word);
            if a == b && a == one.stack_bytes() as u64 {
                compared.stack_size.push(offset);
            }
            if a == b || range.is_rseq(offset) {
                continue;
            }
            compared.differs(offset, [a, b], &[&first, &second])?;
        }
        Ok(compared)
    }

    /// Finds out the purpose of a word that differs between the donors.
    fn differs(
        &mut self,
        offset: Offset,
        values: [u64; 2],
        images: &[&[u64]; 2],
    ) -> Result<(), ThreadLocalsError> {
        let [one, two] = self.donors;
        let pointers = [one, two].map(|donor| donor.thread_pointer() as u64);
        let word = self.range.word(offset);
        let each = |f: &dyn Fn(&Donor) -> u64| [f(one), f(two)] == values;
        let distance = values[0].wrapping_sub(pointers[0]) as isize;
        let inside = -(self.range.below as isize)..self.range.above as isize;
        if offset == VECTOR {
            self.image[word] = 0;
        } else if inside.contains(&distance)
            && values[1].wrapping_sub(pointers[1]) as isize == distance
        {
            self.selves.push((offset, distance));
        } else if each(&|donor| donor.stack() as u64) {
            self.stack_low.push(offset);
        } else if each(&|donor| (donor.stack() + donor.stack_bytes()) as u64) {
            self.stack_high.push(offset);
        } else if each(&|donor| donor.argument())
            || [one, two].iter().zip(values).all(|(donor, value)| is_on_stack(donor, value))
        {
            // The word is the argument of the thread's first function, or points into that function's frame.
            self.image[word] = 0;
        } else if self.is_number(offset, values) {
            // `is_number` has checked that the other half of this word is the same in both blocks.
        } else if !self.is_link(offset, images) {
            if !sanitizer::IS_ON {
                return Err(layout("a word that differs between threads is not known", offset));
            }
            self.is_the_sanitizers(offset);
        }
        Ok(())
    }

    /// Records a word that belongs to AddressSanitizer. The sanitizer uses two words of the control block: the
    /// value of its key, and the address of its own function, which it has stored in place of the thread's first
    /// function. Both words belong to the kernel thread. The sanitizer's variables begin as zeros, as in a new
    /// thread, and each side of a switch sets its own variables.
    fn is_the_sanitizers(&mut self, offset: Offset) {
        let word = self.range.word(offset);
        self.image[word] = 0;
        if offset >= 0 {
            self.kernel_threads.push(offset);
        }
    }

    fn is_number(&mut self, offset: Offset, values: [u64; 2]) -> bool {
        let numbers = self.donors.map(|donor| u64::from(donor.kernel_id()));
        for (half, shift) in [(0, 0), (4, 32)] {
            let other = 0xffff_ffff_u64 << (32 - shift);
            let is = |at: usize| (values[at] >> shift) & 0xffff_ffff == numbers[at];
            if is(0) && is(1) && values[0] & other == values[1] & other && self.number.is_none() {
                self.number = Some(offset + half);
                return true;
            }
        }
        false
    }

    /// Returns true for a link of the C library's list of threads, in which the donors are neighbours. The
    /// second donor's link `next` points to the first donor's links, and the first donor's `previous` points
    /// to the second donor's links.
    fn is_link(&mut self, offset: Offset, images: &[&[u64]; 2]) -> bool {
        let at = |donor: usize, offset: Offset| images[donor].get(self.range.word(offset)).copied();
        let place = |donor: usize, offset: Offset| {
            Some((self.donors[donor].thread_pointer() as isize + offset) as u64)
        };
        let is_next = |offset: Offset| {
            at(1, offset) == place(0, offset) && at(0, offset + 8) == place(1, offset)
        };
        if is_next(offset) && self.list.is_none() {
            self.list = Some(offset);
        }
        self.list == Some(offset) || self.list == Some(offset - 8)
    }

    /// Sets the words of restartable sequences to "registration has failed", because the kernel does not know
    /// a goroutine's block. The C library then asks the kernel instead of reading the words.
    pub(super) fn set_rseq(&mut self) {
        let Some(rseq) = self.range.rseq else { return };
        for offset in (rseq.from..rseq.to).step_by(8) {
            let word = self.range.word(offset);
            if let Some(place) = self.image.get_mut(word) {
                // The first word holds `cpu_id_start` 0, and above it `cpu_id` -2.
                *place = if offset == rseq.from { 0xffff_fffe << 32 } else { 0 };
            }
        }
    }

    pub(super) fn check_guards(&self) -> Result<(), ThreadLocalsError> {
        for offset in GUARDS {
            let own = ptr::with_exposed_provenance::<u64>(pointer::read());
            // SAFETY: `own` is the calling thread's pointer. By the ABI, its control block has the words `GUARDS`.
            let own = unsafe { own.byte_offset(offset).read() };
            if self.image.get(self.range.word(offset)) != Some(&own) {
                return Err(layout("a guard is not the same for all threads", offset));
            }
        }
        Ok(())
    }
}

fn is_on_stack(donor: &Donor, value: u64) -> bool {
    (donor.stack() as u64..donor.thread_pointer() as u64).contains(&value)
}
