//! `dlopen`: a library that is loaded while goroutines have blocks of thread-locals may need variables in these
//! blocks.
//!
//! The loader makes such variables in the blocks of its own threads before the library's first code runs, but the
//! runtime makes them in goroutines' blocks only when `dlopen` returns. Therefore a goroutine lets a plain thread
//! load the library, so that the library's first code finds its variables. The loader's search may depend on the
//! module that the caller belongs to. In such a case the loader is called as usual, and the monitor catches up
//! later.

use super::is_goroutine;
use super::real::{CLOSE, OPEN};
use crate::fiber::{catch_up, has_blocks};
use libc::{c_char, c_int, c_void};
use std::arch::naked_asm;
use std::cell::Cell;
use std::ptr;

type Open = unsafe extern "C" fn(*const c_char, c_int) -> *mut c_void;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;

thread_local! {
    /// True while the caller is in the loader, which holds a lock and may call code of a library.
    static IN_LOADER: Cell<bool> = const { Cell::new(false) };
}

/// # Safety
/// The caller must keep `dlopen`'s contract.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn dlopen() {
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "push rsi",
        ".cfi_adjust_cfa_offset 8",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "mov rdx, [rsp + 24]", // the return address
        "call {way}",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "pop rsi",
        ".cfi_adjust_cfa_offset -8",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "jmp rax",
        ".cfi_endproc",
        way = sym way,
    )
}

/// Returns the function that continues the call: the loader's own, or ours.
unsafe extern "C" fn way(path: *const c_char, flags: c_int, caller: *const c_void) -> *mut c_void {
    let real = OPEN.find();
    if path.is_null() || flags & libc::RTLD_NOLOAD != 0 || !has_blocks() {
        return real;
    }
    // SAFETY: `path` is not null, and the caller guarantees that it is then a C string.
    let is_path = unsafe { !libc::strchr(path, b'/'.into()).is_null() };
    if is_path || is_ours(caller) { load_and_catch_up as *mut c_void } else { real }
}

/// Returns true if `code` lies in the same module as this function.
fn is_ours(code: *const c_void) -> bool {
    let base = |code: *const c_void| {
        // SAFETY: a `Dl_info` of zero bytes is valid, and `info` lies in this frame.
        unsafe {
            let mut info = std::mem::zeroed::<libc::Dl_info>();
            (libc::dladdr(code, &mut info) != 0).then_some(info.dli_fbase)
        }
    };
    base(code).is_some_and(|found| Some(found) == base(is_ours as *const c_void))
}

unsafe extern "C" fn load_and_catch_up(path: *const c_char, flags: c_int) -> *mut c_void {
    if is_goroutine() && !IN_LOADER.get() {
        // SAFETY: the caller keeps the contract of `dlopen`.
        let handle = unsafe { load_elsewhere(path, flags) };
        if !handle.is_null() {
            catch_up();
            return handle;
        }
    }
    // The loader is called here also if the other thread failed, because the loader keeps the reason of a failure
    // for each thread.
    // SAFETY: the caller keeps the contract of `dlopen`, and the loader's function has this type.
    let handle =
        in_loader(|| unsafe { std::mem::transmute::<*mut c_void, Open>(OPEN.find())(path, flags) });
    if !handle.is_null() {
        catch_up();
    }
    handle
}

fn in_loader<R>(f: impl FnOnce() -> R) -> R {
    let before = IN_LOADER.replace(true);
    let result = f();
    IN_LOADER.set(before);
    result
}

/// Loads the library on a plain thread. Returns null if no thread can be started, or if the loader refuses.
///
/// # Safety
/// The caller must keep `dlopen`'s contract.
unsafe fn load_elsewhere(path: *const c_char, flags: c_int) -> *mut c_void {
    struct Order(*const c_char, c_int, *mut c_void);
    extern "C" fn load(order: *mut c_void) -> *mut c_void {
        // SAFETY: `order` points to an `Order` in the stack frame of the starting thread. That thread waits until
        // this thread has ended, so the order stays valid.
        let order = unsafe { &mut *order.cast::<Order>() };
        // SAFETY: the caller of `load_elsewhere` keeps the contract of `dlopen`, and the loader's function has this
        // type.
        order.2 =
            unsafe { std::mem::transmute::<*mut c_void, Open>(OPEN.find())(order.0, order.1) };
        ptr::null_mut()
    }
    let mut order = Order(path, flags, ptr::null_mut());
    let mut thread = 0;
    // SAFETY: `thread` and `order` lie in this frame, which waits until the thread has ended.
    unsafe {
        if libc::pthread_create(&mut thread, ptr::null(), load, (&raw mut order).cast()) == 0 {
            libc::pthread_join(thread, ptr::null_mut());
        }
    }
    order.2
}

/// Marks the caller as in the loader, because `dlclose` may run a library's last code, which may call `dlopen`.
pub(super) unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    let real = CLOSE.find();
    if real.is_null() {
        return -1;
    }
    // SAFETY: the caller keeps the contract of `dlclose`, and the loader's function has this type.
    in_loader(|| unsafe { std::mem::transmute::<*mut c_void, Close>(real)(handle) })
}
