//! A stack and its block serve one goroutine after another, and the next one must find nothing of its
//! predecessor. On one processor the next one mostly gets the same block, and that is checked.

use crate::harness::{Expected, Placement, check, expect_panics, meaningless, progress, same};
use crate::libraries;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

const TURNS: usize = 60;

/// Runs `leave` in one goroutine and then `find` in the next, again and again.
fn in_turn(placement: Placement, leave: fn(), find: fn()) {
    fn block() -> usize {
        // SAFETY: takes nothing.
        unsafe { libc::pthread_self() as usize }
    }
    let runtime = placement.runtime(1);
    let run = |body: fn()| {
        let handle = runtime.go(move || {
            let own = block();
            body();
            selvedge::yield_now();
            progress();
            own
        });
        handle.join()
    };
    let mut shared = 0;
    for _ in 0..TURNS {
        // One that panics has left its block all the same.
        let first = run(leave).ok();
        let second = run(find);
        let second = second.unwrap_or_else(|error| crate::harness::wrong(format_args!("{error}")));
        shared += usize::from(first.is_none_or(|first| first == second));
    }
    if shared < TURNS / 2 {
        meaningless(format_args!("a block was used again {shared} times"));
    }
    runtime.shutdown(Duration::from_secs(60)).expect("nobody is left");
}

pub fn values(placement: Placement) {
    thread_local! {
        static PLAIN: Cell<u64> = const { Cell::new(7) };
        static WITH_DESTRUCTOR: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static LAZY: RefCell<String> = RefCell::new(String::from("at first"));
        static POINTS: Cell<*const u64> = const { Cell::new(ptr::null()) };
    }
    let leave = || {
        PLAIN.set(1);
        WITH_DESTRUCTOR.with_borrow_mut(|list| list.push(1));
        LAZY.with_borrow_mut(|text| text.push_str(", and more"));
        POINTS.set(&1);
    };
    in_turn(placement, leave, || {
        same!(PLAIN.get(), 7, "a value without a destructor");
        check!(WITH_DESTRUCTOR.with_borrow(Vec::is_empty), "a value with a destructor");
        same!(LAZY.with_borrow(String::clone), "at first", "a value that is made at first use");
        check!(POINTS.get().is_null(), "a pointer");
    });
}

pub fn ids(placement: Placement) {
    static SEEN: OnceLock<Mutex<HashSet<thread::ThreadId>>> = OnceLock::new();
    fn be_new() {
        let own = thread::current().id();
        let is_new = SEEN.get_or_init(Mutex::default).lock().unwrap().insert(own);
        check!(is_new, "its predecessor's id: {own:?}");
    }
    in_turn(placement, be_new, be_new);
}

pub fn errno(placement: Placement) {
    fn errno() -> *mut c_int {
        // SAFETY: takes nothing.
        unsafe { libc::__errno_location() }
    }
    // SAFETY: this goroutine's own.
    in_turn(
        placement,
        || unsafe { *errno() = 77 },
        || {
            // SAFETY: as above.
            same!(unsafe { *errno() }, 0, "errno");
        },
    );
}

pub fn locale(placement: Placement) {
    let leave = || {
        // SAFETY: a new locale; it is freed while this goroutine still uses it, as careless code does,
        // which then ends.
        unsafe {
            let own = libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), ptr::null_mut());
            libc::uselocale(own);
            libc::freelocale(own);
        }
    };
    in_turn(placement, leave, || {
        // SAFETY: asks only.
        let locale = unsafe { libc::uselocale(ptr::null_mut()) };
        same!(locale, ptr::without_provenance_mut(usize::MAX), "the locale");
        // SAFETY: a number of a character.
        check!(unsafe { libc::isalpha('a' as c_int) } != 0, "the table of characters");
    });
}

pub fn loader_error(placement: Placement) {
    // SAFETY: a C string.
    let leave = || unsafe {
        libc::dlopen(c"/selvedge/no/such/library".as_ptr(), libc::RTLD_NOW);
    };
    in_turn(placement, leave, || {
        // SAFETY: takes nothing.
        check!(unsafe { libc::dlerror() }.is_null(), "an error of the loader");
    });
}

pub fn keys(placement: Placement) {
    static KEYS: OnceLock<Vec<libc::pthread_key_t>> = OnceLock::new();
    fn keys() -> &'static [libc::pthread_key_t] {
        KEYS.get_or_init(|| {
            let make = |_| {
                let mut key = 0;
                // SAFETY: a place for a key.
                same!(unsafe { libc::pthread_key_create(&mut key, None) }, 0, "a key");
                key
            };
            (0..70).map(make).collect()
        })
    }
    let leave = || {
        for &key in [keys()[0], keys()[40], keys()[69]].iter() {
            // SAFETY: a key without a destructor, so the value is only a number.
            unsafe { libc::pthread_setspecific(key, ptr::without_provenance::<c_void>(5)) };
        }
    };
    in_turn(placement, leave, || {
        for &key in keys() {
            // SAFETY: a key.
            let value = unsafe { libc::pthread_getspecific(key) };
            check!(value.is_null(), "a value of key {key}");
        }
    });
}

pub fn cancellation(placement: Placement) {
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, before: *mut c_int) -> c_int;
        fn pthread_setcanceltype(kind: c_int, before: *mut c_int) -> c_int;
    }
    const ENABLE: c_int = 0;
    const DISABLE: c_int = 1;
    const DEFERRED: c_int = 0;
    const ASYNCHRONOUS: c_int = 1;
    // SAFETY: settings of this thread; nobody cancels it.
    let leave = || unsafe {
        pthread_setcancelstate(DISABLE, ptr::null_mut());
        pthread_setcanceltype(ASYNCHRONOUS, ptr::null_mut());
    };
    in_turn(placement, leave, || {
        let (mut state, mut kind) = (-1, -1);
        // SAFETY: as above, and places for what was set before.
        unsafe {
            pthread_setcanceltype(DEFERRED, &mut kind);
            pthread_setcancelstate(ENABLE, &mut state);
        }
        same!((state, kind), (ENABLE, DEFERRED), "what was set before");
    });
}

pub fn library(placement: Placement) {
    static LIBRARY: OnceLock<libraries::Library> = OnceLock::new();
    fn bump() -> c_int {
        LIBRARY.get().expect("opened below").bump()
    }
    let library = libraries::open(&libraries::build("reuse", "global-dynamic"));
    if LIBRARY.set(library).is_err() {
        meaningless(format_args!("it was opened twice"));
    }
    in_turn(placement, || assert!(bump() > 42), || same!(bump(), 43, "the library's variable"));
}

/// One that ends by a panic, and one whose destructors ran while it unwound.
pub fn panicking(placement: Placement) {
    expect_panics();
    thread_local!(static UNWOUND: Cell<bool> = const { Cell::new(false) });
    struct Notes;
    impl Drop for Notes {
        fn drop(&mut self) {
            UNWOUND.set(thread::panicking());
        }
    }
    let leave = || {
        let _notes = Notes;
        std::panic::panic_any(Expected(1));
    };
    in_turn(placement, leave, || {
        check!(!thread::panicking() && !UNWOUND.get(), "its predecessor's panic");
    });
}
