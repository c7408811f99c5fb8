//! Libraries that are loaded while there are goroutines, and have variables in the blocks of threads.

use crate::c;
use crate::common::process;
use selvedge::{Builder, Runtime, yield_now};
use std::ffi::{CStr, CString};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// Variables that lie in the block, whose first values are no zeros; and first code, and last code, that
/// uses them.
const SOURCE: &str = r#"
    #include <dlfcn.h>
    static __thread int first = FIRST;
    static __thread char text[100] = "text";
    static __thread int empty[20];
    static int seen = -1;
    #ifndef QUIET
    __attribute__((constructor)) static void begin(void) { seen = first; first = 1; text[0] = 'T'; empty[3] = 1; }
    __attribute__((destructor)) static void end(void) { dlopen("/no/such/library.so", RTLD_NOW); }
    #endif
    int was(void) { return seen; }
    int get(void) { return text[0] == 't' && text[1] == 'e' && empty[3] == 0 ? first : -1; }
    void set(int value) { first = value; }
    int value(void) { return first; }
"#;

type Get = unsafe extern "C" fn() -> i32;
type Set = unsafe extern "C" fn(i32);

#[derive(Clone, Copy)]
struct Library {
    handle: usize,
    was: Get,
    get: Get,
    set: Set,
    value: Get,
}

fn library(name: &str, first: i32) -> Option<CString> {
    let define = format!("-DFIRST={first}");
    let options = ["-ftls-model=initial-exec", &define, "-ldl"];
    Some(c_path(&c::library_with(name, SOURCE, &options)?))
}

fn c_path(path: &Path) -> CString {
    CString::new(path.to_str().expect("a name in UTF-8")).unwrap()
}

impl Library {
    fn load(path: &CStr) -> Library {
        // SAFETY: a library of ours, with these functions.
        unsafe {
            let handle = libc::dlopen(path.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null(), "{:?}", CStr::from_ptr(libc::dlerror()));
            Library::of(handle)
        }
    }

    /// # Safety
    /// It is the handle of such a library.
    unsafe fn of(handle: *mut libc::c_void) -> Library {
        let find = |name: &CStr| {
            // SAFETY: a handle, and a text.
            let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
            assert!(!found.is_null());
            found
        };
        // SAFETY: the functions have these types.
        unsafe {
            Library {
                handle: handle.expose_provenance(),
                was: std::mem::transmute::<*mut libc::c_void, Get>(find(c"was")),
                get: std::mem::transmute::<*mut libc::c_void, Get>(find(c"get")),
                set: std::mem::transmute::<*mut libc::c_void, Set>(find(c"set")),
                value: std::mem::transmute::<*mut libc::c_void, Get>(find(c"value")),
            }
        }
    }

    fn get(self) -> i32 {
        // SAFETY: takes nothing.
        unsafe { (self.get)() }
    }

    fn set(self, value: i32) {
        // SAFETY: takes a number.
        unsafe { (self.set)(value) }
    }

    fn value(self) -> i32 {
        // SAFETY: takes nothing.
        unsafe { (self.value)() }
    }

    fn unload(self) {
        // SAFETY: loaded once, and used no more.
        unsafe {
            assert_eq!(libc::dlclose(std::ptr::with_exposed_provenance_mut(self.handle)), 0);
        }
    }
}

fn runtime() -> Runtime {
    Builder::new().processors(2).build().unwrap()
}

/// Goroutines that are there before a library, and use it then: each finds its first values, and keeps its
/// own.
struct Users(Vec<selvedge::JoinHandle<()>>);

static STAGE: AtomicUsize = AtomicUsize::new(0);
static LIBRARY: std::sync::Mutex<Option<Library>> = std::sync::Mutex::new(None);

impl Users {
    fn start(runtime: &Runtime, first: i32) -> Users {
        STAGE.store(0, SeqCst);
        let one = move |n: i32| {
            move || {
                while STAGE.load(SeqCst) == 0 {
                    yield_now();
                }
                let library = LIBRARY.lock().unwrap().unwrap();
                use_it(library, n, first);
            }
        };
        let users = Users((0..50).map(|n| runtime.go(one(n))).collect());
        // Each has its block.
        for _ in 0..1000 {
            runtime.run(yield_now);
        }
        users
    }

    fn go_on(self, runtime: &Runtime, library: Library, first: i32) {
        *LIBRARY.lock().unwrap() = Some(library);
        STAGE.store(1, SeqCst);
        self.0.into_iter().for_each(|user| user.join().unwrap());
        // Those that come later, on new stacks and on old ones.
        for _ in 0..3 {
            let all: Vec<_> =
                (0..200).map(|n| runtime.go(move || use_it(library, n, first))).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        }
    }
}

fn use_it(library: Library, n: i32, first: i32) {
    assert_eq!(library.get(), first);
    for step in 0..10 {
        library.set(1000 + n + step);
        yield_now();
        assert_eq!(library.value(), 1000 + n + step);
    }
}

