//! Isolated goroutines are threads to their code: the table below, case by case, each with a control.
//!
//! Under *fails*, the case does not hold where goroutines share the thread-locals of their kernel thread;
//! under *holds*, it does, and is here because it must in an isolated runtime as well. The control runs
//! in a migrating runtime, or in an anchored one where the row says so.
//!
//! What each child saw: `cargo test --test isolated -- --nocapture`. More rounds, and other builds:
//! `.ci/isolated`.
#![cfg(not(any(feature = "loom", feature = "shuttle")))]
#![cfg(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"))]
#![cfg(not(feature = "portable-switch"))]

mod c_library;
mod c_locks;
mod harness;
mod libraries;
mod processes;
mod programs;
mod reuse;
mod rust_locals;
mod signals;
mod stage;
mod std_threads;

use harness::{Case, Control, Placement, prove};

/// A test for each row: how its control ends, the case, and what it shows.
macro_rules! cases {
    ($($control:ident $name:ident $body:path, $shows:literal;)*) => {
        $(
            #[doc = $shows]
            #[test]
            fn $name() {
                prove(&case(stringify!($control), stringify!($name), $body));
            }
        )*
    };
}

fn case(control: &str, name: &'static str, body: fn(Placement)) -> Case {
    let (control, alone) = match control {
        "fails" => (Control::Fails(Placement::Migrating), false),
        "holds" => (Control::Holds(Placement::Migrating), false),
        "fails_anchored" => (Control::Fails(Placement::Anchored), false),
        "fails_anchored_alone" => (Control::Fails(Placement::Anchored), true),
        other => panic!("{other}: no such control"),
    };
    Case { name, body, control, alone }
}

cases! {
    fails cell rust_locals::cell, "a `Cell` counts its goroutine's steps alone";
    fails borrow rust_locals::borrow, "a `RefMut` is kept across suspensions";
    fails rc rust_locals::rc, "clones of an `Rc` are counted without a race";
    fails lazy rust_locals::lazy, "a value whose first value is made by code that suspends is made once";
    fails destructors rust_locals::destructors, "run on the goroutine, before its end is told";
    fails destructors_suspend rust_locals::destructors_suspend, "and make values anew";
    holds abandoned rust_locals::abandoned, "a goroutine that is never resumed keeps its values";
    fails untouched rust_locals::untouched, "goroutines leave plain threads' values alone";
    fails many rust_locals::many, "ten thousand live goroutines have values of their own";
    fails ids std_threads::ids, "`thread::current().id()` is constant, and nobody else's ever";
    fails park std_threads::park, "`thread::park` returns by `unpark` of the goroutine's own handle";
    fails park_for_each_other std_threads::park_for_each_other, "goroutines unpark each other so";
    holds mpsc std_threads::mpsc, "std's channels, fed by plain threads";
    holds locks std_threads::locks, "guards of std's locks are kept across suspensions";
    fails unwinding std_threads::unwinding, "a goroutine that unwinds suspends and moves";
    holds poison std_threads::poison, "a lock is poisoned by its holder's panic alone";
    holds hash_map std_threads::hash_map, "hash maps, whose keys no two live goroutines share";
    holds output std_threads::output, "`println!`";
    fails output_lock std_threads::output_lock, "the lock of standard output is its holder's";
    holds backtrace std_threads::backtrace, "backtraces are captured on a goroutine's stack";
    holds spawn std_threads::spawn, "threads that goroutines start have values of their own";
    fails scope std_threads::scope, "`thread::scope` waits for its threads";
    fails_anchored neighbours_mpsc std_threads::neighbours_mpsc, "std's channels between neighbours";
    fails errno c_library::errno_stays, "`errno` is kept, and stays where it is";
    fails own_thread c_library::own_thread, "`pthread_self()` is constant, and nobody else's";
    fails error_texts c_library::error_texts, "texts that the C library keeps for a thread";
    fails locale c_library::locale, "`uselocale`, and tables of characters";
    fails loader_error c_library::loader_error, "`dlerror` tells of the goroutine's own call";
    fails resolver c_library::resolver, "the resolver's state";
    fails keys c_library::keys, "values of keys, destroyed before the end is told";
    fails stream_lock c_library::stream_lock, "`flockfile`: a stream's lock is its holder's";
    holds formats c_library::formats, "`snprintf`, `strtod`, `localtime_r`";
    holds frees c_library::frees, "memory is freed where another has asked for it";
    holds processor c_library::processor, "`sched_getcpu`";
    holds normal_mutex c_locks::normal, "a normal C mutex is kept across suspensions";
    fails recursive_mutex c_locks::recursive, "a recursive one";
    fails error_checking_mutex c_locks::error_checking, "one that knows its holder";
    fails robust_mutex c_locks::robust, "a robust one, whose process lives on";
    fails robust_list c_locks::robust_list, "the list of all that a goroutine holds";
    fails read_write_lock c_locks::read_write, "a lock for readers and writers knows its writer";
    fails library_fixed libraries::fixed_before, "a library's variables at a fixed place";
    fails library_on_demand libraries::on_demand_before, "a library's variables, made on demand";
    fails library_on_demand_later libraries::on_demand_after, "the same of one that is loaded later";
    holds library_unloaded libraries::unloaded, "one that is unloaded and loaded again";
    fails raised signals::raised, "a handler uses the goroutine's thread-locals";
    fails storm signals::storm, "handlers that come at any time";
    holds command processes::command, "`std::process::Command`, by both of its ways";
    holds forked processes::forked, "`fork`: memory, threads and `abort` in the child";
    holds forked_with_threads processes::forked_with_threads, "a child that starts many threads";
    fails exit processes::exit, "`exit` runs destructors and handlers on the goroutine's block";
    fails reuse_values reuse::values, "the next goroutine on a block: no values of its predecessor";
    fails reuse_ids reuse::ids, "the next: other numbers";
    fails reuse_errno reuse::errno, "the next: no `errno`";
    fails reuse_locale reuse::locale, "the next: the locale of the process";
    fails reuse_loader_error reuse::loader_error, "the next: no error of `dlopen`";
    fails reuse_keys reuse::keys, "the next: no values of keys that have no destructor";
    fails reuse_cancellation reuse::cancellation, "the next: can be cancelled, at cancellation points";
    fails reuse_library reuse::library, "the next: a library's variables as they are at first";
    fails reuse_panicking reuse::panicking, "the next: after one that has panicked";
    fails_anchored first_value programs::first_value, "a cache filled by code that waits";
    fails_anchored two_guards programs::two_guards, "one `RefMut` at a time";
    fails_anchored lent programs::lent, "what is lent until a call returns";
    fails_anchored std_mutex programs::std_mutex, "a std `Mutex` held across a sleep";
    fails_anchored lazy_lock programs::lazy_lock, "a `LazyLock` whose maker reads a socket";
    fails_anchored_alone hogs programs::hogs, "two that compute beside a loop of 1 kHz";
    fails_anchored_alone watchdog programs::watchdog, "one that sleeps in the kernel beside a watchdog";
}
