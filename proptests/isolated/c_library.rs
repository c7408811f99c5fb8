//! What the C library keeps for a thread: `errno`, texts of errors, the locale, keys, the loader's last
//! error, the resolver's state, whose a stream's lock is.

use crate::harness::{Placement, check, progress, same};
use crate::stage::{Stage, wait};
use std::collections::HashSet;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::net::ToSocketAddrs;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

const GOROUTINES: usize = 200;

unsafe extern "C" {
    fn __res_state() -> *mut c_int;
    fn __ctype_b_loc() -> *const *const u16;
    fn towupper(c: u32) -> u32;
    fn flockfile(stream: *mut libc::FILE);
    fn ftrylockfile(stream: *mut libc::FILE) -> c_int;
    fn funlockfile(stream: *mut libc::FILE);
}

fn text(c: *const c_char) -> String {
    check!(!c.is_null(), "no text");
    // SAFETY: a C string of the C library, which stays until this thread asks again.
    unsafe { CStr::from_ptr(c) }.to_string_lossy().into_owned()
}

fn errno() -> *mut c_int {
    // SAFETY: takes nothing.
    unsafe { libc::__errno_location() }
}

/// Above each number of an error.
const FOREIGN: usize = 1000;

pub fn errno_stays(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        for turn in 0..10 {
            // No call fails with such a value.
            let (place, value) = (errno(), (FOREIGN + number * 10 + turn + 1) as c_int);
            // SAFETY: this goroutine's own.
            unsafe { *place = value };
            steps.suspend();
            same!(errno(), place, "where errno is");
            // SAFETY: as above.
            let seen = unsafe { *errno() };
            // A call of the runtime may leave the error of a system call of its own, as any function may.
            let own = seen == value || (seen as usize) < FOREIGN;
            check!(own, "errno: {seen} instead of {value}");
            let error = std::fs::File::open("/selvedge/no/such/file").unwrap_err();
            same!(error.raw_os_error(), Some(libc::ENOENT), "of a call that fails");
        }
    });
    stage.end();
}

pub fn own_thread(placement: Placement) {
    let stage = Stage::new(placement);
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let all = Arc::new(selvedge::sync::Barrier::new(GOROUTINES));
    stage.each(GOROUTINES, move |_, steps| {
        // SAFETY: takes nothing.
        let own = unsafe { libc::pthread_self() };
        check!(seen.lock().unwrap().insert(own), "two that are alive are the same thread");
        all.wait();
        for _ in 0..10 {
            steps.suspend();
            // SAFETY: takes nothing.
            let now = unsafe { libc::pthread_self() };
            // SAFETY: compares.
            check!(unsafe { libc::pthread_equal(now, own) } != 0, "another thread");
        }
    });
    stage.end();
}

pub fn error_texts(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        for turn in 0..10 {
            let unknown = 100_000 + (number * 10 + turn) as c_int;
            // SAFETY: any number may be asked for; the text stays until this thread asks again.
            let (error, signal) = unsafe { (libc::strerror(unknown), libc::strsignal(unknown)) };
            steps.suspend();
            same!(text(error), format!("Unknown error {unknown}"), "strerror");
            same!(text(signal), format!("Unknown signal {unknown}"), "strsignal");
        }
    });
    stage.end();
}

pub fn locale(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |_, steps| {
        for _ in 0..10 {
            // SAFETY: a new locale, which is freed below, when this goroutine uses it no more.
            let own = unsafe {
                let own = libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), ptr::null_mut());
                libc::uselocale(own);
                own
            };
            steps.suspend();
            // SAFETY: asks only.
            same!(unsafe { libc::uselocale(ptr::null_mut()) }, own, "the locale");
            // SAFETY: numbers of characters; the table of this thread's locale.
            unsafe {
                check!(libc::isalpha('a' as c_int) != 0, "a letter");
                check!(!(*__ctype_b_loc()).is_null(), "the table of characters");
                same!(libc::toupper('a' as c_int), 'A' as c_int, "toupper");
                same!(towupper('b' as u32), 'B' as u32, "towupper");
            }
            // SAFETY: the locale of the process; then nobody uses the other.
            unsafe {
                libc::uselocale(ptr::without_provenance_mut(usize::MAX));
                libc::freelocale(own);
            }
            steps.suspend();
        }
    });
    stage.end();
}

pub fn loader_error(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        for turn in 0..5 {
            let name = format!("/selvedge/no/{number}.{turn}.so");
            let c_name = CString::new(name.clone()).unwrap();
            // SAFETY: a C string.
            let opened = unsafe { libc::dlopen(c_name.as_ptr(), libc::RTLD_NOW) };
            check!(opened.is_null(), "there is none");
            steps.suspend();
            // SAFETY: takes nothing.
            let said = text(unsafe { libc::dlerror() });
            check!(said.contains(&name), "{said:?} about {name:?}");
        }
    });
    stage.end();
}

pub fn resolver(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(50, |number, steps| {
        // SAFETY: takes nothing.
        let state = unsafe { __res_state() };
        for turn in 1..=3 {
            let own = (number * 3 + turn) as c_int;
            // SAFETY: the first member, `retrans`, of this goroutine's own.
            unsafe { *state = own };
            steps.suspend();
            // SAFETY: takes nothing.
            same!(unsafe { __res_state() }, state, "where the resolver's state is");
            // SAFETY: as above.
            same!(unsafe { *state }, own, "the resolver's state");
            let found = ("localhost", 80).to_socket_addrs();
            let found: Vec<_> = found.into_iter().flatten().collect();
            check!(found.iter().any(|address| address.ip().is_loopback()), "{found:?}");
            progress();
        }
    });
    stage.end();
}

// ---- keys ----------------------------------------------------------------------------------------

