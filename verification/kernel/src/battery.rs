//! The battery: what goroutines do with the C library and with thread-local variables, briefly and all at
//! once, while they move between kernel threads. For programs that differ in how they are linked, in the
//! C library and in its settings; the cases one by one, with controls, are in proptests/isolated/.

use selvedge::{Builder, JoinHandle, Runtime, go, yield_now};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

#[path = "kernel_thread.rs"]
mod kernel_thread;

const GOROUTINES: usize = 64;
const STEPS: usize = 50;

/// Each: what it shows, and the check, which panics if that does not hold.
pub const CHECKS: &[(&str, fn())] = &[
    ("variables", variables),
    ("first values that suspend", first_values),
    ("destructors", destructors),
    ("memory", memory),
    ("hash maps", hash_maps),
    ("errno", errno),
    ("keys", keys),
    ("locales", locales),
    ("texts", texts),
    ("mutexes of the C library", mutexes),
    ("panics", panics),
    ("threads", threads),
    ("processes", processes),
    ("signals", signals),
    ("numbers", numbers),
    ("the processor", processor),
    ("changes of the kernel thread", kernel_thread::changes),
    ("many", many),
];

/// Runs all checks in a runtime after another, and says so.
pub fn run(say: impl Fn(&str)) {
    for (name, check) in CHECKS {
        check();
        say(name);
    }
}

fn runtime() -> Runtime {
    Builder::new()
        .processors(3)
        .max_goroutines(4096)
        .build()
        .unwrap_or_else(|error| panic!("{error}"))
}

/// `f` in many goroutines, each told its number; twice, so that the second ones find what the first ones
/// have left.
fn everywhere(f: fn(usize)) {
    let runtime = runtime();
    for _ in 0..2 {
        runtime.run(|| {
            let all: Vec<JoinHandle<()>> = (0..GOROUTINES).map(|n| go(move || f(n))).collect();
            all.into_iter().for_each(|one| one.join().expect("it holds"));
        });
    }
}

fn variables() {
    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(0) };
        static LIST: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }
    everywhere(|n| {
        LIST.with_borrow_mut(|list| {
            assert!(list.is_empty());
            for step in 0..STEPS {
                assert_eq!(COUNT.replace(step + n), if step == 0 { 0 } else { step - 1 + n });
                list.push(n);
                yield_now();
            }
            assert_eq!(*list, [n; STEPS]);
        });
    });
}

fn first_values() {
    thread_local! {
        static TEXT: String = {
            yield_now();
            (0..100).map(|_| { yield_now(); 'x' }).collect()
        };
    }
    everywhere(|_| assert_eq!(TEXT.with(String::len), 100));
}

fn destructors() {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    static GONE: AtomicUsize = AtomicUsize::new(0);
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            yield_now();
            GONE.fetch_add(1, SeqCst);
        }
    }
    thread_local!(static ONE: Counted = { MADE.fetch_add(1, SeqCst); Counted });
    everywhere(|_| ONE.with(|_| yield_now()));
    assert_eq!(MADE.load(SeqCst), GONE.load(SeqCst));
    assert_eq!(MADE.load(SeqCst), 2 * GOROUTINES);
}

fn memory() {
    everywhere(|n| {
        let mut blocks = Vec::new();
        for step in 0..STEPS {
            blocks.push(vec![n as u8; 16 + 97 * (step * (n + 1) % 41)]);
            yield_now();
            if step % 3 == 0 {
                let block = blocks.swap_remove(step % blocks.len());
                assert!(block.iter().all(|&byte| byte == n as u8));
            }
        }
        // Freed by others.
        go(move || assert!(blocks.iter().flatten().all(|&b| b == n as u8))).join().unwrap();
    });
}

fn hash_maps() {
    everywhere(|n| {
        let mut map = HashMap::new();
        for step in 0..STEPS {
            map.insert(step, n);
            yield_now();
        }
        assert!((0..STEPS).all(|step| map[&step] == n));
    });
}

fn errno() {
    fn own() -> *mut i32 {
        // SAFETY: takes nothing.
        unsafe { libc::__errno_location() }
    }
    everywhere(|n| {
        // SAFETY: this goroutine's own, here and below.
        assert_eq!(unsafe { *own() }, 0, "what a predecessor has left");
        for step in 0..STEPS {
            let value = (n * STEPS + step) as i32;
            // SAFETY: as above.
            unsafe { *own() = value };
            yield_now();
            // SAFETY: as above.
            assert_eq!(unsafe { *own() }, value);
        }
    });
}

