//! What belongs to the kernel thread beneath a goroutine, and not to the goroutine's block.
//!
//! The C library's own business with kernel threads goes by the *kernel thread's own* thread pointer:
//! - `set*id` is a call that every kernel thread must make. The C library interrupts each thread of its
//!   list by a signal, whose handler reports by the thread's control block. A goroutine's block is in no
//!   list, so the handler runs with the kernel thread's own pointer: `on_set_id`.
//! - The child of a `fork` has one thread, and to the C library that thread's block is the goroutine's.
//!   The kernel writes the words of restartable sequences into the block that they were registered on:
//!   that of the parent's worker, whose stack the C library uses again in the child. So they are
//!   registered anew: `in_child`.
//!
//! [C9] Beneath a goroutine the kernel thread's own pointer is known at any instruction, to a signal
//! handler too: the resumer leaves it at the link before the switch takes the goroutine's pointer.
//! Checked by: proptests/kernel/.

use super::block::Blocks;
use super::error::ThreadLocalsError;
use super::learn::Rseq;
use super::pointer;
use crate::platform::unmodelled::{AtomicPtr, AtomicUsize, Ordering};
use std::ptr;

/// The signal by which the C library has every thread change its identity.
const SIGSETXID: libc::c_int = 33;

/// The blocks of this process, for handlers. Set before the first block is used, even on trial.
static BLOCKS: AtomicPtr<Blocks> = AtomicPtr::new(ptr::null_mut());

/// The C library's own handler of `SIGSETXID`.
static SET_ID: AtomicUsize = AtomicUsize::new(0);

/// Must be called before any block is used.
pub(super) fn prepare(blocks: &'static Blocks) -> Result<(), ThreadLocalsError> {
    // Release: pairs with the Acquire in `blocks`.
    BLOCKS.store(ptr::from_ref(blocks).cast_mut(), Ordering::Release);
    wrap_set_id()?;
    // SAFETY: the handler allocates nothing and takes no lock.
    match unsafe { libc::pthread_atfork(None, None, Some(in_child)) } {
        0 => Ok(()),
        errno => Err(ThreadLocalsError::Thread { errno }),
    }
}

fn blocks() -> Option<&'static Blocks> {
    // Acquire: pairs with the Release in `prepare`.
    // SAFETY: null, or what `prepare` got, which is never freed.
    unsafe { BLOCKS.load(Ordering::Acquire).as_ref() }
}

/// If the calling code runs on a goroutine's block: the own thread pointer of the kernel thread. In the
/// child of a fork the block that it was called on has become the kernel thread's own.
pub fn own_pointer() -> Option<usize> {
    let blocks = blocks()?;
    let pointer = pointer::read();
    // SAFETY: the thread pointer of a thread, or of a complete block.
    unsafe { blocks.is_block(pointer) }.then(|| {
        // SAFETY: it is a block, on which this code runs.
        unsafe { blocks.resumer_pointer(pointer) }
    })
}

/// If this is the handle of a goroutine, its thread pointer: where its stack begins, and how many bytes
/// that has, its block included.
///
/// # Safety
/// The handle is that of a thread or a goroutine that has not been destroyed.
pub unsafe fn stack_of(handle: usize) -> Option<(usize, usize)> {
    let blocks = blocks()?;
    // SAFETY: the caller's.
    unsafe { if blocks.is_block(handle) { blocks.stack(handle) } else { None } }
}

/// Whether there are, or were, goroutines with blocks.
pub fn has_blocks() -> bool {
    blocks().is_some()
}

/// Libraries may have been loaded since: sees to their variables in all blocks.
pub fn catch_up() {
    if let Some(blocks) = blocks() {
        blocks.catch_up();
    }
}

/// Calls `f` with the kernel thread's own thread-locals, if the caller has a goroutine's. `f` must not
/// switch goroutines; if it unwinds, the process aborts.
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
        // SAFETY: the frame below waits for this call, and nobody else knows of it.
        let call = unsafe { &mut *call };
        call.1 = call.0.take().map(|f| f());
    }
    let mut frame = Call(Some(f), None);
    let block = pointer::read();
    let blocks = blocks().expect("there is a block");
    let arguments = [(&raw mut frame).expose_provenance(), 0, 0];
    // SAFETY: the goroutine's block and the own one of its kernel thread, which are the caller's. `call`
    // returns: it is of a kind that can't unwind.
    unsafe {
        blocks.carry(block, own);
        pointer::with(own, call::<R, F>, arguments);
        blocks.carry(own, block);
    }
    frame.1.expect("it was called")
}

