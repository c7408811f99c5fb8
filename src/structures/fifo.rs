//! Fifo: a queue of values in blocks, used by one owner. No value moves, and an operation touches only the
//! value that comes or goes.
//! push: write at the end of the last block.   pop: take from the first block, which is reused once it is empty.
//! Checked by: proptests/injector.rs; under the lock of the global queue by verification/loom/injector.rs.
#![forbid(unsafe_code)]

use std::collections::VecDeque;

/// How many values a block holds. With this number, a block of pointers is as large as a page.
const BLOCK: usize = 512;

/// A queue of values; see the module's documentation.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    blocks: VecDeque<Vec<T>>,
    /// How many values of the first block have been taken.
    taken: usize,
    /// An empty block, kept for reuse.
    spare: Vec<T>,
}

impl<T: Copy> Fifo<T> {
    pub(super) fn new() -> Self {
        Fifo { blocks: VecDeque::new(), taken: 0, spare: Vec::new() }
    }

    pub(super) fn push(&mut self, value: T) {
        match self.blocks.back_mut() {
            Some(last) if last.len() < BLOCK => last.push(value),
            _ => {
                let mut block = std::mem::take(&mut self.spare);
                block.reserve_exact(BLOCK);
                block.push(value);
                self.blocks.push_back(block);
            }
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let first = self.blocks.front()?;
        let value = *first.get(self.taken)?;
        self.taken += 1;
        if self.taken == first.len() {
            // This is correct also if the block is the last one and is not full, because the next value then begins a
            // new block.
            self.taken = 0;
            self.spare = self.blocks.pop_front().expect("it was looked at");
            self.spare.clear();
        }
        Some(value)
    }
}
