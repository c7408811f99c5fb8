//! Block: the thread-locals of one goroutine, at the top of its slot.
//! make: copies the template, and sets the words that depend on the address.
//! end, renew, retire: see `ending`.
//! carry: copies the words of `malloc` so that they follow the kernel thread. Otherwise each goroutine would
//! have its own allocator cache.
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::donor::{Donor, STACKS};
use super::error::ThreadLocalsError;
use super::kernel_thread;
use super::late::Late;
use super::learn::{Offset, Rseq};
use super::pointer;
use super::template::{Template, ZEROS};
use crate::fiber::sanitizer;
use crate::fiber::switch::AREA;
use crate::platform::OfProcess;
use crate::platform::poison::PoisonError;
use crate::platform::unmodelled::{AtomicPtr, AtomicU32, Mutex, Ordering};
use std::ptr;

/// Thread numbers that the kernel never gives: the kernel's numbers stop at 2^22, and the C library's robust
/// mutexes use the bits from 30 on.
const FIRST_NUMBER: u32 = 1 << 22;
const LAST_NUMBER: u32 = (1 << 30) - 1;

/// The number of carried words, of `malloc` and of a sanitizer.
const CARRIED: usize = if sanitizer::IS_ON { 8 } else { 2 };

/// What this process must know to make blocks.
pub struct Blocks {
    pub(super) template: Template,
    /// The distance from the link of a stack up to the thread pointer.
    distance: usize,
    /// How the thread pointer is written: see `pointer`.
    how: usize,
    carries: bool,
    pub(super) carried: [Offset; CARRIED],
    next_number: AtomicU32,
    pub(super) late: Late,
}

