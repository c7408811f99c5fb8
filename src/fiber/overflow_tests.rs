//! Tests of faults. Each of these tests ends a process, so the test runs itself again in a child process. It
//! then checks the output of the child and the signal that ended the child.

use super::overflow;
use super::overflow::Report;
use super::tests::{DONE, arena_with, one, serve, start};
use super::{DEFAULT_STACK_SIZE, Fiber, Guards, MIN_STACK_SIZE, SlotLayout, StackPool, Suspender};
use crate::platform::unmodelled::{AtomicUsize, Ordering};
use crate::platform::{Arc, MODELLED};
use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

const CHILD: &str = "SELVEDGE_FAULT";

pub(super) struct Death {
    pub(super) stderr: String,
    pub(super) signal: Option<i32>,
    pub(super) code: Option<i32>,
}

fn death_by(test: &str, fatal: impl FnOnce()) -> Death {
    death_of("overflow_tests", test, fatal)
}

/// Runs `fatal` in a child process. In the parent, returns how the child ended.
pub(super) fn death_of(module: &str, test: &str, fatal: impl FnOnce()) -> Death {
    in_child(module, test, || {
        fatal();
        panic!("the child survived");
    })
}

/// Runs `body`, which is the test of this name, in a child process. In the parent, returns how the child
/// ended.
pub(super) fn in_child(module: &str, test: &str, body: impl FnOnce()) -> Death {
    if std::env::var_os(CHILD).is_some_and(|name| name == test) {
        body();
        std::process::exit(0);
    }
    let name = format!("fiber::{module}::{test}");
    let child = Command::new(std::env::current_exe().expect("the test program"))
        .args([name.as_str(), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, test)
        .env("RUST_BACKTRACE", "1")
        .output()
        .expect("a child");
    let stderr = String::from_utf8_lossy(&child.stderr).into_owned();
    // Without this check, a name that no test has would pass.
    let stdout = String::from_utf8_lossy(&child.stdout);
    assert!(stdout.contains("running 1 test"), "no test {name}: {stdout}");
    Death { stderr, signal: child.status.signal(), code: child.status.code() }
}

#[track_caller]
fn assert_reported(death: &Death, line: &str) {
    assert!(death.stderr.lines().any(|l| l == line), "no {line:?} in {:?}", death.stderr);
    assert_eq!(death.signal, Some(libc::SIGABRT), "{}", death.stderr);
}

#[track_caller]
fn assert_plain_segv(death: &Death) {
    assert!(!death.stderr.contains("selvedge"), "{}", death.stderr);
    assert_eq!(death.signal, Some(libc::SIGSEGV), "{}", death.stderr);
}

/// With AddressSanitizer, the handler before ours is the sanitizer's own. Checks that it reports `what`.
#[track_caller]
fn is_the_sanitizers(death: &Death, what: &str) -> bool {
    if cfg!(selvedge_asan) {
        let told = format!("ERROR: AddressSanitizer: {what} ");
        assert!(death.stderr.contains(&told), "{}", death.stderr);
        assert!(!death.stderr.contains("selvedge: "), "{}", death.stderr);
    }
    cfg!(selvedge_asan)
}

pub(super) fn describe(report: &mut Report) {
    report.text("goroutine ");
    report.number(17);
    report.text(" \"spinner\"");
}

const MESSAGE: &str = "selvedge: goroutine 17 \"spinner\" overflowed its stack of 330752 bytes; \
                       raise it with Builder::stack_size(..) or Spawn::stack_size(..)";

fn endless(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    if black_box(depth) == u64::MAX { 0 } else { endless(depth + 1) + frame[3] }
}

fn overflow_in(fiber: &mut Fiber) {
    start(fiber, |_| {
        black_box(endless(0));
    });
}

#[test]
fn overflow_is_named_and_aborts() {
    let death = death_by("overflow_is_named_and_aborts", || {
        overflow::install(describe);
        let arena = StackPool::new(SlotLayout::default(), 8, serve).unwrap();
        let mut fibers: Vec<_> = (0..8).map(|_| one(&arena)).collect();
        overflow_in(&mut fibers[5]);
    });
    assert_reported(&death, MESSAGE);
}

#[test]
fn overflow_into_a_protected_guard_is_named() {
    let death = death_by("overflow_into_a_protected_guard_is_named", || {
        overflow::install(describe);
        let arena = arena_with(8, Guards::Protected);
        overflow_in(&mut one(&arena));
    });
    assert_reported(&death, MESSAGE);
}

#[test]
fn overflow_after_a_trim_is_named() {
    let death = death_by("overflow_after_a_trim_is_named", || {
        overflow::install(describe);
        let arena = StackPool::new(SlotLayout::default(), 1, serve).unwrap();
        let mut fiber = one(&arena);
        assert_eq!(start(&mut fiber, |_| ()), DONE);
        arena.give([fiber].into_iter());
        assert_eq!(arena.trim(0, usize::MAX), 1);
        overflow_in(&mut one(&arena));
    });
    assert_reported(&death, MESSAGE);
}

#[test]
fn overflow_by_one_large_frame_is_named() {
    #[inline(never)]
    fn large() -> u8 {
        let frame = black_box([1_u8; 4 * DEFAULT_STACK_SIZE]);
        frame[black_box(77)]
    }
    let death = death_by("overflow_by_one_large_frame_is_named", || {
        overflow::install(describe);
        let arena = StackPool::new(SlotLayout::default(), 8, serve).unwrap();
        let mut fibers: Vec<_> = (0..8).map(|_| one(&arena)).collect();
        start(&mut fibers[7], |_| {
            black_box(large());
        });
    });
    assert_reported(&death, MESSAGE);
}

#[test]
fn nameless_goroutine_is_called_a_goroutine() {
    let death = death_by("nameless_goroutine_is_called_a_goroutine", || {
        overflow::install(|_| ());
        let arena = StackPool::new(SlotLayout::default(), 1, serve).unwrap();
        overflow_in(&mut one(&arena));
    });
    assert_reported(
        &death,
        "selvedge: a goroutine overflowed its stack of 330752 bytes; \
         raise it with Builder::stack_size(..) or Spawn::stack_size(..)",
    );
}

#[test]
fn overflow_needs_only_the_stack_we_ensure() {
    let death = death_by("overflow_needs_only_the_stack_we_ensure", || {
        overflow::install(describe);
        disable_alternate_stack();
        overflow::ensure_alternate_stack();
        let arena = StackPool::new(SlotLayout::default(), 1, serve).unwrap();
        overflow_in(&mut one(&arena));
    });
    assert_reported(&death, MESSAGE);
}

#[test]
fn alternate_stack_goes_with_its_thread() {
    if MODELLED {
        return;
    }
    static PLACE: AtomicUsize = AtomicUsize::new(0);
    // The test runs in a child, so that no other test maps memory at the same address.
    let death = death_by("alternate_stack_goes_with_its_thread", || {
        let thread = crate::platform::thread::spawn("bare".into(), || {
            disable_alternate_stack();
            overflow::ensure_alternate_stack();
            let first = alternate_stack();
            assert_eq!(first.ss_flags & libc::SS_DISABLE, 0);
            overflow::ensure_alternate_stack();
            assert_eq!(alternate_stack().ss_sp, first.ss_sp);
            // Relaxed: the join publishes this store.
            PLACE.store(first.ss_sp.addr(), Ordering::Relaxed);
        });
        assert!(thread.unwrap().join());
        let place = std::ptr::without_provenance_mut(PLACE.load(Ordering::Relaxed));
        // SAFETY: the call only checks whether the page is mapped, and writes one byte to a temporary value.
        let gone = unsafe { libc::mincore(place, 1, &mut 0) } != 0;
        std::process::exit(if gone { 45 } else { 1 });
    });
    assert_eq!(death.code, Some(45), "{}", death.stderr);
}

pub(super) fn alternate_stack() -> libc::stack_t {
    // SAFETY: `stack` is a local value, which may be all zeroes. The call writes the current stack to it.
    unsafe {
        let mut stack = std::mem::zeroed();
        assert_eq!(libc::sigaltstack(std::ptr::null(), &mut stack), 0);
        stack
    }
}

fn disable_alternate_stack() {
    let none =
        libc::stack_t { ss_sp: std::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: `none` is a valid `stack_t`, and this thread runs on its ordinary stack.
    unsafe { libc::sigaltstack(&none, std::ptr::null_mut()) };
}

#[test]
fn overflow_of_a_plain_thread_is_reported_by_std() {
    let death = death_by("overflow_of_a_plain_thread_is_reported_by_std", || {
        overflow::install(describe);
        let _arena = StackPool::new(SlotLayout::default(), 8, serve).unwrap();
        black_box(endless(0));
    });
    if is_the_sanitizers(&death, "stack-overflow") {
        return;
    }
    assert!(death.stderr.contains("has overflowed its stack"), "{}", death.stderr);
    assert!(!death.stderr.contains("selvedge"), "{}", death.stderr);
    assert_eq!(death.signal, Some(libc::SIGABRT));
}

pub(super) fn write_to(address: usize) {
    // SAFETY: this write is not valid. The test wants the fault, and runs in a process of its own.
    unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(1) };
}

#[test]
fn stray_write_in_a_fiber_is_a_plain_segv() {
    let death = death_by("stray_write_in_a_fiber_is_a_plain_segv", || {
        overflow::install(describe);
        let arena = StackPool::new(SlotLayout::default(), 8, serve).unwrap();
        start(&mut one(&arena), |_| write_to(64));
    });
    if is_the_sanitizers(&death, "SEGV") {
        return;
    }
    assert_plain_segv(&death);
}

#[test]
fn stray_write_into_a_guard_is_a_plain_segv() {
    let death = death_by("stray_write_into_a_guard_is_a_plain_segv", || {
        overflow::install(describe);
        let arena = StackPool::new(SlotLayout::default(), 1, serve).unwrap();
        let mut fiber = one(&arena);
        start(&mut fiber, |_| {
            let local = black_box(0_u8);
            let top = (&raw const local).expose_provenance();
            // Slot 0 has no colour, so the top page of its stack is the last page of the slot.
            let low = (top & !4095) + 4096 - SlotLayout::default().stride();
            PLACE.store(low, Ordering::Relaxed);
        });
        write_to(PLACE.load(Ordering::Relaxed));
    });
    static PLACE: AtomicUsize = AtomicUsize::new(0);
    if is_the_sanitizers(&death, "SEGV") {
        return;
    }
    assert_plain_segv(&death);
}

#[test]
fn signal_sent_by_kill_still_kills() {
    let death = death_by("signal_sent_by_kill_still_kills", || {
        // `std`'s handler would ignore the first signal.
        set_handler(libc::SIG_DFL, 0);
        overflow::install(describe);
        // SAFETY: `raise` takes no pointer, and the signal ends this process.
        unsafe { libc::raise(libc::SIGSEGV) };
    });
    assert_plain_segv(&death);
}

fn set_handler(handler: usize, flags: libc::c_int) {
    // SAFETY: each caller passes a `handler` with the type that `flags` demands. `action` is a local variable.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, std::ptr::null_mut()), 0);
    }
}

