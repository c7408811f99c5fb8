//! Handles what belongs to the kernel thread that runs a goroutine, and not to the goroutine's block.
//!
//! Some operations of the C library on kernel threads need the *kernel thread's own* thread pointer:
//! - Every kernel thread must make the system call of `set*id`. The C library interrupts each thread of its
//!   list by a signal, and the signal's handler reports through the thread's control block. A goroutine's
//!   block is in no list, so the handler must run with the kernel thread's own pointer: `on_set_id`.
//! - The child of a `fork` has one thread, and to the C library the block of that thread is the goroutine's.
//!   The kernel writes the words of restartable sequences into the block on which they were registered. That
//!   is the block of the parent's worker, and the C library reuses that worker's stack in the child. So the
//!   words are registered again: `in_child`.
//!
//! [C9] While a kernel thread runs a goroutine, the thread's own pointer is known at any instruction, also to a signal
//! handler. The resumer stores the pointer beside the link before the switch takes the goroutine's pointer.
//! Checked by: proptests/kernel/.

use super::block::Blocks;
use super::error::ThreadLocalsError;
use super::learn::Rseq;
use super::pointer;
use crate::platform::unmodelled::{AtomicPtr, AtomicUsize, Ordering};
use std::ptr;

/// The signal by which the C library makes every thread change its identity.
const SIGSETXID: libc::c_int = 33;

/// The `Blocks` of this process, for handlers. This pointer is set before the first block is used or tried out.
static BLOCKS: AtomicPtr<Blocks> = AtomicPtr::new(ptr::null_mut());

/// The C library's own handler of `SIGSETXID`.
static SET_ID: AtomicUsize = AtomicUsize::new(0);

/// Installs the handlers. The caller must call this function before any block is used.
pub(super) fn prepare(blocks: &'static Blocks) -> Result<(), ThreadLocalsError> {
    // Release: pairs with the Acquire in `blocks`.
    BLOCKS.store(ptr::from_ref(blocks).cast_mut(), Ordering::Release);
    wrap_set_id()?;
    // SAFETY: `in_child` has the type of a handler, and the child may call it, because it takes no lock.
    match unsafe { libc::pthread_atfork(None, None, Some(in_child)) } {
        0 => Ok(()),
        errno => Err(ThreadLocalsError::Thread { errno }),
    }
}

fn blocks() -> Option<&'static Blocks> {
    // Acquire: pairs with the Release in `prepare`.
    // SAFETY: the pointer is null, or the reference with lifetime `'static` that `prepare` stored.
    unsafe { BLOCKS.load(Ordering::Acquire).as_ref() }
}

/// Returns the kernel thread's own thread pointer if the calling code runs on a goroutine's block, and `None`
/// otherwise. In the child of a fork, the block that called `fork` has become the kernel thread's own.
pub fn own_pointer() -> Option<usize> {
    let blocks = blocks()?;
    let pointer = pointer::read();
    // SAFETY: `pointer` is the calling code's thread pointer, which belongs to a thread or to a complete block.
    unsafe { blocks.is_block(pointer) }.then(|| {
        // SAFETY: `is_block` has returned true for `pointer`, and this code runs with that thread pointer.
        unsafe { blocks.resumer_pointer(pointer) }
    })
}

/// If `handle` is the handle of a goroutine, returns the lowest address of its stack, and the bytes of the
/// stack including the block. The handle of a goroutine is its thread pointer.
///
/// # Safety
/// `handle` must be that of a thread or goroutine that has not been destroyed.
pub unsafe fn stack_of(handle: usize) -> Option<(usize, usize)> {
    let blocks = blocks()?;
    // SAFETY: the caller guarantees that `handle` belongs to a thread or goroutine that is not destroyed.
    unsafe { if blocks.is_block(handle) { blocks.stack(handle) } else { None } }
}

/// Returns true if this process has made blocks for goroutines.
pub fn has_blocks() -> bool {
    blocks().is_some()
}

/// Makes the variables of libraries that were loaded since the last call, in all blocks.
pub fn catch_up() {
    if let Some(blocks) = blocks() {
        blocks.catch_up();
    }
}

/// Calls `f` with the kernel thread's own thread-locals, if the caller has a goroutine's. `f` must not switch
/// goroutines. If `f` unwinds, the process aborts.
#[inline]
pub fn as_kernel_thread<R>(f: impl FnOnce() -> R) -> R {
    match own_pointer() {
        None => f(),
        Some(own) => call_as(own, f),
    }
}

fn call_as<R, F: FnOnce() -> R>(own: usize, f: F) -> R {
    struct Call<F, R>(Option<F>, Option<R>);
    unsafe extern "C" fn call<R, F: FnOnce() -> R>(call: usize, _: usize, _: usize) {
        let call = ptr::with_exposed_provenance_mut::<Call<F, R>>(call);
        // SAFETY: `call` points to the local variable `frame` of `call_as`, which waits and does not use it meanwhile.
        let call = unsafe { &mut *call };
        call.1 = call.0.take().map(|f| f());
    }
    let mut frame = Call(Some(f), None);
    let block = pointer::read();
    let blocks = blocks().expect("there is a block");
    let arguments = [(&raw mut frame).expose_provenance(), 0, 0];
    // SAFETY: `block` is the thread pointer of the calling goroutine's block, and `own` is that of the kernel
    // thread that runs it, so no other thread uses them. `call` returns, because `extern "C"` cannot unwind.
    unsafe {
        blocks.carry(block, own);
        pointer::with(own, call::<R, F>, arguments);
        blocks.carry(own, block);
    }
    frame.1.expect("it was called")
}