impl Blocks {
    /// Returns the `Blocks` of this process. The first call learns how to make blocks. After an error, the next
    /// call tries again.
    pub fn of_this_process() -> Result<&'static Blocks, ThreadLocalsError> {
        static KNOWN: AtomicPtr<Blocks> = AtomicPtr::new(ptr::null_mut());
        static ONE_AT_A_TIME: OfProcess<Mutex<()>> = OfProcess::new();
        // Acquire: pairs with the Release below, so that the pointed-to value is seen.
        let known = KNOWN.load(Ordering::Acquire);
        // SAFETY: `known` is null, or points to a `Blocks` that `Box::leak` below keeps for the whole process.
        if let Some(known) = unsafe { known.as_ref() } {
            return Ok(known);
        }
        let turn = ONE_AT_A_TIME.get_or_init(Mutex::default);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: the value is written under this lock.
        // SAFETY: the pointer is null, or points to a `Blocks` that `Box::leak` below keeps for the whole process.
        if let Some(known) = unsafe { KNOWN.load(Ordering::Relaxed).as_ref() } {
            return Ok(known);
        }
        let made: &'static Blocks = Box::leak(Box::new(Blocks::new(Template::make()?)?));
        kernel_thread::prepare(made)?;
        made.try_out()?;
        // Release: pairs with the Acquire above.
        KNOWN.store(ptr::from_ref(made).cast_mut(), Ordering::Release);
        Ok(made)
    }

    fn new(template: Template) -> Result<Blocks, ThreadLocalsError> {
        let allocator = &template.learnt.allocator;
        if allocator.len() > CARRIED {
            let what = "an allocation changes more words than are known";
            return Err(ThreadLocalsError::Layout { what, offset: allocator[CARRIED] });
        }
        // If there are fewer words, the last word is carried several times.
        let last = allocator.last().copied().unwrap_or(0);
        let carried = std::array::from_fn(|at| allocator.get(at).copied().unwrap_or(last));
        let carries = !allocator.is_empty();
        let distance = template.room.next_multiple_of(64) + AREA;
        Ok(Blocks {
            template,
            distance,
            how: pointer::how_to_write(),
            carries,
            carried,
            next_number: AtomicU32::new(FIRST_NUMBER),
            late: Late::new(),
        })
    }

    /// Returns, for memory that ends at `high`, the address at which the frames begin, and the thread pointer of
    /// the block above the frames.
    #[inline]
    pub fn above(&self, high: usize) -> (usize, usize) {
        let pointer = (high - self.template.range.above) & !(self.template.align - 1);
        (pointer + AREA - self.distance, pointer)
    }

    /// Returns the thread pointer of the block above the stack that has this link.
    #[inline(always)]
    pub fn pointer(&self, link: usize) -> usize {
        link + self.distance
    }

    /// Returns the largest number of bytes that a block, and the free memory below it, take of a slot.
    pub fn bytes(&self) -> usize {
        self.distance + self.template.range.above + self.template.align
    }

    /// Makes the block at `pointer`, for a stack that begins at `low`.
    ///
    /// # Safety
    /// `pointer` must be the result of `above`, in a slot. Nobody else may use the memory above the frames of
    /// that slot, and any earlier block in it must have been retired.
    pub unsafe fn make(&self, pointer: usize, low: usize) {
        let template = &self.template;
        let block = Block(pointer);
        // SAFETY: the caller guarantees that `pointer` comes from `above`, so the template's range is in the slot.
        unsafe {
            let mut from = -(template.range.below as isize);
            let end = template.range.above as isize;
            for &(begin, to) in template.zeros.iter().chain(&[(end, end)]) {
                self.copy(block, from, begin);
                block.clear(begin, to);
                from = to;
            }
            for &(offset, distance) in &template.selves {
                block.word(offset).write((pointer as isize + distance) as u64);
            }
            let high = pointer + template.range.above;
            block.write_all(&template.stack_low, low);
            block.write_all(&template.stack_high, high);
            block.write_all(&template.stack_size, high - low);
            let list = pointer as isize + template.list;
            block.word(template.list).write(list as u64);
            block.word(template.list + 8).write(list as u64);
            block.half(template.number).write(self.take_number());
            block.word(8).write(self.make_vector(pointer));
            block.word(24 - self.distance as isize).write(self.mark());
            self.late.link((pointer as isize + template.list) as usize);
            self.late.make(pointer);
        }
    }

    /// Makes the variables of libraries that were loaded since the last call, in all blocks. [C10]
    pub fn catch_up(&self) {
        self.late.catch_up(self);
    }

    /// Starts a new thread with a stack as large as the stacks from which the template was learnt.
    pub(super) fn donor(&self) -> Result<Donor, ThreadLocalsError> {
        let needed = 2 * self.bytes() + STACKS[0] / 2;
        let stack = STACKS.into_iter().find(|&stack| stack >= needed).unwrap_or(STACKS[3]);
        Donor::start(stack)
    }

    /// Returns the thread pointer of the block that has its links at this address.
    pub(super) fn pointer_of_links(&self, links: usize) -> usize {
        (links as isize - self.template.list) as usize
    }

    /// Returns the mark of these `Blocks`. Each of their blocks has it three words above the link.
    fn mark(&self) -> u64 {
        ptr::from_ref(self).addr() as u64
    }

    /// Returns true if this thread pointer, with which the calling code runs, belongs to a block and not to a kernel
    /// thread. Returns false in the child of a fork, because the caller's block has become the kernel thread's own.
    ///
    /// # Safety
    /// `pointer` must be the thread pointer of a thread, or of a complete block.
    pub(super) unsafe fn is_block(&self, pointer: usize) -> bool {
        let block = Block(pointer);
        // SAFETY: the control block at `pointer` has a number, as each thread has. A number from `FIRST_NUMBER` on
        // is a block's, and each block has a word for the mark. Another copy of this library has another mark.
        unsafe {
            block.half(self.template.number).read_volatile() >= FIRST_NUMBER
                && block.word(24 - self.distance as isize).read() == self.mark()
        }
    }

    /// Returns the own thread pointer of the kernel thread that runs on this block. [C9]
    ///
    /// # Safety
    /// The calling code must run on this block.
    pub(super) unsafe fn resumer_pointer(&self, pointer: usize) -> usize {
        // SAFETY: the caller runs on the block at `pointer`. The resumer wrote the word above the block's link before
        // the switch took this thread pointer.
        let tagged = unsafe { Block(pointer).word(8 - self.distance as isize).read_volatile() };
        tagged as usize & !pointer::BY_SYSTEM_CALL
    }

    /// Returns the stack of the goroutine on this block: its lowest address, and its bytes including the
    /// block.
    ///
    /// # Safety
    /// `pointer` must be that of a complete block.
    pub(super) unsafe fn stack(&self, pointer: usize) -> Option<(usize, usize)> {
        let word = |offsets: &[Offset]| {
            // SAFETY: the caller guarantees that the block at `pointer` is complete. `offset` is from its template.
            offsets.first().map(|&offset| unsafe { Block(pointer).word(offset).read() } as usize)
        };
        Some((word(&self.template.stack_low)?, word(&self.template.stack_size)?))
    }

    /// Returns where the words of restartable sequences are.
    pub(super) fn rseq(&self) -> Option<Rseq> {
        self.template.range.rseq
    }

    /// Makes the vector of words that lead to each module's variables. The C library treats the vector as its
    /// own, and frees or enlarges it by its `realloc`.
    fn make_vector(&self, pointer: usize) -> u64 {
        let vector = &self.template.vector;
        // SAFETY: `calloc` accepts any two numbers.
        let words = unsafe { libc::calloc(vector.words.len(), 8) }.cast::<u64>();
        assert!(!words.is_null(), "no memory for a goroutine's vector of modules");
        sanitizer::is_kept(words.cast());
        // SAFETY: `words` points to memory that `calloc` has just returned, with the length of `vector.words`.
        unsafe { ptr::copy_nonoverlapping(vector.words.as_ptr(), words, vector.words.len()) };
        for &(word, distance) in &vector.selves {
            // SAFETY: `word` is an index into `vector.words`, and `words` has the same length.
            unsafe { words.add(word).write((pointer as isize + distance) as u64) };
        }
        // SAFETY: the vector at `words` has more than two words, because the template's vector has.
        unsafe { words.add(2) }.expose_provenance() as u64
    }

    fn take_number(&self) -> u32 {
        // Relaxed: only uniqueness matters. The numbers repeat after about a thousand million blocks.
        let next =
            |number: u32| Some(if number >= LAST_NUMBER { FIRST_NUMBER } else { number + 1 });
        let taken = self.next_number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.unwrap_or(FIRST_NUMBER)
    }

    pub(super) fn image(&self, offset: Offset) -> u64 {
        self.template.image[self.template.range.word(offset)]
    }

    /// Sets a part of the block to the template's image.
    ///
    /// # Safety
    /// The part must lie in the template's range, and nobody else may use it.
    #[inline(always)]
    pub(super) unsafe fn copy(&self, block: Block, from: Offset, to: Offset) {
        let words = (to - from) as usize / 8;
        // SAFETY: the caller guarantees that the part is in the template's range and its own. The image is elsewhere.
        unsafe {
            let image = self.template.image.as_ptr().add(self.template.range.word(from));
            ptr::copy_nonoverlapping(image, block.word(from), words);
        }
    }

    /// Prepares the switch to the stack with this link. Returns the thread pointers for the switch and for the way
    /// back. Copies the words of `malloc`, and stores `resumer` in the word that `Suspender::resumer` points to.
    ///
    /// # Safety
    /// The block above that stack must be complete, and nobody else may use it. The caller must not allocate
    /// before the first returned pointer has been taken.
    #[inline(always)]
    pub unsafe fn set_out(&self, link: usize, resumer: *const ()) -> [usize; 2] {
        let own = pointer::read();
        let there = self.pointer(link);
        // SAFETY: `own` and `there` are complete blocks, by the caller's guarantee, and only this thread uses them.
        // [C6] The suspender at `link` has a word for the resumer two words above the link.
        unsafe {
            self.carry(own, there);
            let place = ptr::with_exposed_provenance::<AtomicPtr<()>>(link + 16);
            // Relaxed: only code that this kernel thread runs after the switch reads the word.
            (*place).store(resumer.cast_mut(), Ordering::Relaxed);
        }
        [there | self.how, own | self.how]
    }

    /// Copies the words of `malloc` back, after the switch from the stack that has this link.
    ///
    /// # Safety
    /// The calling kernel thread must have just come from that stack, must have its own thread pointer, and
    /// must have allocated nothing since.
    #[inline(always)]
    pub unsafe fn come_back(&self, link: usize) {
        // SAFETY: both blocks are complete. Only this thread uses them, because the caller has just come from the
        // stack and has not published it. [C6]
        unsafe { self.carry(self.pointer(link), pointer::read()) };
    }

    /// Copies the words that belong to the kernel thread from one block to the other.
    ///
    /// # Safety
    /// Both blocks must be complete, and nobody else may use them.
    #[inline(always)]
    pub(super) unsafe fn carry(&self, from: usize, to: usize) {
        if !self.carries {
            return;
        }
        for offset in self.carried {
            // SAFETY: the caller guarantees that both blocks are complete, so each of them has the word at `offset`.
            unsafe { Block(to).word(offset).write(Block(from).word(offset).read()) };
        }
    }

    /// Makes a first block and uses it on trial, before any goroutine has a block.
    fn try_out(&self) -> Result<(), ThreadLocalsError> {
        let mut memory = vec![0_u64; (self.bytes() + 16 * 1024) / 8];
        let low = memory.as_mut_ptr().expose_provenance();
        let high = low + memory.len() * 8;
        let (_, pointer) = self.above(high);
        let mut seen = Seen::default();
        // SAFETY: the block lies in `memory`, which belongs to this frame and has `bytes()` bytes and some for a stack.
        // No other code uses the block. `look` returns, and does nothing that depends on the thread.
        unsafe {
            self.make(pointer, low);
            let own = pointer::read();
            // The switch also stores the resumer's thread pointer in this word. [C9]
            Block(pointer).word(8 - self.distance as isize).write((own | self.how) as u64);
            self.carry(own, pointer);
            pointer::with(pointer, look, [(&raw mut seen).expose_provenance(), 0, 0]);
            self.carry(pointer, own);
            self.retire(pointer);
        }
        let layout = |what| Err(ThreadLocalsError::Layout { what, offset: 0 });
        if seen.pointer != pointer {
            return layout("the thread pointer can't be written");
        }
        if seen.own != pointer::read() || kernel_thread::own_pointer().is_some() {
            return layout("the kernel thread is not found beneath a block");
        }
        if seen.thread as usize != pointer || seen.errno != 0 {
            return layout("a new block is not a new thread to the C library");
        }
        Ok(())
    }
}

