//! Learn: finds out the purpose of each word of a block that the C library uses. A donor performs one operation,
//! and the words that have changed belong to that operation. [C8]
//! Checked by: src/fiber/thread_locals/tests.rs.

use super::donor::{Donor, Order};
use super::error::ThreadLocalsError;
use super::pointer;
use super::resolver::Resolver;
use super::symbols::Symbols;
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use std::ffi::c_void;
use std::ptr;

/// A distance in bytes from the thread pointer.
pub(super) type Offset = isize;

/// The words of the kernel's restartable sequences, which change without an action of the thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rseq {
    pub(super) from: Offset,
    pub(super) to: Offset,
    /// Whether the C library registers the words with the kernel, for each thread.
    pub(super) is_used: bool,
}

/// Where a block holds the values of `pthread_setspecific`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Specific {
    /// The first 32 pairs of a sequence number and a value, in the control block.
    pub(super) first: Offset,
    /// Pointers to all blocks of 32 such pairs, including the first block.
    pub(super) blocks: Offset,
    /// A word that is not 0 once a value was set. `None` if there is no such word.
    pub(super) used: Option<Offset>,
}

/// The words that the donor's operations have shown, with the purpose of each word.
#[derive(Clone, Debug)]
pub(super) struct Learnt {
    pub(super) errno: Offset,
    /// The words of `malloc` (its cache and its arena), and those of a sanitizer. They stay with the kernel
    /// thread.
    pub(super) allocator: Vec<Offset>,
    /// The list of destructors of thread-local variables. It is 0 while the list is empty.
    pub(super) destructors: Offset,
    /// `None` if so many keys were in use that none of the first keys was free. Then every key is checked.
    pub(super) specific: Option<Specific>,
    /// Words that differ from the template's while a goroutine has its own locale, has disabled cancellation,
    /// has an error of `dlopen` to fetch, or has a state of the resolver.
    pub(super) settings: Vec<Offset>,
    /// Words that own memory which the C library frees only at the end of a thread.
    pub(super) owners: Vec<Offset>,
    /// The owning words that are null, or that point to a text that `malloc` has allocated.
    pub(super) texts: Vec<Offset>,
    /// The keys of `std`'s hash maps. The keys are random numbers. The next goroutine may use the same keys,
    /// because a thread also uses the same keys for its next map. A request to the kernel for new keys would
    /// take longer than everything else in `renew`.
    pub(super) hash_keys: Vec<Offset>,
    pub(super) resolver: Option<Resolver>,
}

/// The part of a block that images contain.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) below: usize,
    pub(super) above: usize,
    pub(super) rseq: Option<Rseq>,
}

impl Range {
    /// Returns the offset of a word of an image.
    pub(super) fn offset(self, word: usize) -> Offset {
        (word * 8) as isize - self.below as isize
    }

    /// Returns the index of the word of an image that contains the offset.
    pub(super) fn word(self, offset: Offset) -> usize {
        (offset + self.below as isize) as usize / 8
    }

    pub(super) fn is_rseq(self, offset: Offset) -> bool {
        self.rseq.is_some_and(|rseq| (rseq.from..rseq.to).contains(&offset))
    }
}

/// Returns where restartable sequences are, from two public variables of the C library.
pub(super) fn rseq() -> Option<Rseq> {
    let offset = crate::fiber::thread_locals::symbols::variable::<isize>(c"__rseq_offset")?;
    // The size is 20 or 32 bytes, and will be more later. The kernel's minimum is 32, and all of these bytes
    // belong to the kernel.
    let size = crate::fiber::thread_locals::symbols::variable::<u32>(c"__rseq_size").unwrap_or(0);
    let to = offset + size.max(32) as isize;
    Some(Rseq { from: offset & !7, to: (to + 7) & !7, is_used: size > 0 })
}

