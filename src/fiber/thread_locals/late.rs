//! Late: handles libraries that are loaded after blocks were made, if their variables lie in the blocks. The
//! C library leaves memory free for such variables, and makes the variables in the blocks of its threads. This
//! file makes the variables in the blocks of goroutines.
//! catch_up (after each `dlopen`, and now and then): checks whether there is an unknown module. If so, a new
//! thread shows where its variables are. Their first values are remembered, and made in each live block.
//! make, renew (of a block): include these variables. A block is linked before it reads the remembered
//! modules, and a module is remembered before the links are followed, so at least one of the two sides sees
//! the other.
//! [C10] A goroutine finds the variables of a library that was loaded later in the state that a new thread
//! would find. If a goroutine has used them before they could be made, the process ends with a message that
//! gives the reason.
//! Checked by: proptests/kernel/late.rs.

use super::block::Blocks;
use super::error::ThreadLocalsError;
use super::learn::Offset;
use super::template::Vector;
use crate::platform::OfProcess;
use crate::platform::poison::PoisonError;
use crate::platform::unmodelled::{AtomicPtr, AtomicU64, Mutex, Ordering};
use std::ffi::CStr;
use std::ptr;

/// A module that has thread-local variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// The module's index in the vector of modules. The first module has index 1.
    pub(super) number: usize,
    pub(super) bytes: usize,
    pub(super) align: usize,
    /// The address of the module in memory, and the address of the first values.
    base: usize,
    image: usize,
    image_bytes: usize,
    name: String,
}

/// Returns all modules that have thread-local variables.
pub(super) fn loaded() -> Vec<Loaded> {
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description, and `found` points to the value that the caller passed.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Loaded>>()) };
        // SAFETY: the loader passes an array of that many headers, and the index is less than this number.
        let headers = (0..usize::from(info.dlpi_phnum)).map(|n| unsafe { *info.dlpi_phdr.add(n) });
        for header in headers.filter(|header| header.p_type == libc::PT_TLS) {
            // SAFETY: the pointer is the loader's C string, which stays allocated while the loader calls this function.
            let name = unsafe { CStr::from_ptr(info.dlpi_name) };
            found.push(Loaded {
                number: info.dlpi_tls_modid,
                bytes: header.p_memsz as usize,
                align: header.p_align as usize,
                base: info.dlpi_addr as usize,
                image: (info.dlpi_addr + header.p_vaddr) as usize,
                image_bytes: header.p_filesz as usize,
                name: name.to_string_lossy().into_owned(),
            });
        }
        0
    }
    let mut found = Vec::<Loaded>::new();
    // SAFETY: `visit` has the type that the loader calls, and its argument points to the value that it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found
}

/// Returns a number that changes whenever a module was loaded or unloaded.
fn changes() -> u64 {
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description, and `found` points to the value that the caller passed.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<u64>()) };
        *found = info.dlpi_adds << 32 | info.dlpi_subs & 0xffff_ffff;
        1
    }
    let mut found = 0_u64;
    // SAFETY: `first` has the type that the loader calls, and its argument points to the value that it expects.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
    found
}

/// The modules that were found so far.
pub(super) struct Late {
    /// The result of `changes` at the last check.
    seen: AtomicU64,
    /// A null pointer, or a pointer to the variables to make in each block. The vector is never freed, because
    /// another thread may be reading it.
    parts: AtomicPtr<Vec<Part>>,
    one_at_a_time: OfProcess<Mutex<()>>,
    /// The list of all blocks. Its links are words of the blocks, as in the C library's own list of threads. The
    /// child of a fork begins a new list for the blocks that it makes.
    live: OfProcess<Mutex<Links>>,
}

/// The variables of one module.
pub(super) struct Part {
    from: Offset,
    module: Loaded,
    /// The first values, in bytes because two modules may share a word.
    image: Vec<u8>,
}

/// Two words, each of which is the address of another pair of links.
#[derive(Default)]
#[repr(C)]
struct Links {
    next: usize,
    previous: usize,
}