fn keys() {
    static GONE: AtomicUsize = AtomicUsize::new(0);
    static KEYS: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];
    unsafe extern "C" fn gone(_: *mut c_void) {
        yield_now();
        GONE.fetch_add(1, SeqCst);
    }
    let mut all = Vec::new();
    for _ in 0..100 {
        let mut key = 0;
        // SAFETY: a place for the key, and a destructor that takes any pointer.
        assert_eq!(unsafe { libc::pthread_key_create(&mut key, Some(gone)) }, 0);
        all.push(key);
    }
    // One of the first 32, which the control block holds, and one that it does not.
    KEYS[0].store(all[0] as usize, SeqCst);
    KEYS[1].store(all[99] as usize, SeqCst);
    everywhere(|n| {
        for key in KEYS.each_ref().map(|key| key.load(SeqCst) as libc::pthread_key_t) {
            // SAFETY: keys that exist; the values are only numbers.
            unsafe {
                assert!(libc::pthread_getspecific(key).is_null(), "what a predecessor has left");
                assert_eq!(libc::pthread_setspecific(key, ptr::without_provenance(n + 1)), 0);
                yield_now();
                assert_eq!(libc::pthread_getspecific(key).addr(), n + 1);
            }
        }
    });
    assert_eq!(GONE.load(SeqCst), 2 * 2 * GOROUTINES);
    for key in all {
        // SAFETY: created above; nobody has a value of it.
        unsafe { libc::pthread_key_delete(key) };
    }
}

fn locales() {
    everywhere(|_| {
        // SAFETY: asks.
        let before = unsafe { libc::uselocale(ptr::null_mut()) };
        assert_eq!(before.addr(), usize::MAX, "the locale of the process");
        // SAFETY: a new locale, in use until it is replaced; then freed, while a predecessor's would be used.
        unsafe {
            let own = libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), ptr::null_mut());
            libc::uselocale(own);
            yield_now();
            assert_eq!(libc::uselocale(ptr::null_mut()), own);
            libc::freelocale(own);
        }
    });
}

fn texts() {
    everywhere(|n| {
        for step in 0..4 {
            let number = 10_000 + (n * 10 + step) as i32;
            // SAFETY: the text is this thread's until the next call.
            let text = unsafe { libc::strsignal(number) };
            yield_now();
            // SAFETY: as above.
            let text = unsafe { CStr::from_ptr(text) }.to_str().unwrap();
            assert!(text.ends_with(&number.to_string()), "{text}");
        }
    });
}

fn mutexes() {
    everywhere(|_| {
        // SAFETY: a mutex of this frame, made first and destroyed last.
        unsafe {
            let mut kind = std::mem::zeroed();
            let mut mutex = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut kind);
            libc::pthread_mutexattr_settype(&mut kind, libc::PTHREAD_MUTEX_RECURSIVE);
            libc::pthread_mutex_init(&mut mutex, &kind);
            for _ in 0..3 {
                assert_eq!(libc::pthread_mutex_lock(&mut mutex), 0);
                yield_now();
            }
            for _ in 0..3 {
                assert_eq!(libc::pthread_mutex_unlock(&mut mutex), 0);
                yield_now();
            }
            assert_eq!(libc::pthread_mutex_unlock(&mut mutex), libc::EPERM);
            libc::pthread_mutex_destroy(&mut mutex);
        }
    });
}

fn panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    everywhere(|n| {
        struct Yields;
        impl Drop for Yields {
            fn drop(&mut self) {
                assert!(std::thread::panicking());
                yield_now();
                assert!(std::thread::panicking());
            }
        }
        let caught = std::panic::catch_unwind(|| {
            let _yields = Yields;
            std::panic::panic_any(n);
        });
        assert!(!std::thread::panicking());
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&n));
    });
    std::panic::set_hook(hook);
}

fn threads() {
    everywhere(|n| {
        // SAFETY: takes nothing.
        let own = unsafe { libc::pthread_self() };
        let id = std::thread::current().id();
        if n % 16 == 0 {
            let other = std::thread::spawn(move || std::thread::current().id());
            assert_ne!(other.join().unwrap(), id);
        }
        for _ in 0..STEPS {
            yield_now();
            assert_eq!(std::thread::current().id(), id);
            // SAFETY: takes nothing.
            assert_eq!(unsafe { libc::pthread_self() }, own);
        }
    });
}

