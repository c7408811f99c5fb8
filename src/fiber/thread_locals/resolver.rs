//! Resolver: the state that the C library keeps in a thread's control block between name look-ups: options,
//! servers, and open sockets. The C library closes and frees them at the end of a thread.
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::block::Block;
use super::donor::Donor;
use super::learn::{Offset, Range};
use crate::platform::unmodelled::{AtomicUsize, Ordering};

/// The size of the public `struct __res_state`, and the offset of its options.
const BYTES: Offset = 568;
const OPTIONS: Offset = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver {
    place: Offset,
    /// The function that closes and frees what a state owns.
    close: unsafe extern "C" fn(*mut libc::c_void),
}

/// The address of the state, as the donor found it.
static STATE: AtomicUsize = AtomicUsize::new(0);

impl Resolver {
    /// Finds the state. Returns `None` if the state does not lie in the thread's control block, or if the
    /// program is linked statically and nothing can be looked up. `image` must be that of a new thread.
    pub(super) fn find(donor: &Donor, range: Range, image: &[u64]) -> Option<Resolver> {
        let state = function(c"__res_state")?;
        let close = function(c"__res_nclose")?;
        donor.order(ask, state.addr());
        // Relaxed: the starter has seen the donor's state (Acquire), so it also sees this address.
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

    /// Returns the offset of a word that is 0 in a new thread, and not 0 while there is something to close.
    pub(super) fn options(self) -> Offset {
        self.place + OPTIONS
    }

    /// Resets the state to that of a new thread.
    ///
    /// # Safety
    /// The block must be complete, and the caller must run on it.
    pub(super) unsafe fn end(self, block: Block) {
        // SAFETY: the word lies in `block`, and the caller guarantees that the block is complete.
        if unsafe { block.word(self.options()).read() } == 0 {
            return;
        }
        // SAFETY: the state lies in the caller's own block, so no other thread uses it during this call.
        unsafe { (self.close)(block.word(self.place).cast()) };
        // SAFETY: the range is the state's part of the caller's control block. It is all zero in a new thread.
        unsafe { block.clear(self.place, self.place + BYTES) };
    }
}

/// Finds the address of the state. A donor calls this function.
unsafe fn ask(state: usize) {
    type Function = unsafe extern "C" fn() -> *mut libc::c_void;
    let state = std::ptr::with_exposed_provenance::<libc::c_void>(state);
    // SAFETY: the C library's function of this name has this type.
    let state = unsafe { std::mem::transmute::<*const libc::c_void, Function>(state) };
    // Relaxed: the starter waits. It sees this store, because the donor's Release store of its state follows.
    // SAFETY: the call takes no argument.
    STATE.store(unsafe { state() }.addr(), Ordering::Relaxed);
}

#[cfg(not(target_feature = "crt-static"))]
fn function(name: &std::ffi::CStr) -> Option<*mut libc::c_void> {
    // SAFETY: the name is a C string, and the call only looks it up.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    found.expose_provenance();
    (!found.is_null()).then_some(found)
}

#[cfg(target_feature = "crt-static")]
fn function(_: &std::ffi::CStr) -> Option<*mut libc::c_void> {
    None
}