/// What the C library reports while it runs on a block.
#[derive(Default)]
struct Seen {
    pointer: usize,
    thread: libc::pthread_t,
    errno: i32,
    own: usize,
}

unsafe extern "C" fn look(seen: usize, _: usize, _: usize) {
    let seen = ptr::with_exposed_provenance_mut::<Seen>(seen);
    // SAFETY: `seen` points to a local variable of `try_out`, which waits until this call returns.
    unsafe {
        seen.write(Seen {
            pointer: pointer::read(),
            thread: libc::pthread_self(),
            errno: *libc::__errno_location(),
            own: kernel_thread::own_pointer().unwrap_or(0),
        });
    }
}

/// A block. The number is the block's thread pointer.
#[derive(Clone, Copy)]
pub(super) struct Block(pub(super) usize);

impl Block {
    /// Returns the word at an offset from the thread pointer.
    #[inline(always)]
    pub(super) fn word(self, offset: Offset) -> *mut u64 {
        ptr::with_exposed_provenance_mut((self.0 as isize + offset) as usize)
    }

    /// Returns the half of a word at an offset from the thread pointer.
    #[inline(always)]
    fn half(self, offset: Offset) -> *mut u32 {
        self.word(offset).cast()
    }

    /// Sets words to zero, but writes only to words that are not zero. So memory that was never touched is
    /// not allocated.
    ///
    /// # Safety
    /// The words must belong to the caller.
    pub(super) unsafe fn clear(self, from: Offset, to: Offset) {
        for begin in (from..to).step_by(ZEROS) {
            let words = ((to - begin) as usize).min(ZEROS) / 8;
            // SAFETY: the caller guarantees that the words from `from` to `to` belong to it.
            let words = unsafe { std::slice::from_raw_parts_mut(self.word(begin), words) };
            if words.iter().any(|&word| word != 0) {
                words.fill(0);
            }
        }
    }

    /// # Safety
    /// The words must belong to the caller.
    unsafe fn write_all(self, offsets: &[Offset], value: usize) {
        for &offset in offsets {
            // SAFETY: the caller guarantees that the words at `offsets` belong to it.
            unsafe { self.word(offset).write(value as u64) };
        }
    }
}