fn processes() {
    everywhere(|n| {
        if n % 32 != 0 {
            return;
        }
        let status = std::process::Command::new("true").status();
        assert!(status.expect("a program").success());
        // SAFETY: the child ends at once.
        match unsafe { libc::fork() } {
            // SAFETY: ends the child.
            0 => unsafe { libc::_exit(7) },
            id => {
                let mut status = 0;
                // SAFETY: a place for the answer.
                assert_eq!(unsafe { libc::waitpid(id, &mut status, 0) }, id);
                assert_eq!(libc::WEXITSTATUS(status), 7);
            }
        }
    });
}

fn signals() {
    thread_local!(static SEEN: Cell<usize> = const { Cell::new(0) });
    extern "C" fn see(_: libc::c_int) {
        SEEN.set(SEEN.get() + 1);
    }
    // SAFETY: a handler that touches one word of its thread.
    unsafe { libc::signal(libc::SIGUSR1, see as *const () as usize) };
    everywhere(|_| {
        for step in 0..STEPS {
            assert_eq!(SEEN.get(), step);
            // SAFETY: a signal that is handled.
            assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            yield_now();
        }
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR1) }, 0);
        assert_eq!(SEEN.get(), STEPS + 1);
    });
}

fn numbers() {
    everywhere(|n| {
        let mut text = [0_u8; 64];
        // SAFETY: a buffer that is large enough.
        unsafe {
            libc::snprintf(text.as_mut_ptr().cast(), 64, c"%.3f %d".as_ptr(), n as f64 / 8.0, n);
        }
        let text = CStr::from_bytes_until_nul(&text).unwrap().to_str().unwrap();
        assert_eq!(text, format!("{:.3} {n}", n as f64 / 8.0));
    });
}

/// Goroutines on kernel threads that may use one processor alone, the last one: a block that looked as if
/// the kernel kept it up to date would say the first one.
fn processor() {
    static LAST: AtomicUsize = AtomicUsize::new(0);
    let limit_to = |cpus: &libc::cpu_set_t| {
        // SAFETY: a set of this size.
        assert_eq!(unsafe { libc::sched_setaffinity(0, size_of_val(cpus), cpus) }, 0);
    };
    // SAFETY: an empty set.
    let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let mut one = all;
    // SAFETY: a place for a set of this size.
    assert_eq!(unsafe { libc::sched_getaffinity(0, size_of_val(&all), &mut all) }, 0);
    // SAFETY: below the size of the set.
    let is_ours = |&cpu: &usize| unsafe { libc::CPU_ISSET(cpu, &all) };
    let last = (0..libc::CPU_SETSIZE as usize).rfind(is_ours).expect("a processor");
    LAST.store(last, SeqCst);
    // SAFETY: below the size of the set.
    unsafe { libc::CPU_SET(last, &mut one) };
    limit_to(&one);
    everywhere(|_| {
        for _ in 0..STEPS {
            // SAFETY: takes nothing.
            assert_eq!(unsafe { libc::sched_getcpu() } as usize, LAST.load(SeqCst));
            yield_now();
        }
    });
    limit_to(&all);
}

/// Thousands at once have blocks, in several runtimes one after another.
fn many() {
    const MANY: usize = 3000;
    thread_local!(static OWN: Cell<usize> = const { Cell::new(41) });
    static HERE: AtomicUsize = AtomicUsize::new(0);
    for _ in 0..3 {
        let runtime = runtime();
        HERE.store(0, SeqCst);
        let places: HashSet<usize> = runtime.run(|| {
            let one = |n| {
                move || {
                    OWN.set(OWN.get() + n);
                    let place = OWN.with(|own| ptr::from_ref(own).addr());
                    HERE.fetch_add(1, SeqCst);
                    while HERE.load(SeqCst) < MANY {
                        yield_now();
                    }
                    assert_eq!(OWN.get(), 41 + n);
                    drop(std::hint::black_box(Box::new(place)));
                    place
                }
            };
            let all: Vec<_> = (0..MANY).map(|n| go(one(n))).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(places.len(), MANY);
    }
}