impl Late {
    pub(super) fn new() -> Self {
        Late {
            seen: AtomicU64::new(0),
            parts: AtomicPtr::new(ptr::null_mut()),
            one_at_a_time: OfProcess::new(),
            live: OfProcess::new(),
        }
    }

    fn live(&self) -> impl std::ops::DerefMut<Target = Links> + use<> {
        let live = self.live.get_or_init(Mutex::default);
        live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline(always)]
    fn parts(&self) -> Option<&[Part]> {
        // Acquire: pairs with the Release in `remember`.
        // SAFETY: the pointer is null, or was leaked by `remember`.
        unsafe { self.parts.load(Ordering::Acquire).as_ref() }.map(Vec::as_slice)
    }

    /// Makes the variables of libraries that were loaded later, in a block that nobody else uses.
    ///
    /// # Safety
    /// The block must belong to the caller.
    #[inline(always)]
    pub(super) unsafe fn make(&self, pointer: usize) {
        if let Some(parts) = self.parts() {
            // SAFETY: the caller guarantees that the block at `pointer` belongs to it, as `Part::make` demands.
            parts.iter().for_each(|part| unsafe { part.make(pointer) });
        }
    }

    /// Links a new block, so that `catch_up` finds it. `links` is the address of the block's two link words.
    ///
    /// # Safety
    /// The words must be the block's, and must stay until `unlink`.
    pub(super) unsafe fn link(&self, links: usize) {
        let mut head = self.live();
        let own = ptr::from_mut(&mut *head).expose_provenance();
        if head.next == 0 {
            (head.next, head.previous) = (own, own);
        }
        let next = head.next;
        // SAFETY: the pointers lead to the link words of the new block, and of the block that was first so far (or of
        // the head). The blocks in the list are live, and the lock is held.
        unsafe {
            ptr::with_exposed_provenance_mut::<Links>(links).write(Links { next, previous: own });
            (*ptr::with_exposed_provenance_mut::<Links>(next)).previous = links;
        }
        head.next = links;
    }

    /// # Safety
    /// The conditions of `link` must hold, and `link` must have been called for these words before.
    pub(super) unsafe fn unlink(&self, links: usize) {
        let _head = self.live();
        let place = ptr::with_exposed_provenance_mut::<Links>;
        // SAFETY: the pointers lead to the link words of the block and of its neighbours in the list. The blocks in the
        // list are live, and only the holder of the lock changes their links.
        unsafe {
            let Links { next, previous } = place(links).read();
            (*place(previous)).next = next;
            (*place(next)).previous = previous;
            place(links).write(Links { next: links, previous: links });
        }
    }

    /// Checks whether a library was loaded, and makes its variables in all blocks.
    pub(super) fn catch_up(&self, blocks: &Blocks) {
        let now = changes();
        // Relaxed: `seen` only tells whether a check is needed. The check itself is made under the lock.
        if self.seen.load(Ordering::Relaxed) == now {
            return;
        }
        let turn = self.one_at_a_time.get_or_init(Mutex::default);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let found = loaded();
        let before = self.parts().unwrap_or(&[]);
        let is_known = |module: &Loaded| {
            blocks.template.known.contains(module)
                || before.iter().any(|part| part.module == *module)
        };
        let new: Vec<_> = found.iter().filter(|module| !is_known(module)).cloned().collect();
        if !new.is_empty() {
            match self.places(blocks, new) {
                Ok(new) if new.is_empty() => {}
                Ok(new) => self.remember(blocks, &found, new),
                Err(error) => refuse(&format!("a library was loaded, and {error}")),
            }
        }
        // Relaxed: `seen` only tells whether a check is needed. It publishes no other data.
        self.seen.store(now, Ordering::Relaxed);
    }