#[test]
fn a_goroutine_loads_a_library() {
    process("late::a_goroutine_loads_a_library", || {
        let Some(path) = library("by_goroutine", 42) else { return };
        let runtime = runtime();
        let users = Users::start(&runtime, 42);
        let library = runtime.run(|| {
            let library = Library::load(&path);
            // Its first code ran elsewhere, and found its variables.
            // SAFETY: takes nothing.
            assert_eq!(unsafe { (library.was)() }, 42);
            assert_eq!(library.get(), 42);
            library
        });
        users.go_on(&runtime, library, 42);
        runtime.run(|| library.unload());
    })
    .is_success();
}

#[test]
fn a_plain_thread_loads_a_library() {
    process("late::a_plain_thread_loads_a_library", || {
        let Some(path) = library("by_thread", 43) else { return };
        let runtime = runtime();
        let users = Users::start(&runtime, 43);
        let library = Library::load(&path);
        assert_eq!(library.value(), 1, "what its first code has set on this thread");
        users.go_on(&runtime, library, 43);
    })
    .is_success();
}

/// The second library takes the place of the first one.
#[test]
fn another_library_takes_the_place_of_one_that_was_unloaded() {
    process("late::another_library_takes_the_place_of_one_that_was_unloaded", || {
        let Some(one) = library("goes", 44) else { return };
        let Some(two) = library("comes", 45) else { return };
        let runtime = runtime();
        let users = Users::start(&runtime, 44);
        let library = Library::load(&one);
        users.go_on(&runtime, library, 44);
        library.unload();
        let users = Users::start(&runtime, 45);
        let library = runtime.run(|| Library::load(&two));
        users.go_on(&runtime, library, 45);
    })
    .is_success();
}

#[test]
fn a_library_that_is_not_there_leaves_the_reason() {
    process("late::a_library_that_is_not_there_leaves_the_reason", || {
        runtime().run(|| {
            // SAFETY: texts.
            unsafe {
                let handle = libc::dlopen(c"/no/such/library.so".as_ptr(), libc::RTLD_NOW);
                assert!(handle.is_null());
                let reason = libc::dlerror();
                assert!(!reason.is_null());
                assert!(CStr::from_ptr(reason).to_str().unwrap().contains("/no/such/library.so"));
            }
        });
    })
    .is_success();
}

/// A library that loads another one by its name alone: that is looked for beside the first one, so the
/// call is left to the loader, and nobody is told.
fn load_unseen(names: [&str; 2], options: &[&str], then: fn(&Runtime, Library)) {
    let loader = r#"
        #include <dlfcn.h>
        void *load(const char *name) { return dlopen(name, RTLD_NOW); }
    "#;
    let options = [&["-ftls-model=initial-exec", "-DFIRST=46", "-ldl"], options].concat();
    let Some(path) = c::library_with(names[0], SOURCE, &options) else { return };
    let loader = c::library_with(names[1], loader, &["-Wl,-rpath,$ORIGIN", "-ldl"]);
    let loader = c_path(&loader.expect("there is a compiler"));
    let name = c_path(Path::new(path.file_name().unwrap()));
    let runtime = runtime();
    let users = Users::start(&runtime, 46);
    let library = runtime.run(|| {
        type Load = unsafe extern "C" fn(*const libc::c_char) -> *mut libc::c_void;
        // SAFETY: libraries of ours, with these functions.
        unsafe {
            let handle = libc::dlopen(loader.as_ptr(), libc::RTLD_NOW);
            assert!(!handle.is_null());
            let load = libc::dlsym(handle, c"load".as_ptr());
            let load = std::mem::transmute::<*mut libc::c_void, Load>(load);
            let handle = load(name.as_ptr());
            assert!(!handle.is_null(), "{:?}", CStr::from_ptr(libc::dlerror()));
            Library::of(handle)
        }
    });
    then(&runtime, library);
    users.go_on(&runtime, library, 46);
}

/// The monitor looks now and then.
fn await_first_values(runtime: &Runtime, library: Library) {
    let start = std::time::Instant::now();
    while runtime.run(|| library.get()) != 46 {
        assert!(start.elapsed() < std::time::Duration::from_secs(20));
        std::thread::yield_now();
    }
}

#[test]
fn what_is_loaded_unseen_is_caught_up_with() {
    process("late::what_is_loaded_unseen_is_caught_up_with", || {
        load_unseen(["unseen", "loader1"], &["-DQUIET"], await_first_values);
    })
    .is_success();
}

/// Its first code runs on a goroutine's block, in which its variables have not been made.
#[test]
fn what_is_used_too_early_ends_the_process_by_name() {
    let end = process("late::what_is_used_too_early_ends_the_process_by_name", || {
        load_unseen(["early", "loader2"], &[], await_first_values);
    });
    // So a test says that there is no compiler.
    if end.stderr.contains("NOTHING CHECKED") {
        return;
    }
    assert_eq!(end.signal, Some(libc::SIGABRT), "{}", end.stderr);
    let said = "a goroutine has used thread-local variables of ";
    assert!(end.stderr.contains(said) && end.stderr.contains("libearly"), "{}", end.stderr);
}
