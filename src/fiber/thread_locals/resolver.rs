//! Resolver: what the C library keeps in a thread's control block between two questions for names: its
//! options, its servers, sockets that stay open. It closes and frees these at the end of a thread.
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::block::Block;
use super::donor::Donor;
use super::learn::{Offset, Range};
use crate::platform::unmodelled::{AtomicUsize, Ordering};

/// The size of the public `struct __res_state`, and where its options are.
const BYTES: Offset = 568;
const OPTIONS: Offset = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver {
    place: Offset,
    /// Closes and frees what a state has.
    close: unsafe extern "C" fn(*mut libc::c_void),
}

/// The answer of a donor.
static STATE: AtomicUsize = AtomicUsize::new(0);

impl Resolver {
    /// `None` if a thread's state does not lie in its control block, or nothing can be looked up because
    /// the program is linked statically. `image` is that of a new thread.
    pub(super) fn find(donor: &Donor, range: Range, image: &[u64]) -> Option<Resolver> {
        let state = function(c"__res_state")?;
        let close = function(c"__res_nclose")?;
        donor.order(ask, state.addr());
        // Relaxed: the donor's post orders it.
        let place = STATE.load(Ordering::Relaxed) as isize - donor.thread_pointer() as isize;
        let is_inside = place > 0 && place % 8 == 0 && place + BYTES <= range.above as isize;
        let is_new = is_inside
            && image[range.word(place)..range.word(place + BYTES)].iter().all(|&word| word == 0);
        // SAFETY: the C library's function of this name has this type.
        let close = unsafe {
            std::mem::transmute::<*mut libc::c_void, unsafe extern "C" fn(*mut libc::c_void)>(close)
        };
        is_new.then_some(Resolver { place, close })
    }

    /// A word that is 0 in a new thread, and not while there is something to close.
    pub(super) fn options(self) -> Offset {
        self.place + OPTIONS
    }

    /// The state is as in a new thread.
    ///
    /// # Safety
    /// The block is complete, and the caller runs on it.
    pub(super) unsafe fn end(self, block: Block) {
        // SAFETY: a word of the block.
        if unsafe { block.word(self.options()).read() } == 0 {
            return;
        }
        // SAFETY: the caller's own state, which nobody uses.
        unsafe { (self.close)(block.word(self.place).cast()) };
        // SAFETY: a part of the control block, which is all zero in a new thread.
        unsafe { block.clear(self.place, self.place + BYTES) };
    }
}

/// On a donor.
unsafe fn ask(state: usize) {
    type Function = unsafe extern "C" fn() -> *mut libc::c_void;
    let state = std::ptr::with_exposed_provenance::<libc::c_void>(state);
    // SAFETY: the C library's function of this name has this type.
    let state = unsafe { std::mem::transmute::<*const libc::c_void, Function>(state) };
    // Relaxed: the starter waits.
    // SAFETY: takes nothing.
    STATE.store(unsafe { state() }.addr(), Ordering::Relaxed);
}

#[cfg(not(target_feature = "crt-static"))]
fn function(name: &std::ffi::CStr) -> Option<*mut libc::c_void> {
    // SAFETY: a C string; asks only.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    found.expose_provenance();
    (!found.is_null()).then_some(found)
}

#[cfg(target_feature = "crt-static")]
fn function(_: &std::ffi::CStr) -> Option<*mut libc::c_void> {
    None
}
