//! Unit tests of fibers and arenas. Nothing of `context` is modelled, so they run under every
//! backend; what differs there asks `MODELLED`.

use super::{Arena, DEFAULT_STACK_SIZE, Fiber, Guards, MIN_STACK_SIZE, StackError, Suspender};
use crate::platform::unmodelled::Mutex;
use crate::platform::{Arc, MODELLED, page_size};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) const DONE: usize = 1;
pub(super) const PANICKED: usize = 2;
pub(super) const PAUSED: usize = 3;

pub(super) type Job = Box<dyn FnOnce(&Suspender)>;

/// The entry of the tests: runs the `Option<Job>` that it is passed, says how that ended, and waits
/// for the next.
pub(super) fn serve(suspender: &Suspender, mut argument: *mut ()) -> ! {
    loop {
        // SAFETY: `start` passes a live `Option<Job>`, which nobody else uses meanwhile.
        let job = unsafe { (*argument.cast::<Option<Job>>()).take() };
        let run = || job.into_iter().for_each(|job| job(suspender));
        let why = if catch_unwind(AssertUnwindSafe(run)).is_ok() { DONE } else { PANICKED };
        argument = suspender.suspend(why);
    }
}

/// Starts a job on a fiber at rest.
pub(super) fn start(fiber: &mut Fiber, job: impl FnOnce(&Suspender) + 'static) -> usize {
    let mut job: Option<Job> = Some(Box::new(job));
    // SAFETY: the fiber is at rest and runs `serve`, which takes the job before it suspends.
    unsafe { fiber.resume(std::ptr::from_mut(&mut job).cast()) }
}

/// Resumes a job that paused.
pub(super) fn go_on(fiber: &mut Fiber) -> usize {
    // SAFETY: the jobs of these tests expect nothing, and hold nothing that is bound to a thread.
    unsafe { fiber.resume(std::ptr::null_mut()) }
}

pub(super) fn one(arena: &Arena) -> Fiber {
    let mut fibers = Vec::new();
    arena.take(&mut fibers, 1).expect("a stack");
    fibers.pop().expect("one fiber")
}

pub(super) fn arena(slots: usize) -> Arc<Arena> {
    Arena::new(DEFAULT_STACK_SIZE, slots, serve).expect("an arena")
}

/// Tests that look at what the whole process has mapped don't overlap.
fn alone() -> impl Sized {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn address_space() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = statm.split(' ').next().expect("a field").parse().expect("a number");
    pages * page_size()
}

fn resident_pages(low: usize, bytes: usize) -> usize {
    let mut pages = vec![0_u8; bytes / page_size()];
    let place = std::ptr::without_provenance_mut(low);
    // SAFETY: asks only, and `pages` has a byte for each page.
    let rc = unsafe { libc::mincore(place, bytes, pages.as_mut_ptr()) };
    assert_eq!(rc, 0, "mincore: {}", std::io::Error::last_os_error());
    pages.iter().filter(|&&page| page & 1 == 1).count()
}

/// Whether the kernel can read a byte there: the guard's fault without a signal.
fn readable(address: usize) -> bool {
    let mut pipe = [0; 2];
    // SAFETY: a place for two descriptors, which are closed below; the kernel checks the address.
    unsafe {
        assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
        let written = libc::write(pipe[1], std::ptr::without_provenance(address), 1);
        libc::close(pipe[0]);
        libc::close(pipe[1]);
        written == 1
    }
}

#[test]
fn fiber_serves_one_job_after_another() {
    let arena = arena(4);
    let mut fiber = one(&arena);
    for round in 0..100 {
        let paused = start(&mut fiber, move |suspender| {
            for _ in 0..round {
                suspender.suspend(PAUSED);
            }
        });
        let mut why = paused;
        for _ in 0..round {
            assert_eq!(why, PAUSED);
            why = go_on(&mut fiber);
        }
        assert_eq!(why, DONE);
    }
    arena.give(std::iter::once(fiber));
    assert_eq!(arena.in_use(), 0);
}

#[test]
fn words_pass_both_ways() {
    fn echo(suspender: &Suspender, mut argument: *mut ()) -> ! {
        loop {
            argument = suspender.suspend(argument.addr() + 1);
        }
    }
    let arena = Arena::new(DEFAULT_STACK_SIZE, 1, echo).unwrap();
    let mut fiber = one(&arena);
    for word in [0, 1, 1 << 40, usize::MAX - 1] {
        // SAFETY: `echo` expects any word.
        assert_eq!(unsafe { fiber.resume(std::ptr::without_provenance_mut(word)) }, word + 1);
    }
    arena.give(std::iter::once(fiber));
}

#[test]
fn last_given_is_first_taken() {
    let arena = arena(8);
    let fibers: Vec<_> = (0..8).map(|_| one(&arena)).collect();
    assert_eq!(arena.in_use(), 8);
    arena.give(fibers.into_iter());
    let mut taken = Vec::new();
    arena.take(&mut taken, 3).unwrap();
    arena.take(&mut taken, 1).unwrap();
    let slots: Vec<_> = taken.iter().map(Fiber::slot).collect();
    let popped = one(&arena);
    if !MODELLED {
        assert_eq!(slots, [5, 6, 7, 4]);
        assert_eq!(popped.slot(), 3);
    }
    assert_eq!(arena.in_use(), 5);
    arena.give(taken.into_iter().chain([popped]));
}

