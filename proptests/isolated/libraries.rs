//! Libraries with thread-local variables of their own, made by `cc`: loaded before the first runtime or
//! after it, with variables in each thread's block or made on demand.

use crate::harness::{Placement, check, same, skip};
use crate::stage::Stage;
use std::ffi::{CString, c_int, c_void};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

const GOROUTINES: usize = 200;

const SOURCE: &str = "
static __thread int counter = 42;
static __thread char padding[1000];
static __thread int *itself;
int bump(void) {
    if (!itself) itself = &counter;
    padding[counter % 1000] = 1;
    return itself == &counter ? ++counter : -1;
}
void *place(void) { return &counter; }
";

pub struct Library {
    handle: *mut c_void,
    bump: unsafe extern "C" fn() -> c_int,
    place: unsafe extern "C" fn() -> *mut c_void,
}

// SAFETY: two functions that any thread may call.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// A file of the process that goes with it.
pub struct Built(PathBuf);

impl Drop for Built {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Compiles a library; skips the case where there is no compiler.
pub fn build(name: &str, model: &str) -> Built {
    let folder = std::env::temp_dir();
    let stem = format!("selvedge-isolated-{}-{name}", std::process::id());
    let (source, library) = (folder.join(format!("{stem}.c")), folder.join(format!("{stem}.so")));
    std::fs::write(&source, SOURCE).expect("a source file");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", &format!("-ftls-model={model}"), "-o"]);
    let status = compiler.arg(&library).arg(&source).status();
    let _ = std::fs::remove_file(&source);
    match status {
        Err(error) => skip(format_args!("there is no C compiler: {error}")),
        Ok(status) => check!(status.success(), "cc: {status}"),
    }
    Built(library)
}

pub fn open(file: &Built) -> Library {
    let name = CString::new(file.0.to_str().expect("a name")).unwrap();
    // SAFETY: a library of ours, which does nothing when it is loaded.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW) };
    check!(!handle.is_null(), "dlopen");
    // SAFETY: both functions are in the library, and of these types.
    unsafe {
        Library {
            handle,
            bump: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> c_int>(libc::dlsym(
                handle,
                c"bump".as_ptr(),
            )),
            place: std::mem::transmute::<*mut c_void, unsafe extern "C" fn() -> *mut c_void>(
                libc::dlsym(handle, c"place".as_ptr()),
            ),
        }
    }
}

impl Library {
    pub fn bump(&self) -> c_int {
        // SAFETY: takes nothing; loaded.
        unsafe { (self.bump)() }
    }

    fn place(&self) -> *mut c_void {
        // SAFETY: as above.
        unsafe { (self.place)() }
    }
}

fn each(stage: &Stage, library: Library) {
    let library = Arc::new(library);
    for _ in 0..2 {
        let library = Arc::clone(&library);
        stage.each(GOROUTINES, move |_, steps| {
            steps.suspend();
            let place = library.place();
            for turn in 1..=10 {
                same!(library.bump(), 42 + turn, "the library's variable");
                steps.suspend();
                same!(library.place(), place, "where it is");
            }
        });
    }
}

/// Its variables lie in each thread's block, at a place that its code has fixed.
pub fn fixed_before(placement: Placement) {
    let library = open(&build("fixed", "initial-exec"));
    let stage = Stage::new(placement);
    each(&stage, library);
    stage.end();
}

pub fn on_demand_before(placement: Placement) {
    let library = open(&build("demand", "global-dynamic"));
    let stage = Stage::new(placement);
    each(&stage, library);
    stage.end();
}

/// Loaded while goroutines are alive, whose blocks have been made without it.
pub fn on_demand_after(placement: Placement) {
    let stage = Stage::new(placement);
    stage.each(GOROUTINES, |_, steps| steps.move_on());
    each(&stage, open(&build("demand", "global-dynamic")));
    // By one goroutine, while the others run.
    let file = Arc::new(build("another", "global-dynamic"));
    let all = Arc::new(selvedge::sync::Barrier::new(GOROUTINES));
    stage.each(GOROUTINES, move |number, steps| {
        if number == 0 {
            let _ = open(&file);
        }
        all.wait();
        let library = open(&file);
        steps.suspend();
        same!(library.bump(), 43, "the first use");
        steps.suspend();
        same!(library.bump(), 44, "the second use");
    });
    stage.end();
}

/// Loaded, used, unloaded and loaded again by the same goroutine: its variables are new each time.
pub fn unloaded(placement: Placement) {
    let file = Arc::new(build("again", "global-dynamic"));
    let stage = Stage::new(placement);
    stage.each(50, move |number, steps| {
        for _ in 0..5 {
            let library = open(&file);
            steps.suspend();
            check!(library.bump() > 42, "a new library's variable in {number}");
            steps.suspend();
            // SAFETY: opened above, and not used after that.
            same!(unsafe { libc::dlclose(library.handle) }, 0, "dlclose");
        }
    });
    stage.end();
}