/// Makes the donor perform one operation after another, and returns what was found.
pub(super) fn learn(
    donor: &Donor,
    range: Range,
    symbols: &Symbols,
    image: &[u64],
) -> Result<Learnt, ThreadLocalsError> {
    let mut trial = Trial { donor, range, errno: None };
    trial.ask(errno_place);
    // Relaxed: the starter has seen the donor's state (Acquire), so it also sees this value.
    let errno = ANSWER.load(Ordering::Relaxed) as isize - donor.thread_pointer() as isize;
    trial.errno = Some(errno & !7);
    // The donor allocates twice, because the first call may set up more than the words that are carried.
    let mut allocator = trial.ask(allocate);
    allocator.extend(trial.ask(allocate));
    allocator.retain(|&offset| offset < 0);
    let destructors = trial.destructors(symbols)?;
    let specific = trial.specific();
    let mut settings = trial.ask(change_locale);
    trial.ask(restore_locale);
    settings.extend(trial.ask(forbid_cancellation));
    trial.ask(allow_cancellation);
    let hash_keys = trial.ask(make_hash_keys);
    let mut owners = Vec::new();
    let mut texts = Vec::new();
    for describe in [describe_error as Order, describe_signal] {
        let changed = trial.ask(describe);
        // Relaxed: the donor waits, so it does not write now.
        let text = ANSWER.load(Ordering::Relaxed) as u64;
        texts.extend(changed.iter().copied().filter(|&offset| trial.word(offset) == text));
        owners.extend(changed);
    }
    // If the text is the value of a key, the key's destructor frees it.
    let keys =
        |offset: Offset| specific.is_none_or(|s| (s.first..s.first + 16 * 32).contains(&offset));
    texts.retain(|&offset| !keys(offset));
    let failed = trial.ask(fail_to_open);
    settings.extend(&failed);
    owners.extend(&failed);
    owners.retain(|offset| !allocator.contains(offset));
    settings.retain(|offset| !allocator.contains(offset));
    if settings.is_empty() {
        let what = "a thread's own locale leaves no trace in its block";
        return Err(ThreadLocalsError::Layout { what, offset: 0 });
    }
    let resolver = Resolver::find(donor, range, image);
    settings.extend(resolver.map(Resolver::options));
    #[rustfmt::skip]
    let learnt =
        Learnt { errno, allocator, destructors, specific, settings, owners, texts, hash_keys, resolver };
    Ok(learnt)
}

struct Trial<'a> {
    donor: &'a Donor,
    range: Range,
    errno: Option<Offset>,
}

impl Trial<'_> {
    fn ask(&self, order: Order) -> Vec<Offset> {
        self.ask_with(order, 0)
    }

    /// Returns the words that an order changes.
    fn ask_with(&self, order: Order, argument: usize) -> Vec<Offset> {
        let image = || self.donor.image(self.range.below, self.range.above);
        let before = image();
        self.donor.order(order, argument);
        let after = image();
        let differ = (0..before.len()).filter(|&word| before[word] != after[word]);
        let offsets = differ.map(|word| self.range.offset(word));
        offsets.filter(|&o| !self.range.is_rseq(o) && Some(o) != self.errno).collect()
    }

    fn word(&self, offset: Offset) -> u64 {
        self.donor.image(self.range.below, self.range.above)[self.range.word(offset)]
    }

    /// Returns the one word that is 0 before a destructor is registered and after it has run, and not 0
    /// between.
    fn destructors(&self, symbols: &Symbols) -> Result<Offset, ThreadLocalsError> {
        let mut changed = self.ask(register_destructor);
        changed.retain(|&offset| self.word(offset) != 0);
        // Relaxed: the starter has seen the donor's state (Acquire), so it also sees this value.
        let ran = DESTRUCTORS_RUN.load(Ordering::Relaxed);
        self.ask_with(call, symbols.call_destructors as *const () as usize);
        changed.retain(|&offset| self.word(offset) == 0);
        // Relaxed: the starter has seen the donor's state (Acquire), so it also sees this value.
        if DESTRUCTORS_RUN.load(Ordering::Relaxed) != ran + 1 {
            return Err(ThreadLocalsError::Symbol { name: "__call_tls_dtors" });
        }
        match changed[..] {
            [offset] => Ok(offset),
            _ => {
                let what = "the list of a thread's destructors is not found";
                Err(ThreadLocalsError::Layout { what, offset: changed.len() as isize })
            }
        }
    }

    fn specific(&self) -> Option<Specific> {
        const VALUE: u64 = 0x5e1f_0001;
        let mut key = 0;
        // SAFETY: `key` points to a local variable, to which the call writes the new key.
        if unsafe { libc::pthread_key_create(&mut key, None) } != 0 {
            return None;
        }
        // Relaxed: the next order to the donor publishes this store, and the donor loads the key after that order.
        KEY.store(key as usize, Ordering::Relaxed);
        let changed = self.ask_with(set_specific, VALUE as usize);
        let data: Vec<_> = changed.iter().filter(|&&o| self.word(o) == VALUE).collect();
        let found = match data[..] {
            [&data] if key < 32 => self.specific_at(data - 8 - 16 * key as isize, data, &changed),
            _ => None,
        };
        self.ask_with(set_specific, 0);
        // SAFETY: `key` was created above. Only the donor has set a value for it, and has set it to 0 again.
        unsafe { libc::pthread_key_delete(key) };
        found
    }

    fn specific_at(&self, first: Offset, data: Offset, changed: &[Offset]) -> Option<Specific> {
        let pointer = (self.donor.thread_pointer() as isize + first) as u64;
        let image = self.donor.image(self.range.below, self.range.above);
        let mut pointers = (0..image.len()).filter(|&word| image[word] == pointer);
        let (Some(word), None) = (pointers.next(), pointers.next()) else { return None };
        let mut others = changed.iter().filter(|&&o| o != data && o != data - 8);
        let used = match (others.next(), others.next()) {
            (Some(&used), None) => Some(used),
            _ => None,
        };
        Some(Specific { first, blocks: self.range.offset(word), used })
    }
}

