//! The end of a goroutine, as its block sees it, and the end of the block.
//! end (on the goroutine): run destructors, those of thread-local variables and those of keys, until there
//! are none; take back what the goroutine has set of the C library.
//! renew (on the goroutine, after that): its modules' variables are as in a new thread. [C7]
//! retire: free what the block owns, before its memory goes.
//! Checked by: src/fiber/thread_locals/tests.rs, proptests/isolated/.

use super::block::{Block, Blocks};
use super::learn;
use super::learn::{Offset, Specific};
use super::pointer;
use crate::fiber::sanitizer;
use std::ptr;

/// So often the destructors of keys are run while they leave values; as POSIX has it.
const ROUNDS: usize = 4;
const KEYS: usize = 1024;
const KEYS_A_BLOCK: usize = 32;

impl Blocks {
    /// The goroutine on this block has ended: runs its destructors, which may suspend, and takes back what
    /// it has set of the C library.
    ///
    /// # Safety
    /// The caller runs on the block. No reference to a thread-local variable is in use.
    pub unsafe fn end(&self) {
        let block = Block(pointer::read());
        let learnt = &self.template.learnt;
        // SAFETY: the words of a complete block, which is the caller's.
        unsafe {
            loop {
                if block.word(learnt.destructors).read() != 0 {
                    (self.template.symbols.call_destructors)();
                } else if !self.has_values(block) {
                    break;
                } else {
                    self.end_keys(block);
                }
            }
            let image = |offset: Offset| self.template.image[self.template.range.word(offset)];
            if learnt.settings.iter().any(|&offset| block.word(offset).read() != image(offset)) {
                learn::restore_settings();
                if let Some(resolver) = learnt.resolver {
                    resolver.end(block);
                }
            }
            block.word(learnt.errno & !3).cast::<u32>().write(0);
        }
    }

    /// Whether there may be values of `pthread_setspecific`.
    ///
    /// # Safety
    /// As [`end`](Self::end).
    #[inline]
    unsafe fn has_values(&self, block: Block) -> bool {
        match self.template.learnt.specific.and_then(|specific| specific.used) {
            // SAFETY: a word of a complete block.
            Some(used) => unsafe { block.word(used).read() != self.image(used) },
            None => self.values(block).next().is_some(),
        }
    }

    /// Runs the destructors of keys; after it there is no value.
    ///
    /// # Safety
    /// As [`end`](Self::end).
    #[cold]
    unsafe fn end_keys(&self, block: Block) {
        for _ in 0..ROUNDS {
            // SAFETY: as the caller promises.
            if !unsafe { self.end_values(block) } {
                break;
            }
        }
        for (key, _) in self.values(block) {
            // SAFETY: a key that has a value here.
            unsafe { libc::pthread_setspecific(key, ptr::null()) };
        }
        if let Some(used) = self.template.learnt.specific.and_then(|specific| specific.used) {
            // SAFETY: a word of a complete block.
            unsafe { block.word(used).write(self.image(used)) };
        }
    }

    /// One round; true if a destructor was called.
    ///
    /// # Safety
    /// As [`end`](Self::end).
    unsafe fn end_values(&self, block: Block) -> bool {
        let mut called = false;
        for (key, value) in self.values(block) {
            // SAFETY: the table has so many entries; another thread may create or delete keys meanwhile, as
            // at the end of any thread.
            let destructor = unsafe { (*self.template.symbols.keys.add(key as usize)).destructor };
            // SAFETY: the key's own destructor gets the value, as at the end of a thread.
            unsafe {
                libc::pthread_setspecific(key, ptr::null());
                if let Some(destructor) = destructor {
                    destructor(value);
                    called = true;
                }
            }
        }
        called
    }