#[test]
fn exhausted_arena_says_so_and_recovers() {
    let arena = arena(2);
    let (first, second) = (one(&arena), one(&arena));
    let mut none = Vec::new();
    let error = arena.take(&mut none, 1).unwrap_err();
    assert_eq!(error, StackError::Exhausted { slots: 2 });
    assert!(none.is_empty());
    assert_eq!(
        error.to_string(),
        "all 2 stacks are in use; let goroutines finish or ask for more stacks"
    );
    arena.give([first].into_iter());
    arena.take(&mut none, 1).unwrap();
    arena.give(none.into_iter().chain([second]));
}

#[test]
fn refused_guard_is_tried_again() {
    if Guards::of_this_kernel() == Guards::Protected {
        return;
    }
    // No other test has one of this size: in a checked build, where arenas are used again, it would come
    // with its guards in place.
    let arena = Arena::new(DEFAULT_STACK_SIZE, 5, serve).unwrap();
    let page = std::ptr::without_provenance(arena.low_of(0));
    // Locked memory takes no guards.
    // SAFETY: nobody uses the slot.
    let rc = unsafe { libc::mlock(page, page_size()) };
    assert_eq!(rc, 0, "mlock: {}", std::io::Error::last_os_error());
    let mut none = Vec::new();
    let error = arena.take(&mut none, 1).unwrap_err();
    assert_eq!(error, StackError::Guard { errno: libc::EINVAL });
    assert_eq!((arena.in_use(), none.len()), (0, 0));
    // SAFETY: as above.
    assert_eq!(unsafe { libc::munlock(page, page_size()) }, 0);
    let fiber = one(&arena);
    assert_eq!(fiber.slot(), 0);
    assert!(!readable(arena.low_of(0)));
    arena.give([fiber].into_iter());
}

#[test]
fn sizes_are_checked_and_rounded() {
    for asked in [0, MIN_STACK_SIZE - 1, super::MAX_STACK_SIZE + 1, usize::MAX] {
        let error = Arena::new(asked, 1, serve).unwrap_err();
        assert_eq!(error, StackError::Size { asked });
        assert_eq!(Arena::max_slots(asked), 0);
    }
    for more in [0, 1, page_size()] {
        let asked = Arena::new(MIN_STACK_SIZE + more, 1, serve).unwrap();
        assert!(asked.stack_size() >= MIN_STACK_SIZE + more);
        assert_eq!(asked.stack_size() % (2 * page_size()), page_size(), "an odd number of pages");
    }
    for slots in [0, super::MAX_SLOTS + 1, usize::MAX] {
        let error = Arena::new(DEFAULT_STACK_SIZE, slots, serve).unwrap_err();
        assert_eq!(error, StackError::Slots { asked: slots, allowed: super::MAX_SLOTS });
    }
}

#[test]
fn fiber_may_resume_on_another_thread() {
    if MODELLED {
        return;
    }
    let arena = arena(1);
    let mut fiber = one(&arena);
    let why = start(&mut fiber, |suspender| {
        let before = black_box(17);
        suspender.suspend(PAUSED);
        assert_eq!(before, 17);
    });
    assert_eq!(why, PAUSED);
    let place = Arc::new(Mutex::new(None));
    let answer = Arc::clone(&place);
    let other = crate::platform::thread::spawn("other".into(), move || {
        assert_eq!(go_on(&mut fiber), DONE);
        *answer.lock().unwrap() = Some(fiber);
    });
    assert!(other.unwrap().join());
    arena.give(place.lock().unwrap().take().into_iter());
    assert_eq!(arena.in_use(), 0);
}

#[test]
fn fiber_parked_below_2_kib_has_one_page_at_every_colour() {
    let arena = Arena::new(DEFAULT_STACK_SIZE, 64, serve).unwrap();
    let mut fibers: Vec<_> = (0..64).map(|_| one(&arena)).collect();
    for fiber in &mut fibers {
        let why = start(fiber, |suspender| {
            let frames = black_box([1_u8; 2048]);
            suspender.suspend(PAUSED);
            assert_eq!(frames[black_box(2047)], 1);
        });
        assert_eq!(why, PAUSED);
    }
    for fiber in &mut fibers {
        let pages = resident_pages(arena.low_of(fiber.slot()), arena.stack_size());
        assert_eq!(go_on(fiber), DONE);
        assert_eq!(pages, 1, "slot {}", fiber.slot());
    }
    arena.give(fibers.into_iter());
}

