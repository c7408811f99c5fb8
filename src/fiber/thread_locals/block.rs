//! Block: the thread-locals of one goroutine, at the top of its slot.
//! make: copy the template, set the words that depend on the place.
//! end, renew, retire: `ending`.
//! carry: the words of `malloc` follow the kernel thread, so that caches are not multiplied.
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

/// Numbers of threads that the kernel gives to nobody: it stops at 2^22, and the C library's robust
/// mutexes use the bits from 30 on.
const FIRST_NUMBER: u32 = 1 << 22;
const LAST_NUMBER: u32 = (1 << 30) - 1;

/// Words of `malloc` that are carried, and of a sanitizer.
const CARRIED: usize = if sanitizer::IS_ON { 8 } else { 2 };

/// How this process makes blocks.
pub struct Blocks {
    pub(super) template: Template,
    /// From the link of a stack up to the thread pointer.
    distance: usize,
    /// How the thread pointer is written: see `pointer`.
    how: usize,
    carries: bool,
    pub(super) carried: [Offset; CARRIED],
    next_number: AtomicU32,
    pub(super) late: Late,
}

impl Blocks {
    /// Found out at the first call. An error is found out again at the next.
    pub fn of_this_process() -> Result<&'static Blocks, ThreadLocalsError> {
        static KNOWN: AtomicPtr<Blocks> = AtomicPtr::new(ptr::null_mut());
        static ONE_AT_A_TIME: OfProcess<Mutex<()>> = OfProcess::new();
        // Acquire: pairs with the Release below: what it points to is seen.
        let known = KNOWN.load(Ordering::Acquire);
        // SAFETY: null, or from a box that was leaked.
        if let Some(known) = unsafe { known.as_ref() } {
            return Ok(known);
        }
        let turn = ONE_AT_A_TIME.get_or_init(Mutex::default);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        // Relaxed: written under the lock.
        // SAFETY: as above.
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
        // If there are fewer, the last one is carried several times.
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

    /// In memory that ends at `high`: where the frames begin, and the thread pointer of the block above.
    #[inline]
    pub fn above(&self, high: usize) -> (usize, usize) {
        let pointer = (high - self.template.range.above) & !(self.template.align - 1);
        (pointer + AREA - self.distance, pointer)
    }

    /// The thread pointer of the block above the stack whose link is this.
    #[inline(always)]
    pub fn pointer(&self, link: usize) -> usize {
        link + self.distance
    }

    /// The most bytes that a block and the room beneath it take of a slot.
    pub fn bytes(&self) -> usize {
        self.distance + self.template.range.above + self.template.align
    }

