//! Donors: kernel threads that only show what the C library keeps for a thread.
//!
//! A donor runs on a stack that this file maps, so the end of its control block is known. A donor waits for
//! orders. The caller takes an *image* of the donor's block, orders one operation, and takes another image.
//! Donors are started by the C library's own call, not by `std`, and touch no Rust thread-local.
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::error::ThreadLocalsError;
use super::pointer;
use crate::fiber::sanitizer;
use crate::platform::thread_id;
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use std::ptr;

/// The sizes of donors' stacks. Each size is unusual, so that no other word of a control block equals it by
/// chance. There are several sizes, because the variables of all modules must fit as well.
pub(super) const STACKS: [usize; 4] = [0x4_5000, 0x45_5000, 0x455_5000, 0x4555_5000];

/// The state for which the starter waits. Before that, the state is 0.
const READY: usize = 1;
const BUSY: usize = 2;
const END: usize = 3;

/// A donor thread that waits for orders.
pub(super) struct Donor {
    post: Box<Post>,
    thread: libc::pthread_t,
    stack: usize,
    bytes: usize,
}

/// The words by which the two threads communicate.
#[derive(Default)]
struct Post {
    state: AtomicUsize,
    /// The order, and its argument.
    order: AtomicUsize,
    argument: AtomicUsize,
    thread_pointer: AtomicUsize,
    /// An address in the frame of the thread's first function.
    frame: AtomicUsize,
    kernel_id: AtomicUsize,
}

/// An operation that a donor performs.
pub(super) type Order = unsafe fn(usize);

impl Donor {
    /// Starts a thread with a stack of `bytes` bytes, and returns when the thread waits.
    pub(super) fn start(bytes: usize) -> Result<Donor, ThreadLocalsError> {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        // SAFETY: this makes a new mapping at an address that the kernel chooses.
        let low = unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) };
        if low == libc::MAP_FAILED {
            return Err(ThreadLocalsError::Thread { errno: libc::ENOMEM });
        }
        let post = Box::<Post>::default();
        let mut thread = 0;
        let argument = ptr::from_ref(&*post).cast_mut().cast();
        // SAFETY: the attribute object lies in this frame, and is initialized first and destroyed last. The
        // stack was mapped above. The stack and the post both stay allocated until the thread has been joined.
        let errno = unsafe {
            let mut attributes = std::mem::zeroed::<libc::pthread_attr_t>();
            libc::pthread_attr_init(&mut attributes);
            let errno = match libc::pthread_attr_setstack(&mut attributes, low, bytes) {
                0 => libc::pthread_create(&mut thread, &attributes, donate, argument),
                errno => errno,
            };
            libc::pthread_attr_destroy(&mut attributes);
            errno
        };
        if errno != 0 {
            // SAFETY: the mapping was made above, and no thread uses it, because none was started on it.
            unsafe { libc::munmap(low, bytes) };
            return Err(ThreadLocalsError::Thread { errno });
        }
        let donor = Donor { post, thread, stack: low.addr(), bytes };
        donor.post.await_state(READY);
        Ok(donor)
    }

    /// Makes the thread perform an order, and returns when the thread waits again.
    pub(super) fn order(&self, order: Order, argument: usize) {
        // Relaxed: the store of the state publishes these words.
        self.post.order.store(order as *const () as usize, Ordering::Relaxed);
        self.post.argument.store(argument, Ordering::Relaxed);
        self.post.state.store(BUSY, Ordering::Release);
        self.post.await_state(READY);
    }

    /// Returns the words from `below` bytes below the thread pointer to `above` bytes above it.
    pub(super) fn image(&self, below: usize, above: usize) -> Vec<u64> {
        let from = ptr::with_exposed_provenance::<u64>(self.thread_pointer() - below);
        sanitizer::unmark(from.addr(), below + above);
        let words = (below + above) / 8;
        // SAFETY: the range lies on the donor's stack, because the caller takes it from `below` and `above` of
        // this file. The donor waits, so it does not write. The read is volatile, because C code wrote the words.
        (0..words).map(|word| unsafe { from.add(word).read_volatile() }).collect()
    }

    pub(super) fn thread_pointer(&self) -> usize {
        // Relaxed: the word was written before the state became READY.
        self.post.thread_pointer.load(Ordering::Relaxed)
    }

    pub(super) fn kernel_id(&self) -> u32 {
        // Relaxed: the donor wrote this word before its state became READY.
        self.post.kernel_id.load(Ordering::Relaxed) as u32
    }

    /// Returns the lowest address of the thread's stack.
    pub(super) fn stack(&self) -> usize {
        self.stack
    }

    pub(super) fn stack_bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the argument that `pthread_create` got for the thread's function.
    pub(super) fn argument(&self) -> u64 {
        ptr::from_ref(&*self.post).addr() as u64
    }

    /// Returns at least as many bytes as the static thread-local variables take below the thread pointer,
    /// including the memory for libraries that are loaded later. The thread's first frame lies below these
    /// bytes.
    pub(super) fn below(&self) -> usize {
        // Relaxed: the donor wrote this word before its state became READY.
        let frame = self.post.frame.load(Ordering::Relaxed);
        self.thread_pointer().saturating_sub(frame).next_multiple_of(64)
    }

    /// Returns the number of bytes from the thread pointer on, because the control block is at the end of the
    /// stack.
    pub(super) fn above(&self) -> usize {
        (self.stack + self.bytes).saturating_sub(self.thread_pointer())
    }
}

impl Drop for Donor {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of the donor.
        self.post.state.store(END, Ordering::Release);
        // SAFETY: `start` started the thread, and this destructor joins it once. No code uses its stack afterwards.
        unsafe {
            libc::pthread_join(self.thread, ptr::null_mut());
            libc::munmap(ptr::without_provenance_mut(self.stack), self.bytes);
        }
    }
}

impl Post {
    fn await_state(&self, state: usize) {
        // Acquire: pairs with the Release of the other thread, so that its earlier writes are seen.
        while self.state.load(Ordering::Acquire) != state {
            // SAFETY: the call takes no argument.
            unsafe { libc::sched_yield() };
        }
    }
}

/// The main function of a donor.
extern "C" fn donate(post: *mut libc::c_void) -> *mut libc::c_void {
    // SAFETY: `post` points to the starter's `Post`, which the starter frees only after it has joined this thread.
    let post = unsafe { &*post.cast::<Post>() };
    let in_frame = 0_u8;
    // Relaxed: the store of the state publishes these words.
    post.frame.store(ptr::from_ref(&in_frame).addr(), Ordering::Relaxed);
    post.thread_pointer.store(pointer::read(), Ordering::Relaxed);
    post.kernel_id.store(thread_id() as usize, Ordering::Relaxed);
    loop {
        post.state.store(READY, Ordering::Release);
        loop {
            // Acquire: pairs with the Release in `order`.
            match post.state.load(Ordering::Acquire) {
                END => return ptr::null_mut(),
                BUSY => break,
                // SAFETY: the call takes no argument.
                _ => unsafe {
                    libc::sched_yield();
                },
            }
        }
        // Relaxed: the order was stored before the state BUSY, which the Acquire load above has seen.
        let order = post.order.load(Ordering::Relaxed) as *const ();
        // SAFETY: the word is an `Order`, because `Donor::order` stores only values of that type in it.
        let order = unsafe { std::mem::transmute::<*const (), Order>(order) };
        // SAFETY: the argument is the one that `Donor::order` got for this order, and an order may run on any thread.
        unsafe { order(post.argument.load(Ordering::Relaxed)) };
    }
}