static KEY_VALUES_DROPPED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" fn drop_value(value: *mut c_void) {
    // SAFETY: set by `keys` from a box; the key hands it over.
    let (number, flags) = *unsafe { Box::from_raw(value.cast::<(usize, Arc<[AtomicU64]>)>()) };
    flags[number].fetch_add(1, SeqCst);
    KEY_VALUES_DROPPED.fetch_add(1, SeqCst);
}

fn make_keys(how_many: usize) -> Vec<libc::pthread_key_t> {
    let make = || {
        let mut key = 0;
        // SAFETY: a place for a key.
        same!(unsafe { libc::pthread_key_create(&mut key, Some(drop_value)) }, 0, "a key");
        key
    };
    (0..how_many).map(|_| make()).collect()
}

/// Keys of the first block, which lies in the control block, and of later ones.
pub fn keys(placement: Placement) {
    let keys: Arc<[_]> = make_keys(70).into();
    let stage = Stage::new(placement);
    for _ in 0..2 {
        let flags: Arc<[AtomicU64]> = (0..GOROUTINES).map(|_| AtomicU64::new(0)).collect();
        let (all, dropped) = (Arc::clone(&keys), Arc::clone(&flags));
        let handles = stage.spawn(GOROUTINES, move |number, steps| {
            let used = [all[0], all[number % 70], all[69]];
            for (index, &key) in used.iter().enumerate() {
                // SAFETY: a key that lives on.
                let before = unsafe { libc::pthread_getspecific(key) };
                let again = used[..index].contains(&key);
                check!(again || before.is_null(), "a stranger's value of key {key}");
                if again {
                    continue;
                }
                let value = Box::into_raw(Box::new((number, Arc::clone(&dropped))));
                // SAFETY: as above; the destructor takes the box.
                same!(unsafe { libc::pthread_setspecific(key, value.cast()) }, 0, "set");
                steps.suspend();
                // SAFETY: as above.
                same!(unsafe { libc::pthread_getspecific(key) }, value.cast(), "key {key}");
            }
        });
        for (number, handle) in handles.into_iter().enumerate() {
            wait(handle);
            let expected = 2 + u64::from(![0, 69].contains(&(number % 70)));
            same!(flags[number].load(SeqCst), expected, "values destroyed before the end is told");
        }
    }
    stage.end();
    for &key in &*keys {
        // SAFETY: nobody uses it any more.
        unsafe { libc::pthread_key_delete(key) };
    }
}

// ---- streams, formats, memory --------------------------------------------------------------------

/// The lock of a stream is its holder's, who may take it again.
pub fn stream_lock(placement: Placement) {
    let stage = Stage::new(placement);
    // SAFETY: a file that goes with the process.
    let stream = unsafe { libc::tmpfile() } as usize;
    check!(stream != 0, "a file");
    let inside = Arc::new(AtomicUsize::new(0));
    stage.each(GOROUTINES, move |_, steps| {
        let stream = ptr::with_exposed_provenance_mut::<libc::FILE>(stream);
        // SAFETY: an open stream.
        while unsafe { ftrylockfile(stream) } != 0 {
            steps.suspend();
        }
        same!(inside.fetch_add(1, SeqCst), 0, "others who have the lock");
        steps.move_on();
        // SAFETY: as above; held by this goroutine, which may lock it again.
        unsafe { flockfile(stream) };
        steps.suspend();
        // SAFETY: as above: locked once more than it is unlocked here.
        unsafe { funlockfile(stream) };
        steps.suspend();
        inside.fetch_sub(1, SeqCst);
        // SAFETY: as above.
        unsafe { funlockfile(stream) };
    });
    stage.end();
}

pub fn formats(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |number, steps| {
        for turn in 0..10 {
            let value = (number * 100 + turn) as f64 / 7.0;
            let mut buffer = [0 as c_char; 64];
            // SAFETY: a buffer of this length, and arguments as the format says.
            unsafe {
                libc::snprintf(
                    buffer.as_mut_ptr(),
                    64,
                    c"%.17g %s".as_ptr(),
                    value,
                    c"ok".as_ptr(),
                );
            }
            steps.suspend();
            let said = text(buffer.as_ptr());
            check!(said.ends_with(" ok"), "{said:?}");
            // SAFETY: a C string, and no place for its end.
            same!(unsafe { libc::strtod(buffer.as_ptr(), ptr::null_mut()) }, value, "strtod");
            let day = 86_400 * i64::from(turn as u8);
            // SAFETY: plain numbers; both are this frame's.
            let year = unsafe {
                let mut parts = std::mem::zeroed::<libc::tm>();
                libc::localtime_r(&day, &mut parts);
                parts.tm_year
            };
            check!([69, 70].contains(&year), "the year {year}");
        }
    });
    stage.end();
}

/// Memory that one goroutine asks for and another frees.
pub fn frees(placement: Placement) {
    let stage = Stage::new(placement);
    let (sender, receiver) = selvedge::chan::unbounded::<Vec<u64>>();
    stage.each(GOROUTINES, move |number, steps| {
        for turn in 0..40 {
            let length = 1 + steps.draw(200) as usize;
            sender.send(vec![number as u64; length]).unwrap();
            steps.suspend();
            if turn % 2 == 0
                && let Ok(items) = receiver.try_recv()
            {
                check!(items.iter().all(|&item| item == items[0]), "somebody wrote there");
            }
        }
    });
    stage.end();
}

pub fn processor(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |_, steps| {
        for _ in 0..10 {
            steps.suspend();
            // SAFETY: takes nothing.
            let processor = unsafe { libc::sched_getcpu() };
            check!((0..4096).contains(&processor), "processor {processor}");
        }
    });
    stage.end();
}