#[test]
fn handler_before_us_gets_the_other_faults() {
    extern "C" fn full(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
        // SAFETY: `info` is the pointer that the kernel passed to this handler. `_exit` is async-signal-safe.
        unsafe { libc::_exit(if (*info).si_addr().addr() == 64 { 42 } else { 1 }) }
    }
    let death = death_by("handler_before_us_gets_the_other_faults", || {
        set_handler(full as *const () as usize, libc::SA_SIGINFO);
        overflow::install(describe);
        write_to(64);
    });
    assert_eq!(death.code, Some(42), "{}", death.stderr);
}

#[test]
fn simple_handler_before_us_gets_the_other_faults() {
    extern "C" fn simple(signal: libc::c_int) {
        // SAFETY: `_exit` is async-signal-safe.
        unsafe { libc::_exit(if signal == libc::SIGSEGV { 43 } else { 1 }) }
    }
    let death = death_by("simple_handler_before_us_gets_the_other_faults", || {
        set_handler(simple as *const () as usize, 0);
        overflow::install(describe);
        write_to(64);
    });
    assert_eq!(death.code, Some(43), "{}", death.stderr);
}

#[test]
fn what_was_ignored_is_ignored_unless_it_is_a_fault() {
    let death = death_by("what_was_ignored_is_ignored_unless_it_is_a_fault", || {
        set_handler(libc::SIG_IGN, 0);
        overflow::install(describe);
        // SAFETY: `raise` takes no pointer, and the process ignores the signal.
        unsafe { libc::raise(libc::SIGSEGV) };
        eprintln!("still here");
        write_to(64);
    });
    assert!(death.stderr.contains("still here"), "{}", death.stderr);
    assert_plain_segv(&death);
}

