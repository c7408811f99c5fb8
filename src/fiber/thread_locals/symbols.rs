//! The two things of the C library that this needs and that have no public name: the function that runs
//! the destructors of a thread's C++ and Rust thread-locals, and the table of the keys' destructors.
//! The function is exported for the library's own parts, the table for debuggers, since version 2.34;
//! before, it is found by the destructor of a key that is made for this.
//! Where the program is linked statically, the linker finds them; otherwise they are looked up by name,
//! so that no program depends on them that does not need them.

use super::error::ThreadLocalsError;

/// The address of a symbol, or null where the program was linked without.
#[cfg(target_feature = "crt-static")]
macro_rules! weak {
    ($name:literal) => {{
        let address: *const ();
        // SAFETY: loads an address from the table that the linker makes.
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

/// One key of `pthread_key_create`, as the C library keeps it.
#[repr(C)]
pub(super) struct Key {
    /// Odd while the key is in use.
    pub(super) sequence: usize,
    pub(super) destructor: Option<unsafe extern "C" fn(*mut libc::c_void)>,
}

#[derive(Clone, Copy)]
pub(super) struct Symbols {
    pub(super) call_destructors: unsafe extern "C" fn(),
    pub(super) keys: *const Key,
}

// SAFETY: a function and a table of the C library, which stay; the table is read word by word.
unsafe impl Send for Symbols {}
// SAFETY: as above.
unsafe impl Sync for Symbols {}

impl Symbols {
    pub(super) fn find() -> Result<Symbols, ThreadLocalsError> {
        let call = find(c"__call_tls_dtors", weak_call())?;
        let keys = match find(c"__pthread_keys", weak_keys()) {
            Ok(keys) => keys,
            Err(missing) => search_keys().ok_or(missing)?,
        };
        Ok(Symbols {
            // SAFETY: the function takes nothing and returns nothing.
            call_destructors: unsafe {
                std::mem::transmute::<*const (), unsafe extern "C" fn()>(call)
            },
            keys: keys.cast(),
        })
    }
}

/// A public variable of the C library, if it has one of this name.
pub(super) fn variable<T: Copy>(name: &std::ffi::CStr) -> Option<T> {
    #[cfg(target_feature = "crt-static")]
    let found: *const () = match name.to_bytes() {
        b"__rseq_offset" => weak!("__rseq_offset"),
        b"__rseq_size" => weak!("__rseq_size"),
        _ => std::ptr::null(),
    };
    #[cfg(not(target_feature = "crt-static"))]
    // SAFETY: a C string; asks only.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) }.cast_const();
    // SAFETY: null, or a variable of the type that the caller knows it to have.
    unsafe { found.cast::<T>().as_ref() }.copied()
}

fn find(name: &'static std::ffi::CStr, linked: *const ()) -> Result<*const (), ThreadLocalsError> {
    if !linked.is_null() {
        return Ok(linked);
    }
    #[cfg(not(target_feature = "crt-static"))]
    {
        // SAFETY: a C string; asks only.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if !found.is_null() {
            return Ok(found.cast_const().cast());
        }
    }
    Err(ThreadLocalsError::Symbol { name: name.to_str().unwrap_or("?") })
}

/// The table of keys in the variables of the library that makes keys: it holds the destructors of two keys
/// where they must be.
fn search_keys() -> Option<*const ()> {
    unsafe extern "C" fn first(_: *mut libc::c_void) {
        std::hint::black_box(1);
    }
    unsafe extern "C" fn second(_: *mut libc::c_void) {
        std::hint::black_box(2);
    }
    let destructors = [first as *const (), second as *const ()].map(<*const ()>::addr);
    let mut keys = [0; 2];
    // SAFETY: places for keys, which nobody gives a value.
    let made = unsafe {
        libc::pthread_key_create(&mut keys[0], Some(first)) == 0
            && libc::pthread_key_create(&mut keys[1], Some(second)) == 0
    };
    let is_table = |table: usize| {
        // SAFETY: checked by the caller to lie in a library's variables.
        let word =
            |at: usize| unsafe { std::ptr::with_exposed_provenance::<usize>(at).read_volatile() };
        keys.iter().zip(destructors).all(|(&key, destructor)| {
            let entry = table + key as usize * size_of::<Key>();
            // In use, so the sequence number is odd.
            word(entry) % 2 == 1 && word(entry + 8) == destructor
        })
    };
    let mut found = Vec::new();
    if made {
        for variables in variables_beside(libc::pthread_key_create as *const ()) {
            // One entry before the end there is room for the key that was made last.
            let table_of = |at: usize| at.checked_sub(keys[0] as usize * size_of::<Key>() + 8);
            let last = variables.end.saturating_sub((keys[1] as usize + 1) * size_of::<Key>());
            let tables = variables.clone().step_by(8).filter_map(table_of);
            let inside = tables.filter(|table| (variables.start..=last).contains(table));
            found.extend(inside.filter(|&table| is_table(table)));
        }
        // SAFETY: made above.
        keys.into_iter().for_each(|key| unsafe {
            libc::pthread_key_delete(key);
        });
    }
    match found[..] {
        [table] => Some(std::ptr::with_exposed_provenance(table)),
        _ => None,
    }
}

/// The writable memory of the module that has this function.
fn variables_beside(function: *const ()) -> Vec<std::ops::Range<usize>> {
    type Found = (usize, Vec<std::ops::Range<usize>>);
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _: usize,
        found: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes its description, and `found` is the caller's.
        let (info, (function, ranges)) = unsafe { (&*info, &mut *found.cast::<Found>()) };
        // SAFETY: so many headers there are.
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
    // SAFETY: `visit` has the loader's type, and gets what it expects.
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
