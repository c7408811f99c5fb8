//! Late: libraries that are loaded while there are blocks, and whose variables lie in them, in the room that
//! the C library has left for this. It makes these variables in the blocks of its threads; here they are
//! made in ours.
//! catch up (after each `dlopen`, and now and then): is there a module that is not known? Then a new thread
//!     shows where its variables are; remember their first values, and make them in each live block.
//! make, renew (a block): with them. A block is linked before it looks what there is, and a module is
//!     remembered before the links are followed: one of the two sees the other.
//! [C10] A goroutine finds the variables of a library that was loaded later as a new thread would; or, where
//! it has used them before they could be made, the process ends and says why.
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
    /// Its place in the vector of modules, from 1 on.
    pub(super) number: usize,
    pub(super) bytes: usize,
    pub(super) align: usize,
    /// Where it lies in memory, and where the first values are.
    base: usize,
    image: usize,
    image_bytes: usize,
    name: String,
}

/// All that there are.
pub(super) fn loaded() -> Vec<Loaded> {
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes its description, and `found` is the caller's.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<Loaded>>()) };
        // SAFETY: so many headers there are.
        let headers = (0..usize::from(info.dlpi_phnum)).map(|n| unsafe { *info.dlpi_phdr.add(n) });
        for header in headers.filter(|header| header.p_type == libc::PT_TLS) {
            // SAFETY: the loader's text.
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
    // SAFETY: `visit` has the loader's type, and gets what it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found
}

/// How often modules were loaded and unloaded: differs if there is anything new.
fn changes() -> u64 {
    unsafe extern "C" fn first(
        info: *mut libc::dl_phdr_info,
        _: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes its description, and `found` is the caller's.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<u64>()) };
        *found = info.dlpi_adds << 32 | info.dlpi_subs & 0xffff_ffff;
        1
    }
    let mut found = 0_u64;
    // SAFETY: `first` has the loader's type, and gets what it expects.
    unsafe { libc::dl_iterate_phdr(Some(first), (&raw mut found).cast()) };
    found
}

/// What was found so far.
pub(super) struct Late {
    /// By `changes`, when it was last looked.
    seen: AtomicU64,
    /// Null, or what is to be made in each block. Never freed, since somebody may be reading it.
    parts: AtomicPtr<Vec<Part>>,
    one_at_a_time: OfProcess<Mutex<()>>,
    /// The links of all blocks, as the C library links its threads: a block's own words. In the child of a
    /// fork, those that it makes.
    live: OfProcess<Mutex<Links>>,
}

/// The variables of one module.
pub(super) struct Part {
    from: Offset,
    module: Loaded,
    /// Bytes, since modules may be neighbours within a word.
    image: Vec<u8>,
}

/// Two words, each the address of such a pair.
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
        // SAFETY: null, or leaked by `remember`.
        unsafe { self.parts.load(Ordering::Acquire).as_ref() }.map(Vec::as_slice)
    }

    /// Makes what was loaded later in a block, which nobody uses meanwhile.
    ///
    /// # Safety
    /// The block is the caller's.
    #[inline(always)]
    pub(super) unsafe fn make(&self, pointer: usize) {
        if let Some(parts) = self.parts() {
            // SAFETY: the caller's.
            parts.iter().for_each(|part| unsafe { part.make(pointer) });
        }
    }

    /// A new block is to be found by `catch_up`. `links` is the place of its two words.
    ///
    /// # Safety
    /// The words are the block's, and stay until `unlink`.
    pub(super) unsafe fn link(&self, links: usize) {
        let mut head = self.live();
        let own = ptr::from_mut(&mut *head).expose_provenance();
        if head.next == 0 {
            (head.next, head.previous) = (own, own);
        }
        let next = head.next;
        // SAFETY: the words of the new block, and of the first one so far, or the head itself.
        unsafe {
            ptr::with_exposed_provenance_mut::<Links>(links).write(Links { next, previous: own });
            (*ptr::with_exposed_provenance_mut::<Links>(next)).previous = links;
        }
        head.next = links;
    }

    /// # Safety
    /// As in `link`, which was called before.
    pub(super) unsafe fn unlink(&self, links: usize) {
        let _head = self.live();
        let place = ptr::with_exposed_provenance_mut::<Links>;
        // SAFETY: the block's words, and those of its neighbours, under the lock.
        unsafe {
            let Links { next, previous } = place(links).read();
            (*place(previous)).next = next;
            (*place(next)).previous = previous;
            place(links).write(Links { next: links, previous: links });
        }
    }

    /// Looks whether a library was loaded, and makes its variables in all blocks.
    pub(super) fn catch_up(&self, blocks: &Blocks) {
        let now = changes();
        // Relaxed: what is not seen here is seen under the lock.
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
        // Relaxed: as above.
        self.seen.store(now, Ordering::Relaxed);
    }

    /// Those of the modules whose variables lie in the blocks, by what a new thread has.
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
            // SAFETY: the module's first values, as its header says; it was there a moment ago, and who has
            // loaded it has not unloaded it yet.
            unsafe { ptr::copy_nonoverlapping(image, bytes.as_mut_ptr(), module.image_bytes) };
            Some(Part { from, module, image: bytes })
        };
        Ok(new.into_iter().filter_map(part).collect())
    }

    /// From now on these are made in each new block, and now in those that there are.
    fn remember(&self, blocks: &Blocks, found: &[Loaded], new: Vec<Part>) {
        let before = self.parts().unwrap_or(&[]);
        let is_free = |part: &Part| {
            // Where another one was loaded before, there is what that has left.
            before.iter().all(|other| other.end() <= part.from || part.end() <= other.from)
        };
        let checked: Vec<bool> = new.iter().map(is_free).collect();
        let there = before.iter().filter(|part| found.contains(&part.module)).map(Part::copy);
        let all: Vec<Part> = there.chain(new.iter().map(Part::copy)).collect();
        // Release: pairs with the Acquire in `parts`. Before the links are followed. [C10]
        self.parts.store(Box::into_raw(Box::new(all)), Ordering::Release);
        let head = self.live();
        let own = ptr::from_ref(&*head).expose_provenance();
        let mut links = head.next;
        while links != own && links != 0 {
            let pointer = blocks.pointer_of_links(links);
            for (part, &is_checked) in new.iter().zip(&checked) {
                // SAFETY: a live block's, in the part that nobody uses: who has loaded the library, or its
                // own code, comes later, or has left something there.
                unsafe { part.make_in_live(pointer, is_checked) };
            }
            // SAFETY: a live block's words, under the lock.
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
    /// The block is the caller's.
    unsafe fn make(&self, pointer: usize) {
        // SAFETY: the caller's; the part lies in the room below the variables, or among them.
        unsafe {
            ptr::copy_nonoverlapping(self.image.as_ptr(), self.place(pointer), self.image.len());
        }
    }

    /// # Safety
    /// The block is live.
    unsafe fn make_in_live(&self, pointer: usize, is_checked: bool) {
        let is_zero = |bytes: &[u8]| bytes.iter().all(|&byte| byte == 0);
        if is_checked {
            if is_zero(&self.image) {
                // It is so already, and may have been used.
                return;
            }
            // SAFETY: the caller's. Somebody may write there, who then has used it too early.
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
        // SAFETY: the caller's.
        unsafe { self.make(pointer) };
    }
}

#[cold]
fn refuse(what: &str) -> ! {
    eprintln!("selvedge: aborting: {what}");
    std::process::abort();
}