    /// Returns the variables of those modules that lie in the blocks, as a new thread shows.
    fn places(&self, blocks: &Blocks, new: Vec<Loaded>) -> Result<Vec<Part>, ThreadLocalsError> {
        let donor = blocks.donor()?;
        let vector = Vector::of(&donor, blocks.template.range);
        let part = |module: Loaded| {
            let place = *vector.get(2 * (module.number + 1))?;
            let from = place.wrapping_sub(donor.thread_pointer() as u64) as Offset;
            if !(-(blocks.template.room as Offset)..0).contains(&from) {
                return None;
            }
            let image = ptr::with_exposed_provenance::<u8>(module.image);
            let mut bytes = vec![0; module.bytes];
            // SAFETY: the module's header gives the address and length of its first values. The module was loaded a
            // moment ago, and the code that loaded it has not unloaded it yet.
            unsafe { ptr::copy_nonoverlapping(image, bytes.as_mut_ptr(), module.image_bytes) };
            Some(Part { from, module, image: bytes })
        };
        Ok(new.into_iter().filter_map(part).collect())
    }

    /// Remembers modules: their variables are made in each new block from now on, and now in each live block.
    fn remember(&self, blocks: &Blocks, found: &[Loaded], new: Vec<Part>) {
        let before = self.parts().unwrap_or(&[]);
        let is_free = |part: &Part| {
            // If an earlier module had its variables at this offset, the block still holds what that module left.
            before.iter().all(|other| other.end() <= part.from || part.end() <= other.from)
        };
        let checked: Vec<bool> = new.iter().map(is_free).collect();
        let there = before.iter().filter(|part| found.contains(&part.module)).map(Part::copy);
        let all: Vec<Part> = there.chain(new.iter().map(Part::copy)).collect();
        // Release: pairs with the Acquire in `parts`. This store comes before the links are followed. [C10]
        self.parts.store(Box::into_raw(Box::new(all)), Ordering::Release);
        let head = self.live();
        let own = ptr::from_ref(&*head).expose_provenance();
        let mut links = head.next;
        while links != own && links != 0 {
            let pointer = blocks.pointer_of_links(links);
            for (part, &is_checked) in new.iter().zip(&checked) {
                // SAFETY: `pointer` belongs to a live block, because its links are in the list. No code uses this part
                // of the block yet, because the library's code and the code that loaded it run later. If they have
                // run already, the check in `make_in_live` finds their values.
                unsafe { part.make_in_live(pointer, is_checked) };
            }
            // SAFETY: `links` is the address of the links of a live block, which stay while the lock is held.
            links = unsafe { (*ptr::with_exposed_provenance::<Links>(links)).next };
        }
    }
}

impl Part {
    fn end(&self) -> Offset {
        self.from + self.image.len() as isize
    }

    fn copy(&self) -> Part {
        Part { from: self.from, module: self.module.clone(), image: self.image.clone() }
    }

    fn place(&self, pointer: usize) -> *mut u8 {
        ptr::with_exposed_provenance_mut((pointer as isize + self.from) as usize)
    }

    /// # Safety
    /// The block must belong to the caller.
    unsafe fn make(&self, pointer: usize) {
        // SAFETY: the caller guarantees that the block at `pointer` belongs to it. The part lies in that block,
        // below the variables or among them.
        unsafe {
            ptr::copy_nonoverlapping(self.image.as_ptr(), self.place(pointer), self.image.len());
        }
    }

    /// # Safety
    /// The block must be live.
    unsafe fn make_in_live(&self, pointer: usize, is_checked: bool) {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        if is_checked {
            if is_zero(&self.image) {
                // The variables have their first values already, and may have been used.
                return;
            }
            // SAFETY: the caller guarantees that the block is live, and the index is less than the part's length. If
            // other code writes to the part now, that code has used the variables too early.
            let there = (0..self.image.len())
                .map(|at| unsafe { self.place(pointer).add(at).read_volatile() });
            let there: Vec<u8> = there.collect();
            if !is_zero(&there) {
                refuse(&format!(
                    "a goroutine has used thread-local variables of {} before they were made in its \
                     block; load that library before the first runtime, or by a `dlopen` of the program's",
                    self.module.name
                ));
            }
        }
        // SAFETY: the caller guarantees that the block is live, and no code uses this part of it yet.
        unsafe { self.make(pointer) };
    }
}

#[cold]
fn refuse(what: &str) -> ! {
    eprintln!("selvedge: aborting: {what}");
    std::process::abort();
}
