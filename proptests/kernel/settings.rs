//! The battery under other settings of the C library, and where the kernel grants less.

use crate::battery;
use crate::c;
use crate::common::process_with;

fn holds(test: &str, variables: &[(&str, &str)]) {
    let end = process_with(test, variables, || battery::run(|name| println!("{name} holds")));
    end.is_success();
    assert!(end.stdout.contains("the processor holds"), "{}", end.stdout);
}

#[test]
fn as_it_is() {
    holds("settings::as_it_is", &[]);
}

#[test]
fn without_restartable_sequences() {
    let tunables = [("GLIBC_TUNABLES", "glibc.pthread.rseq=0")];
    holds("settings::without_restartable_sequences", &tunables);
}

#[test]
fn without_a_cache_of_malloc() {
    let tunables = [("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")];
    holds("settings::without_a_cache_of_malloc", &tunables);
}

#[test]
fn with_one_arena() {
    holds("settings::with_one_arena", &[("MALLOC_ARENA_MAX", "1")]);
}

#[test]
fn with_freed_memory_overwritten() {
    holds("settings::with_freed_memory_overwritten", &[("MALLOC_PERTURB_", "85")]);
}

#[test]
fn without_a_cache_of_threads_stacks() {
    let tunables = [("GLIBC_TUNABLES", "glibc.pthread.stack_cache_size=0")];
    holds("settings::without_a_cache_of_threads_stacks", &tunables);
}

#[test]
fn without_room_for_libraries_to_come() {
    let tunables = [("GLIBC_TUNABLES", "glibc.rtld.optional_static_tls=0:glibc.rtld.nns=1")];
    holds("settings::without_room_for_libraries_to_come", &tunables);
}

/// As on a kernel before 5.9, or under valgrind.
#[test]
fn where_the_instruction_is_not_allowed() {
    let test = "settings::where_the_instruction_is_not_allowed";
    let end = process_with(test, &[], || {
        selvedge::internals::fiber::write_by_system_call();
        battery::run(|name| println!("{name} holds"));
    });
    end.is_success();
}

/// It lies in each block, and takes memory where it is touched.
#[test]
fn beside_a_megabyte_of_variables() {
    let source = "
        static __thread char large[1 << 20] = {1};
        static __thread char empty[1 << 20];
        __thread int after = 7;
        char *touch(void) { empty[after] = 1; return large; }
    ";
    // The child finds it made.
    let library = match std::env::var("LD_PRELOAD") {
        Ok(_) => None,
        Err(_) => match c::library("large", source) {
            Some(library) => Some(library),
            None => return,
        },
    };
    let library = library.map(|path| path.to_str().expect("a name in UTF-8").to_owned());
    let variables = library.as_deref().map(|library| ("LD_PRELOAD", library));
    let test = "settings::beside_a_megabyte_of_variables";
    let end = process_with(test, variables.as_slice(), || {
        battery::run(|name| println!("{name} holds"));
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
        // Three thousand blocks at a time were alive.
        assert!(peak < 1 << 20, "{peak} kB");
    });
    end.is_success();
}