// ---- what a donor does ---------------------------------------------------------------------------

/// The result of the last order.
static ANSWER: AtomicUsize = AtomicUsize::new(0);
/// The number of calls of `count_destructor`.
static DESTRUCTORS_RUN: AtomicUsize = AtomicUsize::new(0);
/// The key that `set_specific` uses.
static KEY: AtomicUsize = AtomicUsize::new(0);
/// The locale that `restore_locale` frees.
static LOCALE: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    fn __cxa_thread_atexit_impl(
        destructor: unsafe extern "C" fn(*mut c_void),
        object: *mut c_void,
        module: *const c_void,
    ) -> libc::c_int;
    static __dso_handle: u8;
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
    fn pthread_setcanceltype(kind: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

const ENABLE: libc::c_int = 0;
const DISABLE: libc::c_int = 1;
const DEFERRED: libc::c_int = 0;
const ASYNCHRONOUS: libc::c_int = 1;

/// Returns the value that `uselocale` takes for the locale of the process. All its bits are set, as the C
/// library's header says.
fn global_locale() -> libc::locale_t {
    ptr::without_provenance_mut(usize::MAX)
}

unsafe fn errno_place(_: usize) {
    // SAFETY: the call takes no argument.
    // Relaxed: the starter sees this store, because the donor's Release store of its state follows.
    ANSWER.store(unsafe { libc::__errno_location() }.addr(), Ordering::Relaxed);
}

unsafe fn allocate(_: usize) {
    // SAFETY: the pointer comes from `malloc` and is freed once. `black_box` keeps both calls in the program.
    unsafe { libc::free(std::hint::black_box(libc::malloc(24))) };
}

unsafe extern "C" fn count_destructor(_: *mut c_void) {
    // Relaxed: the starter sees this addition, because the donor's Release store of its state follows.
    DESTRUCTORS_RUN.fetch_add(1, Ordering::Relaxed);
}

unsafe fn register_destructor(_: usize) {
    // SAFETY: `count_destructor` ignores its argument, so null is valid. `__dso_handle` is this module's own.
    unsafe {
        __cxa_thread_atexit_impl(
            count_destructor,
            ptr::null_mut(),
            (&raw const __dso_handle).cast(),
        );
    }
}

unsafe fn call(function: usize) {
    // SAFETY: `function` is the address of a function that takes and returns nothing. The caller guarantees it.
    unsafe {
        let function =
            std::mem::transmute::<*const (), unsafe extern "C" fn()>(function as *const ());
        function();
    }
}

unsafe fn set_specific(value: usize) {
    // Relaxed: the starter stored the key before it gave this order, and `Donor::order` publishes that store.
    let key = KEY.load(Ordering::Relaxed) as libc::pthread_key_t;
    // SAFETY: the key has no destructor, so the value is only a number.
    unsafe { libc::pthread_setspecific(key, ptr::without_provenance(value)) };
}

unsafe fn change_locale(_: usize) {
    // SAFETY: the name is a C string, and no locale is modified. `restore_locale` frees the new locale.
    unsafe {
        let locale = libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), ptr::null_mut());
        // Relaxed: only this donor loads the locale, in `restore_locale`.
        LOCALE.store(locale.addr(), Ordering::Relaxed);
        libc::uselocale(locale);
    }
}