    /// The keys that have a value here, and the values.
    fn values(
        &self,
        block: Block,
    ) -> impl Iterator<Item = (libc::pthread_key_t, *mut libc::c_void)> + use<'_> {
        let specific = self.template.learnt.specific;
        // That of a sanitizer is the kernel thread's.
        let kernel_threads = specific.filter(|_| sanitizer::IS_ON).map(|s| s.first + 8);
        let is_own = move |key: &usize| {
            let is_it = |first| self.carried.contains(&(first + 16 * *key as isize));
            !kernel_threads.is_some_and(is_it)
        };
        let candidates = (0..KEYS).filter(is_own).filter(move |&key| match specific {
            // SAFETY: the words of a complete block, and of the blocks of keys that it leads to.
            Some(specific) => unsafe { block.may_have(specific, key) },
            None => true,
        });
        candidates.filter_map(|key| {
            let key = key as libc::pthread_key_t;
            // SAFETY: any number may be asked for.
            let value = unsafe { libc::pthread_getspecific(key) };
            (!value.is_null()).then_some((key, value))
        })
    }

    /// The modules' variables of the calling goroutine are as in a new thread. [C7]
    ///
    /// # Safety
    /// The caller runs on the block. Its destructors have run, and no reference to one of its variables is
    /// in use.
    #[inline]
    pub unsafe fn renew(&self) {
        let template = &self.template;
        let pointer = pointer::read();
        let block = Block(pointer);
        for &(from, to) in &template.renewed {
            // SAFETY: a part of the range, below the thread pointer.
            unsafe { self.copy(block, from, to) };
        }
        for &(from, to) in &template.zeros {
            // SAFETY: as above.
            unsafe { block.clear(from, to) };
        }
        for &(offset, distance) in &template.renewed_selves {
            // SAFETY: as above.
            unsafe { block.word(offset).write((pointer as isize + distance) as u64) };
        }
        // SAFETY: as above.
        unsafe { self.late.make(pointer) };
        // SAFETY: as above; the vector begins with its generation.
        unsafe {
            let vector = ptr::with_exposed_provenance::<u64>(block.word(8).read() as usize);
            if template.has_dynamic || vector.read() != template.vector.words[2] {
                self.free_dynamic(block);
            }
        }
    }

    /// Frees the variables of modules that were loaded later: they are made for each thread on demand. The
    /// first such use in a block changes the vector's generation.
    ///
    /// # Safety
    /// The block is complete, and no reference to one of its variables is in use.
    #[cold]
    unsafe fn free_dynamic(&self, block: Block) {
        // SAFETY: the vector of a complete block: before it stands how many modules it has room for; each
        // has a word that points to its variables, and one that says what to free, or 0.
        unsafe {
            let vector = ptr::with_exposed_provenance_mut::<u64>(block.word(8).read() as usize);
            let modules = vector.sub(2).read() as usize;
            for module in 1..=modules {
                let to_free = vector.add(2 * module + 1);
                if to_free.read() != 0 {
                    libc::free(ptr::with_exposed_provenance_mut(to_free.read() as usize));
                    to_free.write(0);
                    // Not there: the next use makes it anew.
                    vector.add(2 * module).write(u64::MAX);
                }
            }
        }
    }

    /// Frees what the block owns. After this its memory may go, or hold a new block.
    ///
    /// # Safety
    /// The block is complete and its destructors have run. Nobody runs on it again before it is made anew.
    pub unsafe fn retire(&self, pointer: usize) {
        let block = Block(pointer);
        // SAFETY: as the caller promises; the vector was allocated by `make_vector`, or by the C library's
        // own `realloc` since.
        unsafe {
            self.free_dynamic(block);
            self.free_texts(block);
            self.late.unlink((pointer as isize + self.template.list) as usize);
            let vector = block.word(8).read() as usize;
            libc::free(ptr::with_exposed_provenance_mut::<u64>(vector).sub(2).cast());
        }
    }

    /// Frees the texts of errors, and the blocks of keys beyond the first one.
    ///
    /// # Safety
    /// As [`retire`](Self::retire).
    unsafe fn free_texts(&self, block: Block) {
        let free = |offset: Offset| {
            // SAFETY: the word is null, or leads to what the C library has allocated for this block alone.
            unsafe {
                libc::free(ptr::with_exposed_provenance_mut(block.word(offset).read() as usize));
                block.word(offset).write(0);
            }
        };
        let learnt = &self.template.learnt;
        learnt.texts.iter().copied().for_each(free);
        if let Some(specific) = learnt.specific {
            // The first one lies in the block itself.
            (1..KEYS / KEYS_A_BLOCK).for_each(|n| free(specific.blocks + 8 * n as isize));
        }
    }
}

impl Block {
    /// Whether the key has a word that is not null.
    ///
    /// # Safety
    /// The block is complete.
    #[inline]
    unsafe fn may_have(self, specific: Specific, key: usize) -> bool {
        // SAFETY: so many blocks of keys there are; each is null or leads to so many pairs.
        unsafe {
            let pairs = if key < KEYS_A_BLOCK {
                self.word(specific.first)
            } else {
                let pairs = self.word(specific.blocks).add(key / KEYS_A_BLOCK).read();
                ptr::with_exposed_provenance_mut(pairs as usize)
            };
            !pairs.is_null() && pairs.add(2 * (key % KEYS_A_BLOCK) + 1).read() != 0
        }
    }
}
