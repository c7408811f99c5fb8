//! The end of a goroutine in its block, and the end of the block.
//! end (called on the goroutine): runs the destructors of thread-local variables and of keys, until none are
//! left. Undoes the goroutine's settings in the C library.
//! renew (called on the goroutine, after `end`): sets the variables of its modules to those of a new thread.
//! [C7]
//! retire: frees what the block owns, before its memory is given back.
//! Checked by: src/fiber/thread_locals/tests.rs, proptests/isolated/.

use super::block::{Block, Blocks};
use super::learn;
use super::learn::{Offset, Specific};
use super::pointer;
use crate::fiber::sanitizer;
use std::ptr;

/// The number of rounds in which the destructors of keys run while they leave values, as in POSIX.
const ROUNDS: usize = 4;
const KEYS: usize = 1024;
const KEYS_A_BLOCK: usize = 32;

impl Blocks {
    /// Ends the goroutine on this block: runs its destructors, which may suspend, and undoes its settings in
    /// the C library.
    ///
    /// # Safety
    /// The caller must run on the block. No reference to a thread-local variable may be in use.
    pub unsafe fn end(&self) {
        let block = Block(pointer::read());
        let learnt = &self.template.learnt;
        // SAFETY: `block` is the block that the caller runs on, so it is complete and no other thread uses it.
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

    /// Returns true if there may be values of `pthread_setspecific`.
    ///
    /// # Safety
    /// The conditions are those of [`end`](Self::end).
    #[inline]
    unsafe fn has_values(&self, block: Block) -> bool {
        match self.template.learnt.specific.and_then(|specific| specific.used) {
            // SAFETY: `used` is the offset of a word of `block`, which the caller guarantees to be complete.
            Some(used) => unsafe { block.word(used).read() != self.image(used) },
            None => self.values(block).next().is_some(),
        }
    }

    /// Runs the destructors of keys. Afterwards no key has a value.
    ///
    /// # Safety
    /// The conditions are those of [`end`](Self::end).
    #[cold]
    unsafe fn end_keys(&self, block: Block) {
        for _ in 0..ROUNDS {
            // SAFETY: the caller guarantees the conditions of `end`, which are also those of `end_values`.
            if !unsafe { self.end_values(block) } {
                break;
            }
        }
        for (key, _) in self.values(block) {
            // SAFETY: `values` returned the key, so the key is valid: this thread has a value for it.
            unsafe { libc::pthread_setspecific(key, ptr::null()) };
        }
        if let Some(used) = self.template.learnt.specific.and_then(|specific| specific.used) {
            // SAFETY: `used` is the offset of a word of `block`, on which the caller runs.
            unsafe { block.word(used).write(self.image(used)) };
        }
    }

    /// Runs one round of destructors. Returns true if a destructor was called.
    ///
    /// # Safety
    /// The conditions are those of [`end`](Self::end).
    unsafe fn end_values(&self, block: Block) -> bool {
        let mut called = false;
        for (key, value) in self.values(block) {
            // SAFETY: `key` is less than `KEYS`, and the table has that many entries. Another thread may create or
            // delete keys meanwhile. The C library has the same race at the end of each thread.
            let destructor = unsafe { (*self.template.symbols.keys.add(key as usize)).destructor };
            // SAFETY: `destructor` is the key's own destructor, and `value` is a value of this key. The C library makes
            // the same call at the end of a thread.
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

    /// Returns the keys that have a value here, and the values.
    fn values(
        &self,
        block: Block,
    ) -> impl Iterator<Item = (libc::pthread_key_t, *mut libc::c_void)> + use<'_> {
        let specific = self.template.learnt.specific;
        // The key of a sanitizer belongs to the kernel thread.
        let kernel_threads = specific.filter(|_| sanitizer::IS_ON).map(|s| s.first + 8);
        let is_own = move |key: &usize| {
            let is_it = |first| self.carried.contains(&(first + 16 * *key as isize));
            !kernel_threads.is_some_and(is_it)
        };
        let candidates = (0..KEYS).filter(is_own).filter(move |&key| match specific {
            // SAFETY: the key is less than `KEYS`, and the callers guarantee that `block` is complete.
            Some(specific) => unsafe { block.may_have(specific, key) },
            None => true,
        });
        candidates.filter_map(|key| {
            let key = key as libc::pthread_key_t;
            // SAFETY: the call accepts any number.
            let value = unsafe { libc::pthread_getspecific(key) };
            (!value.is_null()).then_some((key, value))
        })
    }

    /// Sets the modules' variables of the calling goroutine to those of a new thread. [C7]
    ///
    /// # Safety
    /// The caller must run on the block. The destructors must have run, and no reference to a variable of the
    /// block may be in use.
    #[inline]
    pub unsafe fn renew(&self) {
        let template = &self.template;
        let pointer = pointer::read();
        let block = Block(pointer);
        for &(from, to) in &template.renewed {
            // SAFETY: the part lies in the template's range, and the block is the caller's own, so nobody else uses it.
            unsafe { self.copy(block, from, to) };
        }
        for &(from, to) in &template.zeros {
            // SAFETY: the words lie in the caller's own block, because the template's parts lie in each block.
            unsafe { block.clear(from, to) };
        }
        for &(offset, distance) in &template.renewed_selves {
            // SAFETY: the word lies in the caller's own block, because `offset` comes from the template.
            unsafe { block.word(offset).write((pointer as isize + distance) as u64) };
        }
        // SAFETY: `pointer` is the thread pointer of the block that the caller runs on.
        unsafe { self.late.make(pointer) };
        // SAFETY: the word at offset 8 of the caller's own block points to its vector, which begins with a generation.
        unsafe {
            let vector = ptr::with_exposed_provenance::<u64>(block.word(8).read() as usize);
            if template.has_dynamic || vector.read() != template.vector.words[2] {
                self.free_dynamic(block);
            }
        }
    }

    /// Frees the variables of modules that were loaded later and are allocated per thread on demand. The
    /// first use of such a variable in a block changes the generation of the vector.
    ///
    /// # Safety
    /// The block must be complete, and no reference to one of its variables may be in use.
    #[cold]
    unsafe fn free_dynamic(&self, block: Block) {
        // SAFETY: `vector` is the vector of a complete block, by the caller's guarantee. Two words before it is the
        // number of modules for which it has memory. Each module has a word that points to its variables, and a
        // word that is 0 or a pointer to free.
        unsafe {
            let vector = ptr::with_exposed_provenance_mut::<u64>(block.word(8).read() as usize);
            let modules = vector.sub(2).read() as usize;
            for module in 1..=modules {
                let to_free = vector.add(2 * module + 1);
                if to_free.read() != 0 {
                    libc::free(ptr::with_exposed_provenance_mut(to_free.read() as usize));
                    to_free.write(0);
                    // The variables are marked as missing, so that the next use allocates them again.
                    vector.add(2 * module).write(u64::MAX);
                }
            }
        }
    }

    /// Frees what the block owns. Afterwards the block's memory may be given back, or hold a new block.
    ///
    /// # Safety
    /// The block must be complete, and its destructors must have run. No code may run on the block before
    /// `make` has made it again.
    pub unsafe fn retire(&self, pointer: usize) {
        let block = Block(pointer);
        // SAFETY: the caller guarantees that the block is complete and that no code runs on it. The vector was
        // allocated by `make_vector`, or later by the C library's own `realloc`, so `free` accepts it.
        unsafe {
            self.free_dynamic(block);
            self.free_texts(block);
            self.late.unlink((pointer as isize + self.template.list) as usize);
            let vector = block.word(8).read() as usize;
            libc::free(ptr::with_exposed_provenance_mut::<u64>(vector).sub(2).cast());
        }
    }

    /// Frees the texts of errors, and the blocks of keys after the first block.
    ///
    /// # Safety
    /// The conditions are those of [`retire`](Self::retire).
    unsafe fn free_texts(&self, block: Block) {
        let free = |offset: Offset| {
            // SAFETY: the word is null, or points to memory that the C library has allocated for this block
            // alone.
            unsafe {
                libc::free(ptr::with_exposed_provenance_mut(block.word(offset).read() as usize));
                block.word(offset).write(0);
            }
        };
        let learnt = &self.template.learnt;
        learnt.texts.iter().copied().for_each(free);
        if let Some(specific) = learnt.specific {
            // The first block of keys lies in the thread-local block itself.
            (1..KEYS / KEYS_A_BLOCK).for_each(|n| free(specific.blocks + 8 * n as isize));
        }
    }
}

impl Block {
    /// Returns true if the word of this key is not null.
    ///
    /// # Safety
    /// The block must be complete.
    #[inline]
    unsafe fn may_have(self, specific: Specific, key: usize) -> bool {
        // SAFETY: the index is less than the number of blocks of keys. Each word is null, or points to a
        // block of pairs.
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