unsafe fn restore_locale(_: usize) {
    // SAFETY: `change_locale` made this locale. No thread uses it after this donor has left it here.
    unsafe {
        libc::uselocale(global_locale());
        // Relaxed: this donor itself stored the locale, in `change_locale`.
        libc::freelocale(ptr::with_exposed_provenance_mut(LOCALE.load(Ordering::Relaxed)));
    }
}

unsafe fn forbid_cancellation(_: usize) {
    // SAFETY: the calls only change the donor's setting, and no code cancels a donor.
    unsafe {
        pthread_setcanceltype(ASYNCHRONOUS, ptr::null_mut());
        pthread_setcancelstate(DISABLE, ptr::null_mut());
    }
}

unsafe fn allow_cancellation(_: usize) {
    // SAFETY: as in the function above, no code cancels a donor.
    unsafe {
        pthread_setcancelstate(ENABLE, ptr::null_mut());
        pthread_setcanceltype(DEFERRED, ptr::null_mut());
    }
}

unsafe fn make_hash_keys(_: usize) {
    std::hint::black_box(std::hash::RandomState::new());
}

/// A number that has no text of its own, so that the C library makes the text for this thread.
const NO_SUCH: libc::c_int = 100_000;

unsafe fn describe_error(_: usize) {
    // SAFETY: the call accepts any number.
    // Relaxed: the starter waits. It sees this store, because the donor's Release store of its state follows.
    ANSWER.store(unsafe { libc::strerror(NO_SUCH) }.addr(), Ordering::Relaxed);
}

unsafe fn describe_signal(_: usize) {
    // SAFETY: the call accepts any number.
    // Relaxed: the starter waits. It sees this store, because the donor's Release store of its state follows.
    ANSWER.store(unsafe { libc::strsignal(NO_SUCH) }.addr(), Ordering::Relaxed);
}

unsafe fn fail_to_open(_: usize) {
    #[cfg(not(target_feature = "crt-static"))]
    // SAFETY: the argument is a C string.
    unsafe {
        libc::dlopen(c"/selvedge/no/such/library".as_ptr(), libc::RTLD_NOW);
    }
}

/// Restores the calling thread's settings, which are those in `Learnt::settings`.
pub(super) fn restore_settings() {
    // SAFETY: no call takes a pointer that must be valid, and the settings are this thread's own.
    unsafe {
        libc::uselocale(global_locale());
        pthread_setcanceltype(DEFERRED, ptr::null_mut());
        pthread_setcancelstate(ENABLE, ptr::null_mut());
        #[cfg(not(target_feature = "crt-static"))]
        {
            // The first call returns the text, and the second call frees it.
            libc::dlerror();
            libc::dlerror();
        }
    }
}

/// Returns true if the calling thread's control block holds its own address at offset 16, as the ABI demands.
pub(super) fn is_self_pointing() -> bool {
    let at = ptr::with_exposed_provenance::<usize>(pointer::read());
    // SAFETY: the control block begins at the thread pointer. The word at offset 16 also points to the
    // control block.
    unsafe { at.read() == pointer::read() && at.add(2).read() == pointer::read() }
}
