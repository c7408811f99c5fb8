//! Finds a function and a table of the C library that this folder needs and that have no public name. The
//! function runs the destructors of a thread's C++ and Rust thread-locals. The table has the keys' destructors.
//! The function is exported for the library's own parts. The table is exported for debuggers, since version
//! 2.34. In earlier versions the table is found by a search for the destructors of keys that are made for
//! this purpose.
//! In a statically linked program the linker resolves both symbols. Otherwise they are looked up by name, so
//! that a program that does not need them does not depend on them.

use super::error::ThreadLocalsError;

/// Returns the address of a symbol, or null if the program was linked without the symbol.
#[cfg(target_feature = "crt-static")]
macro_rules! weak {
    ($name:literal) => {{
        let address: *const ();
        // SAFETY: this loads an address from the table that the linker makes.
        unsafe {
            std::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(nostack, readonly, preserves_flags)
            );
        }
        address
    }};
}

/// One key of `pthread_key_create`, in the C library's representation.
#[repr(C)]
pub(super) struct Key {
    /// The sequence number of the key, which is odd while the key is in use.
    pub(super) sequence: usize,
    pub(super) destructor: Option<unsafe extern "C" fn(*mut libc::c_void)>,
}

#[derive(Clone, Copy)]
pub(super) struct Symbols {
    pub(super) call_destructors: unsafe extern "C" fn(),
    pub(super) keys: *const Key,
}

// SAFETY: both pointers lead into the C library, which is never unloaded. The function may be called on any
// thread, and the table is only read.
unsafe impl Send for Symbols {}
// SAFETY: no method changes the two pointers, and what they point to may be used by any thread, as for `Send`.
unsafe impl Sync for Symbols {}

impl Symbols {
    pub(super) fn find() -> Result<Symbols, ThreadLocalsError> {
        let call = find(c"__call_tls_dtors", weak_call())?;
        let keys = match find(c"__pthread_keys", weak_keys()) {
            Ok(keys) => keys,
            Err(missing) => search_keys().ok_or(missing)?,
        };
        Ok(Symbols {
            // SAFETY: `call` is the address of `__call_tls_dtors`, which takes nothing and returns nothing.
            call_destructors: unsafe {
                std::mem::transmute::<*const (), unsafe extern "C" fn()>(call)
            },
            keys: keys.cast(),
        })
    }
}

/// Returns the value of the C library's public variable of this name, or `None` if there is none.
pub(super) fn variable<T: Copy>(name: &std::ffi::CStr) -> Option<T> {
    #[cfg(target_feature = "crt-static")]
    let found: *const () = match name.to_bytes() {
        b"__rseq_offset" => weak!("__rseq_offset"),
        b"__rseq_size" => weak!("__rseq_size"),
        _ => std::ptr::null(),
    };
    #[cfg(not(target_feature = "crt-static"))]
    // SAFETY: the name is a C string, and the call only looks it up.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.cast_const();
    // SAFETY: `found` is null, or points to the C library's variable of this name. The callers in this crate use
    // the type `T` that the C library documents for it.
    unsafe { found.cast::<T>().as_ref() }.copied()
}

fn find(name: &'static std::ffi::CStr, linked: *const ()) -> Result<*const (), ThreadLocalsError> {
    if !linked.is_null() {
        return Ok(linked);
    }
    #[cfg(not(target_feature = "crt-static"))]
    {
        // SAFETY: the name is a C string, and the call only looks it up.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if !found.is_null() {
            return Ok(found.cast_const().cast());
        }
    }
    Err(ThreadLocalsError::Symbol { name: name.to_str().unwrap_or("?") })
}

/// Searches for the table of keys in the variables of the library that makes keys. The table must hold the
/// destructors of two new keys at the indices of these keys.
fn search_keys() -> Option<*const ()> {
    unsafe extern "C" fn first(_: *mut libc::c_void) {
        std::hint::black_box(1);
    }
    unsafe extern "C" fn second(_: *mut libc::c_void) {
        std::hint::black_box(2);
    }
    let destructors = [first as *const (), second as *const ()].map(<*const ()>::addr);
    let mut keys = [0; 2];
    // SAFETY: each call writes a new key to an element of the local array `keys`. No code sets a value for a key.
    let made = unsafe {
        libc::pthread_key_create(&mut keys[0], Some(first)) == 0
            && libc::pthread_key_create(&mut keys[1], Some(second)) == 0
    };
    let is_table = |table: usize| {
        // SAFETY: `at` lies in the writable memory of a loaded library, as the filter `inside` below has checked.
        let word =
            |at: usize| unsafe { std::ptr::with_exposed_provenance::<usize>(at).read_volatile() };
        keys.iter().zip(destructors).all(|(&key, destructor)| {
            let entry = table + key as usize * size_of::<Key>();
            // The keys are in use, so the sequence number must be odd.
            word(entry) % 2 == 1 && word(entry + 8) == destructor
        })
    };
    let mut found = Vec::new();
    if made {
        for variables in variables_beside(libc::pthread_key_create as *const ()) {
            // The entry of the last key must end before the variables end.
            let table_of = |at: usize| at.checked_sub(keys[0] as usize * size_of::<Key>() + 8);
            let last = variables.end.saturating_sub((keys[1] as usize + 1) * size_of::<Key>());
            let tables = variables.clone().step_by(8).filter_map(table_of);
            let inside = tables.filter(|table| (variables.start..=last).contains(table));
            found.extend(inside.filter(|&table| is_table(table)));
        }
        // SAFETY: `made` is true, so both keys were created above, and they are deleted once.
        keys.into_iter().for_each(|key| unsafe {
            libc::pthread_key_delete(key);
        });
    }
    match found[..] {
        [table] => Some(std::ptr::with_exposed_provenance(table)),
        _ => None,
    }
}

/// Returns the writable memory of the module that contains this function.
fn variables_beside(function: *const ()) -> Vec<std::ops::Range<usize>> {
    type Found = (usize, Vec<std::ops::Range<usize>>);
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid description, and `found` points to the local variable passed below.
        let (info, (function, ranges)) = unsafe { (&*info, &mut *found.cast::<Found>()) };
        // SAFETY: `dlpi_phdr` points to `dlpi_phnum` headers of the loader, and `n` is less than `dlpi_phnum`.
        let headers = (0..usize::from(info.dlpi_phnum)).map(|n| unsafe { *info.dlpi_phdr.add(n) });
        let loaded = headers.filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
            let from = (info.dlpi_addr + header.p_vaddr) as usize;
            (from..from + header.p_memsz as usize, header.p_flags & libc::PF_W != 0)
        });
        let loaded: Vec<_> = loaded.collect();
        if loaded.iter().any(|(range, _)| range.contains(function)) {
            let writable = loaded.into_iter().filter(|&(_, is_writable)| is_writable);
            ranges
                .extend(writable.map(|(range, _)| range.start.next_multiple_of(8)..range.end & !7));
        }
        0
    }
    let mut found: Found = (function.addr(), Vec::new());
    // SAFETY: `visit` has the type that the loader calls, and its last argument points to a `Found`, as it expects.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut found).cast()) };
    found.1
}

#[cfg(target_feature = "crt-static")]
fn weak_call() -> *const () {
    weak!("__call_tls_dtors")
}
#[cfg(target_feature = "crt-static")]
fn weak_keys() -> *const () {
    weak!("__pthread_keys")
}

#[cfg(not(target_feature = "crt-static"))]
fn weak_call() -> *const () {
    std::ptr::null()
}
#[cfg(not(target_feature = "crt-static"))]
fn weak_keys() -> *const () {
    std::ptr::null()
}