#[test]
fn panic_with_backtrace_fits_the_least_stack() {
    let death = death_by("panic_with_backtrace_fits_the_least_stack", || {
        overflow::install(describe);
        let arena =
            StackPool::new(SlotLayout::new(MIN_STACK_SIZE, 1, 0).unwrap(), 32, serve).unwrap();
        let mut fibers: Vec<_> = (0..32).map(|_| one(&arena)).collect();
        // The last fiber has the largest colour.
        let why = start(&mut fibers[31], |_| panic!("printed with its backtrace"));
        assert_eq!(why, crate::fiber::tests::PANICKED);
        std::process::exit(44);
    });
    assert!(death.stderr.contains("printed with its backtrace"), "{}", death.stderr);
    assert!(death.stderr.contains("serve"), "no backtrace in {}", death.stderr);
    assert_eq!(death.code, Some(44), "{}", death.stderr);
}

#[test]
fn entry_that_unwinds_aborts() {
    fn careless(_: &Suspender, _: *mut ()) -> ! {
        std::panic::resume_unwind(Box::new(()))
    }
    let death = death_by("entry_that_unwinds_aborts", || {
        let arena = StackPool::new(SlotLayout::default(), 1, careless).unwrap();
        // SAFETY: `careless` ignores its argument.
        unsafe { one(&arena).resume(std::ptr::null_mut(), None) };
    });
    assert!(death.stderr.contains("expected entry to catch every panic"), "{}", death.stderr);
    assert_eq!(death.signal, Some(libc::SIGABRT));
}

#[test]
fn fiber_given_to_another_arena_aborts() {
    let death = death_by("fiber_given_to_another_arena_aborts", || {
        let new = || StackPool::new(SlotLayout::default(), 1, serve).unwrap();
        let (one_arena, other): (Arc<StackPool>, Arc<StackPool>) = (new(), new());
        other.give([one(&one_arena)].into_iter());
    });
    assert!(death.stderr.contains("give: expected a fiber of arena"), "{}", death.stderr);
    assert_eq!(death.signal, Some(libc::SIGABRT));
}

#[test]
fn report_is_one_line_however_long_the_name() {
    let mut report = Report::new();
    report.text("goroutine ");
    report.number(u64::MAX);
    report.text(" \"line\nbreak ");
    report.text(&"x".repeat(5000));
    report.finish(65536);
    let line = std::str::from_utf8(report.as_bytes()).unwrap();
    assert!(line.starts_with("goroutine 18446744073709551615 \"line?break xxx"), "{line}");
    assert!(
        line.ends_with("bytes; raise it with Builder::stack_size(..) or Spawn::stack_size(..)\n"),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
}
