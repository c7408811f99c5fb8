//! `dlopen`: a library that is loaded while there are blocks may have variables in them.
//!
//! The loader makes these in the blocks of its threads before the library's own first code runs; ours are
//! made when `dlopen` returns. So that the first code finds its variables, a goroutine has a plain thread
//! load the library. The loader's own search goes by where its caller is: where that counts, it is left
//! alone, and the monitor catches up.

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
    /// The caller is in the loader, which may call a library's code, and has a lock.
    static IN_LOADER: Cell<bool> = const { Cell::new(false) };
}

/// # Safety
/// As of `dlopen`.
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
        "mov rdx, [rsp + 24]", // where the caller goes on
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

/// Which function is to go on: the loader's own, or ours.
unsafe extern "C" fn way(path: *const c_char, flags: c_int, caller: *const c_void) -> *mut c_void {
    let real = OPEN.find();
    if path.is_null() || flags & libc::RTLD_NOLOAD != 0 || !has_blocks() {
        return real;
    }
    // SAFETY: the caller's text.
    let is_path = unsafe { !libc::strchr(path, b'/'.into()).is_null() };
    if is_path || is_ours(caller) { load_and_catch_up as *mut c_void } else { real }
}

/// Whether this code lies in the same module as we do.
fn is_ours(code: *const c_void) -> bool {
    let base = |code: *const c_void| {
        // SAFETY: all zero it is one; and a place for the answer.
        unsafe {
            let mut info = std::mem::zeroed::<libc::Dl_info>();
            (libc::dladdr(code, &mut info) != 0).then_some(info.dli_fbase)
        }
    };
    base(code).is_some_and(|found| Some(found) == base(is_ours as *const c_void))
}

unsafe extern "C" fn load_and_catch_up(path: *const c_char, flags: c_int) -> *mut c_void {
    if is_goroutine() && !IN_LOADER.get() {
        // SAFETY: the caller's.
        let handle = unsafe { load_elsewhere(path, flags) };
        if !handle.is_null() {
            catch_up();
            return handle;
        }
    }
    // Also for the loader's reason, which it keeps for each thread.
    // SAFETY: the caller's; the loader's function of this type.
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

/// By a plain thread; null if there is none, or the loader refuses.
///
/// # Safety
/// As of `dlopen`.
unsafe fn load_elsewhere(path: *const c_char, flags: c_int) -> *mut c_void {
    struct Order(*const c_char, c_int, *mut c_void);
    extern "C" fn load(order: *mut c_void) -> *mut c_void {
        // SAFETY: the starter waits.
        let order = unsafe { &mut *order.cast::<Order>() };
        // SAFETY: the starter's caller's; the loader's function of this type.
        order.2 =
            unsafe { std::mem::transmute::<*mut c_void, Open>(OPEN.find())(order.0, order.1) };
        ptr::null_mut()
    }
    let mut order = Order(path, flags, ptr::null_mut());
    let mut thread = 0;
    // SAFETY: places of this frame, which waits until the thread has ended.
    unsafe {
        if libc::pthread_create(&mut thread, ptr::null(), load, (&raw mut order).cast()) == 0 {
            libc::pthread_join(thread, ptr::null_mut());
        }
    }
    order.2
}

/// It may run a library's last code, which may call `dlopen`.
pub(super) unsafe extern "C" fn dlclose(handle: *mut c_void) -> c_int {
    let real = CLOSE.find();
    if real.is_null() {
        return -1;
    }
    // SAFETY: the caller's; the loader's function of this type.
    in_loader(|| unsafe { std::mem::transmute::<*mut c_void, Close>(real)(handle) })
}