#[test]
fn trim_returns_memory_and_keeps_guards() {
    for guards in [Guards::Light, Guards::Protected] {
        let arena = Arena::with_guards(DEFAULT_STACK_SIZE, 100, serve, guards).unwrap();
        let mut fibers: Vec<_> = (0..100).map(|_| one(&arena)).collect();
        for fiber in &mut fibers {
            assert_eq!(start(fiber, |_| ()), DONE);
        }
        arena.give(fibers.into_iter());
        let low = arena.low_of(0);
        let all = 100 * arena.stack_size();
        assert_eq!(resident_pages(low, all), 100, "{guards:?}");
        assert_eq!(arena.trim(3, usize::MAX), 97);
        assert_eq!(arena.trim(3, usize::MAX), 0);
        assert_eq!(resident_pages(low, all), 3, "{guards:?}");
        for slot in 0..100 {
            assert!(!readable(arena.low_of(slot)), "{guards:?}: a guard is gone");
            assert!(readable(arena.low_of(slot) + page_size()));
        }
        let mut again: Vec<_> = (0..100).map(|_| one(&arena)).collect();
        for fiber in &mut again {
            assert_eq!(start(fiber, |_| ()), DONE);
        }
        arena.give(again.into_iter());
        assert_eq!(arena.in_use(), 0);
    }
}

#[test]
fn every_used_slot_has_its_guard() {
    for guards in [Guards::Light, Guards::Protected] {
        let arena = Arena::with_guards(MIN_STACK_SIZE, 40, serve, guards).unwrap();
        let fibers: Vec<_> = (0..40).map(|_| one(&arena)).collect();
        for fiber in &fibers {
            let low = arena.low_of(fiber.slot());
            assert!(!readable(low), "{guards:?}: no guard");
            assert!(readable(low + page_size()), "{guards:?}: no stack");
            assert!(readable(low + arena.stack_size() - 1), "{guards:?}: no stack");
        }
        arena.give(fibers.into_iter());
    }
}

#[test]
fn protected_guards_keep_to_their_budget() {
    let _alone = alone();
    let reserve = |slots| Arena::with_guards(DEFAULT_STACK_SIZE, slots, serve, Guards::Protected);
    let Err(error) = reserve(1 << 22) else { panic!("room for every slot") };
    let StackError::Guards { asked, allowed } = error else { panic!("{error}") };
    assert_eq!(asked, 1 << 22);
    assert!(error.to_string().contains("ask for fewer or raise vm.max_map_count"));
    // Other tests hold some, and some are cached under the checkers.
    let most = reserve(allowed - 1000).expect("what is allowed");
    assert!(matches!(reserve(2000), Err(StackError::Guards { .. })));
    drop(most);
    if !MODELLED {
        reserve(allowed - 1000).expect("the budget came back");
    }
}

#[test]
fn millions_of_slots_are_reserved_and_unmapped() {
    let _alone = alone();
    let before = address_space();
    let arena = arena(super::MAX_SLOTS);
    let fiber = one(&arena);
    let bytes = super::MAX_SLOTS * DEFAULT_STACK_SIZE;
    assert!(address_space() - before >= bytes / 2);
    arena.give([fiber].into_iter());
    drop(arena);
    if !MODELLED {
        assert!(address_space() < before + bytes / 2, "the mapping leaked");
    }
}

#[test]
fn mapping_outlives_an_arena_that_leaked_or_has_fibers_out() {
    let _alone = alone();
    let slots = 1 << 18;
    let bytes = slots * DEFAULT_STACK_SIZE;
    let before = address_space();
    let leaked = arena(slots);
    leaked.leak();
    drop(leaked);
    assert!(address_space() > before + bytes / 2, "unmapped in spite of leak");
    let lent = arena(slots);
    let mut fiber = one(&lent);
    drop(lent);
    assert!(address_space() > before + bytes + bytes / 2, "unmapped under a fiber");
    assert_eq!(start(&mut fiber, |_| ()), DONE);
}

#[test]
fn two_hundred_thousand_fibers_are_alive_at_once() {
    if Guards::of_this_kernel() == Guards::Protected || MODELLED {
        return;
    }
    let _alone = alone();
    let arena = arena(1_000_000);
    let mut fibers = Vec::with_capacity(200_000);
    for _ in 0..200_000 {
        let mut fiber = one(&arena);
        let why = start(&mut fiber, |suspender| {
            suspender.suspend(PAUSED);
        });
        assert_eq!(why, PAUSED);
        fibers.push(fiber);
    }
    assert!(fibers.iter_mut().all(|fiber| go_on(fiber) == DONE));
    arena.give(fibers.into_iter());
    assert_eq!(arena.trim(0, usize::MAX), 200_000);
}

#[test]
fn models_reuse_an_arena_unless_fibers_are_out() {
    if !MODELLED {
        return;
    }
    let slots = 12_345;
    let first = arena(slots);
    let second = arena(slots);
    assert!(!Arc::ptr_eq(&first, &second), "one arena for two executions");
    let address = Arc::as_ptr(&first);
    drop(first);
    let third = arena(slots);
    assert_eq!(Arc::as_ptr(&third), address);
    let _lost = one(&third);
    drop(third);
    assert_eq!(arena(slots).in_use(), 0, "an arena with a suspended fiber was reused");
}