    /// Makes the block at `pointer`, for a stack from `low` on.
    ///
    /// # Safety
    /// `pointer` is that of `above`, in a slot whose memory nobody uses above the frames, and which holds no
    /// block that was not retired.
    pub unsafe fn make(&self, pointer: usize, low: usize) {
        let template = &self.template;
        let block = Block(pointer);
        // SAFETY: the range of the template lies between the frames and the end of the slot, by `above`.
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

    /// Libraries may have been loaded since: sees to their variables in all blocks. [C10]
    pub fn catch_up(&self) {
        self.late.catch_up(self);
    }

    /// A new thread, with a stack as large as those from which the template was learnt.
    pub(super) fn donor(&self) -> Result<Donor, ThreadLocalsError> {
        let needed = 2 * self.bytes() + STACKS[0] / 2;
        let stack = STACKS.into_iter().find(|&stack| stack >= needed).unwrap_or(STACKS[3]);
        Donor::start(stack)
    }

    /// The thread pointer of the block that has its links here.
    pub(super) fn pointer_of_links(&self, links: usize) -> usize {
        (links as isize - self.template.list) as usize
    }

    /// What stands three words above the link of each block that these have made.
    fn mark(&self) -> u64 {
        ptr::from_ref(self).addr() as u64
    }

    /// Whether this thread pointer, which is the calling code's, is that of a block, and not a kernel
    /// thread's own. It is the latter's as well in the child of a fork, which was given another number.
    ///
    /// # Safety
    /// It is a thread pointer of a thread, or of a complete block.
    pub(super) unsafe fn is_block(&self, pointer: usize) -> bool {
        let block = Block(pointer);
        // SAFETY: each thread has a number; only blocks have one from `FIRST_NUMBER` on, and they have a
        // word for the mark. Another mark is that of another copy of this library in this process.
        unsafe {
            block.half(self.template.number).read_volatile() >= FIRST_NUMBER
                && block.word(24 - self.distance as isize).read() == self.mark()
        }
    }

    /// The own thread pointer of the kernel thread that runs on this block. [C9]
    ///
    /// # Safety
    /// The calling code runs on this block.
    pub(super) unsafe fn resumer_pointer(&self, pointer: usize) -> usize {
        // SAFETY: the word above the link, which was written before the thread pointer was taken.
        let tagged = unsafe { Block(pointer).word(8 - self.distance as isize).read_volatile() };
        tagged as usize & !pointer::BY_SYSTEM_CALL
    }

    /// The stack of the goroutine on this block: where it begins, and its bytes with the block.
    ///
    /// # Safety
    /// It is a complete block.
    pub(super) unsafe fn stack(&self, pointer: usize) -> Option<(usize, usize)> {
        let word = |offsets: &[Offset]| {
            // SAFETY: a word of a complete block.
            offsets.first().map(|&offset| unsafe { Block(pointer).word(offset).read() } as usize)
        };
        Some((word(&self.template.stack_low)?, word(&self.template.stack_size)?))
    }

    /// Where restartable sequences are.
    pub(super) fn rseq(&self) -> Option<Rseq> {
        self.template.range.rseq
    }

    /// The words that lead to each module's variables. The C library takes them for its own, and frees or
    /// enlarges them by its `realloc`.
    fn make_vector(&self, pointer: usize) -> u64 {
        let vector = &self.template.vector;
        // SAFETY: asks for memory.
        let words = unsafe { libc::calloc(vector.words.len(), 8) }.cast::<u64>();
        assert!(!words.is_null(), "no memory for a goroutine's vector of modules");
        sanitizer::is_kept(words.cast());
        // SAFETY: just allocated, and as long.
        unsafe { ptr::copy_nonoverlapping(vector.words.as_ptr(), words, vector.words.len()) };
        for &(word, distance) in &vector.selves {
            // SAFETY: below the length.
            unsafe { words.add(word).write((pointer as isize + distance) as u64) };
        }
        // SAFETY: longer than that.
        unsafe { words.add(2) }.expose_provenance() as u64
    }

    fn take_number(&self) -> u32 {
        // Relaxed: only uniqueness counts. After a thousand million blocks numbers come again.
        let next =
            |number: u32| Some(if number >= LAST_NUMBER { FIRST_NUMBER } else { number + 1 });
        let taken = self.next_number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        taken.unwrap_or(FIRST_NUMBER)
    }

    pub(super) fn image(&self, offset: Offset) -> u64 {
        self.template.image[self.template.range.word(offset)]
    }

    /// Makes a part of the block as it is in the template's image.
    ///
    /// # Safety
    /// The part lies in the template's range, and nobody else uses it.
    #[inline(always)]
    pub(super) unsafe fn copy(&self, block: Block, from: Offset, to: Offset) {
        let words = (to - from) as usize / 8;
        // SAFETY: the caller's; image and block are apart.
        unsafe {
            let image = self.template.image.as_ptr().add(self.template.range.word(from));
            ptr::copy_nonoverlapping(image, block.word(from), words);
        }
    }

    /// Before the switch to the stack whose link this is: the thread pointers for the way there, and back. The
    /// words of `malloc` go along, and `resumer` is left where `Suspender::resumer` says.
    ///
    /// # Safety
    /// The block above that stack is complete, and nobody else uses it; nothing is allocated before it has been
    /// taken.
    #[inline(always)]
    pub unsafe fn set_out(&self, link: usize, resumer: *const ()) -> [usize; 2] {
        let own = pointer::read();
        let there = self.pointer(link);
        // SAFETY: both blocks are complete, and this thread's alone. [C6] Two words above the link there is
        // room.
        unsafe {
            self.carry(own, there);
            let place = ptr::with_exposed_provenance::<AtomicPtr<()>>(link + 16);
            // Relaxed: read by what runs on this kernel thread from here on.
            (*place).store(resumer.cast_mut(), Ordering::Relaxed);
        }
        [there | self.how, own | self.how]
    }

    /// After the switch back from the stack whose link this is: the words of `malloc` come along.
    ///
    /// # Safety
    /// The calling kernel thread has just come from there, has its own thread pointer, and has allocated nothing
    /// since.
    #[inline(always)]
    pub unsafe fn come_back(&self, link: usize) {
        // SAFETY: both blocks are complete, and this thread's alone: the stack has not been published. [C6]
        unsafe { self.carry(self.pointer(link), pointer::read()) };
    }

    /// Copies the words that belong to the kernel thread from one block to the other.
    ///
    /// # Safety
    /// Both are complete, and nobody else uses them.
    #[inline(always)]
    pub(super) unsafe fn carry(&self, from: usize, to: usize) {
        if !self.carries {
            return;
        }
        for offset in self.carried {
            // SAFETY: words of complete blocks.
            unsafe { Block(to).word(offset).write(Block(from).word(offset).read()) };
        }
    }

    /// A first block is made and used before any goroutine has one.
    fn try_out(&self) -> Result<(), ThreadLocalsError> {
        let mut memory = vec![0_u64; (self.bytes() + 16 * 1024) / 8];
        let low = memory.as_mut_ptr().expose_provenance();
        let high = low + memory.len() * 8;
        let (_, pointer) = self.above(high);
        let mut seen = Seen::default();
        // SAFETY: memory of this frame, large enough; nobody else knows of the block. `look` returns, and
        // does what it does on any thread.
        unsafe {
            self.make(pointer, low);
            let own = pointer::read();
            // As the switch does. [C9]
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

/// What the C library says on a block.
#[derive(Default)]
struct Seen {
    pointer: usize,
    thread: libc::pthread_t,
    errno: i32,
    own: usize,
}

unsafe extern "C" fn look(seen: usize, _: usize, _: usize) {
    let seen = ptr::with_exposed_provenance_mut::<Seen>(seen);
    // SAFETY: the caller's own, for this call.
    unsafe {
        seen.write(Seen {
            pointer: pointer::read(),
            thread: libc::pthread_self(),
            errno: *libc::__errno_location(),
            own: kernel_thread::own_pointer().unwrap_or(0),
        });
    }
}

/// A block by its thread pointer.
#[derive(Clone, Copy)]
pub(super) struct Block(pub(super) usize);

impl Block {
    /// The word at an offset of the thread pointer.
    #[inline(always)]
    pub(super) fn word(self, offset: Offset) -> *mut u64 {
        ptr::with_exposed_provenance_mut((self.0 as isize + offset) as usize)
    }

    /// The half of a word at an offset of the thread pointer.
    #[inline(always)]
    fn half(self, offset: Offset) -> *mut u32 {
        self.word(offset).cast()
    }

    /// Makes words zero that are not. What nobody has touched stays without memory.
    ///
    /// # Safety
    /// The words are the caller's.
    pub(super) unsafe fn clear(self, from: Offset, to: Offset) {
        for begin in (from..to).step_by(ZEROS) {
            let words = ((to - begin) as usize).min(ZEROS) / 8;
            // SAFETY: the caller's.
            let words = unsafe { std::slice::from_raw_parts_mut(self.word(begin), words) };
            if words.iter().any(|&word| word != 0) {
                words.fill(0);
            }
        }
    }

    /// # Safety
    /// The words are the caller's.
    unsafe fn write_all(self, offsets: &[Offset], value: usize) {
        for &offset in offsets {
            // SAFETY: the caller's.
            unsafe { self.word(offset).write(value as u64) };
        }
    }
}