// ---- set*id ------------------------------------------------------------------------------------------

/// The kernel's `struct sigaction`. This file calls the kernel directly, because the C library's functions
/// refuse the signals that the C library itself uses.
#[repr(C)]
#[derive(Default)]
struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

fn act(new: Option<&Action>) -> Option<Action> {
    let mut before = Action::default();
    let new = new.map_or(ptr::null(), ptr::from_ref);
    // SAFETY: `new` is null or points to an `Action`, and `before` is a local `Action`, which is the kernel's type.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, SIGSETXID, new, &raw mut before, 8usize) };
    (result == 0).then_some(before)
}

/// Installs `on_set_id`, which calls the C library's handler. The C library installs its handler when it starts the
/// first thread.
fn wrap_set_id() -> Result<(), ThreadLocalsError> {
    let missing = |what| ThreadLocalsError::Layout { what, offset: SIGSETXID as isize };
    let before = act(None).ok_or(missing("the kernel does not tell the handler of signal 33"))?;
    let ours = on_set_id as *const () as usize;
    if before.handler == ours {
        return Ok(());
    }
    if before.handler <= libc::SIG_IGN {
        return Err(missing(
            "there is no handler of signal 33, by which threads change their identity",
        ));
    }
    // Release: pairs with the Acquire in `on_set_id`.
    SET_ID.store(before.handler, Ordering::Release);
    let wrapped = Action { handler: ours, ..before };
    act(Some(&wrapped)).ok_or(missing("signal 33 can't be handled")).map(drop)
}

/// The handler that runs the C library's handler with the kernel thread's own pointer. It uses no
/// thread-local variable.
unsafe extern "C" fn on_set_id(signal: usize, info: usize, context: usize) {
    type Handler = unsafe extern "C" fn(usize, usize, usize);
    // Acquire: pairs with the Release in `wrap_set_id`, which ran before this handler was installed.
    let handler = ptr::with_exposed_provenance::<()>(SET_ID.load(Ordering::Acquire));
    // SAFETY: `SET_ID` holds the address of the C library's handler, which has the type `Handler`.
    let handler = unsafe { std::mem::transmute::<*const (), Handler>(handler) };
    // SAFETY: the three arguments come from the kernel. `own` is this kernel thread's own pointer, which no other
    // thread uses, and the C library's handler returns.
    unsafe {
        match own_pointer() {
            Some(own) => pointer::with(own, handler, [signal, info, context]),
            None => handler(signal, info, context),
        }
    }
}

// ---- fork --------------------------------------------------------------------------------------------

/// The signature that the C library and the kernel have agreed on for x86-64.
const RSEQ_SIGNATURE: u32 = 0x5305_3053;
const RSEQ_UNREGISTER: i32 = 1;
const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;
/// The offset of `cpu_id`, and the value of `cpu_id` if the area is not registered with the kernel.
const CPU_ID: usize = 4;
const UNREGISTERED: u32 = -2_i32 as u32;

/// Runs in the child of a fork. If a goroutine called `fork`, registers the words of restartable sequences on
/// its block, which is the thread's own block from now on.
pub(super) unsafe extern "C" fn in_child() {
    let Some(blocks) = blocks() else { return };
    let Some(rseq) = blocks.rseq().filter(|rseq| rseq.is_used) else { return };
    let pointer = pointer::read();
    let area = |pointer: usize| (pointer as isize + rseq.from) as usize;
    let cpu_id = ptr::with_exposed_provenance::<u32>(area(pointer) + CPU_ID);
    // SAFETY: `cpu_id` lies in the area at `pointer`. Each thread and each block has this area.
    if unsafe { cpu_id.read_volatile() } != UNREGISTERED {
        return;
    }
    // The C library registers each thread that it starts, so an area that is not registered is a block's. The C
    // library has already stored the child's own thread number in this block.
    // SAFETY: `pointer` is therefore that of a block, and this code runs on that block.
    let own = unsafe { blocks.resumer_pointer(pointer) };
    for bytes in registered_sizes(rseq) {
        // SAFETY: the area at `own` belonged to the parent's worker. The kernel only checks and forgets its address.
        if unsafe { register(area(own), bytes, RSEQ_UNREGISTER) } == 0 {
            // SAFETY: the area at `pointer` lies in this thread's block, which stays as long as the thread.
            unsafe { register(area(pointer), bytes, 0) };
            return;
        }
    }
}

/// Returns the sizes that the C library may have registered: 32 bytes, or since 2.41 the size that the kernel
/// knows.
fn registered_sizes(rseq: Rseq) -> [usize; 2] {
    // SAFETY: the call takes no pointer. It returns 0 if the kernel gives no value.
    let known = unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } as usize;
    [32, known.next_multiple_of(32).max((rseq.to - rseq.from) as usize)]
}

/// # Safety
/// The area must belong to the calling thread.
unsafe fn register(area: usize, bytes: usize, flags: i32) -> libc::c_long {
    // SAFETY: the caller guarantees that the area belongs to the calling thread.
    unsafe { libc::syscall(libc::SYS_rseq, area, bytes as u32, flags, RSEQ_SIGNATURE) }
}