// ---- set*id ------------------------------------------------------------------------------------------

/// `struct sigaction` of the kernel: the C library refuses to talk about its own signals.
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
    // SAFETY: both are the kernel's structure, or null.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigaction, SIGSETXID, new, &raw mut before, 8usize) };
    (result == 0).then_some(before)
}

/// Puts `on_set_id` before the C library's handler, which is there once a thread was started.
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

/// Uses no thread-local variable.
unsafe extern "C" fn on_set_id(signal: usize, info: usize, context: usize) {
    type Handler = unsafe extern "C" fn(usize, usize, usize);
    // Acquire: pairs with the Release in `wrap_set_id`, which came before this handler was installed.
    let handler = ptr::with_exposed_provenance::<()>(SET_ID.load(Ordering::Acquire));
    // SAFETY: the C library's own handler, which returns and takes what the kernel passes.
    let handler = unsafe { std::mem::transmute::<*const (), Handler>(handler) };
    // SAFETY: what the kernel has passed; the kernel thread's own pointer is used by this thread alone.
    unsafe {
        match own_pointer() {
            Some(own) => pointer::with(own, handler, [signal, info, context]),
            None => handler(signal, info, context),
        }
    }
}

// ---- fork --------------------------------------------------------------------------------------------

/// What the C library and the kernel have agreed on for x86-64.
const RSEQ_SIGNATURE: u32 = 0x5305_3053;
const RSEQ_UNREGISTER: i32 = 1;
const AT_RSEQ_FEATURE_SIZE: libc::c_ulong = 27;
/// The word after `cpu_id_start`, and what is there where the kernel knows nothing of the area.
const CPU_ID: usize = 4;
const UNREGISTERED: u32 = -2_i32 as u32;

/// In the child of a fork: if a goroutine has called it, the words of restartable sequences are registered
/// on its block, which is the thread's own from now on.
pub(super) unsafe extern "C" fn in_child() {
    let Some(blocks) = blocks() else { return };
    let Some(rseq) = blocks.rseq().filter(|rseq| rseq.is_used) else { return };
    let pointer = pointer::read();
    let area = |pointer: usize| (pointer as isize + rseq.from) as usize;
    let cpu_id = ptr::with_exposed_provenance::<u32>(area(pointer) + CPU_ID);
    // SAFETY: each thread and each block has the area.
    if unsafe { cpu_id.read_volatile() } != UNREGISTERED {
        return;
    }
    // The C library has registered each thread that it has started, so this is a block. Its number is the
    // kernel's already.
    // SAFETY: it is a block, on which this code runs.
    let own = unsafe { blocks.resumer_pointer(pointer) };
    for bytes in registered_sizes(rseq) {
        // SAFETY: the kernel looks whether it knows this area, and then forgets it.
        if unsafe { register(area(own), bytes, RSEQ_UNREGISTER) } == 0 {
            // SAFETY: the area of this thread's block, which lives as long as the thread.
            unsafe { register(area(pointer), bytes, 0) };
            return;
        }
    }
}

/// The C library registers 32 bytes, or since 2.41 as many as the kernel knows.
fn registered_sizes(rseq: Rseq) -> [usize; 2] {
    // SAFETY: takes no pointer; 0 if the kernel doesn't say.
    let known = unsafe { libc::getauxval(AT_RSEQ_FEATURE_SIZE) } as usize;
    [32, known.next_multiple_of(32).max((rseq.to - rseq.from) as usize)]
}

/// # Safety
/// The area is a thread's own.
unsafe fn register(area: usize, bytes: usize, flags: i32) -> libc::c_long {
    // SAFETY: the caller's.
    unsafe { libc::syscall(libc::SYS_rseq, area, bytes as u32, flags, RSEQ_SIGNATURE) }
}
