//! Unit tests of fibers and stack pools. No model covers this folder, so these tests run with every backend.
//! A test that must differ in a model checks `MODELLED`.

use super::{
    DEFAULT_STACK_SIZE, Fiber, Guards, MIN_STACK_SIZE, SlotLayout, StackError, StackPool,
    StackPoolPlan, Suspender,
};
use crate::platform::unmodelled::Mutex;
use crate::platform::{Arc, MODELLED, page_size};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(super) const DONE: usize = 1;
pub(super) const PANICKED: usize = 2;
pub(super) const PAUSED: usize = 3;

pub(super) type Job = Box<dyn FnOnce(&Suspender)>;

/// The entry function of the tests. This function runs the `Option<Job>` that it gets, reports how the job ended,
/// and waits for the next job.
pub(super) fn serve(suspender: &Suspender, mut argument: *mut ()) -> ! {
    loop {
        // SAFETY: `argument` points to the local `Option<Job>` of `start`, which waits until this fiber suspends.
        let job = unsafe { (*argument.cast::<Option<Job>>()).take() };
        let run = || job.into_iter().for_each(|job| job(suspender));
        let why = if catch_unwind(AssertUnwindSafe(run)).is_ok() { DONE } else { PANICKED };
        // SAFETY: `suspender` belongs to the fiber that runs this code.
        argument = unsafe { suspender.suspend(why) };
    }
}

/// Starts a job on a fiber at rest.
pub(super) fn start(fiber: &mut Fiber, job: impl FnOnce(&Suspender) + 'static) -> usize {
    let mut job: Option<Job> = Some(Box::new(job));
    // SAFETY: the fiber is at rest and runs `serve`, which takes the job before it suspends.
    unsafe { fiber.resume(std::ptr::from_mut(&mut job).cast(), None) }
}

/// Resumes a job that paused.
pub(super) fn go_on(fiber: &mut Fiber) -> usize {
    // SAFETY: the jobs of these tests expect no argument, and hold nothing that is bound to a thread.
    unsafe { fiber.resume(std::ptr::null_mut(), None) }
}

pub(super) fn one(arena: &StackPool) -> Fiber {
    let mut fibers = Vec::new();
    arena.take(&mut fibers, 1).expect("a stack");
    fibers.pop().expect("one fiber")
}

pub(super) fn arena(slots: usize) -> Arc<StackPool> {
    StackPool::new(SlotLayout::default(), slots, serve).expect("an arena")
}

pub(super) fn arena_with(slots: usize, guards: Guards) -> Arc<StackPool> {
    let plan = StackPoolPlan {
        layout: SlotLayout::default(),
        slots,
        guards,
        may_lack_guards: false,
        painted: false,
    };
    StackPool::of(plan, serve).expect("an arena")
}

/// Returns a lock's guard. A test that inspects the mappings of the whole process holds the guard, so that no two
/// such tests run at the same time.
pub(super) fn alone() -> impl Sized {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub(super) fn address_space() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("procfs");
    let pages: usize = statm.split(' ').next().expect("a field").parse().expect("a number");
    pages * page_size()
}

pub(super) fn resident_pages(low: usize, bytes: usize) -> usize {
    let mut pages = vec![0_u8; bytes / page_size()];
    let place = std::ptr::without_provenance_mut(low);
    // SAFETY: the call writes one byte for each page to `pages`, which has that length.
    let rc = unsafe { libc::mincore(place, bytes, pages.as_mut_ptr()) };
    assert_eq!(rc, 0, "mincore: {}", std::io::Error::last_os_error());
    pages.iter().filter(|&&page| page & 1 == 1).count()
}

/// Returns whether the kernel can read a byte at this address. This detects a guard without a signal.
pub(super) fn readable(address: usize) -> bool {
    let mut pipe = [0; 2];
    // SAFETY: `pipe` has two elements, and its descriptors are closed below. `write` may get any address, because
    // the kernel checks it.
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
                // SAFETY: `suspender` belongs to the fiber that runs this code.
                unsafe { suspender.suspend(PAUSED) };
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
            // SAFETY: `suspender` belongs to the fiber that runs this code.
            argument = unsafe { suspender.suspend(argument.addr() + 1) };
        }
    }
    let arena = StackPool::new(SlotLayout::default(), 1, echo).unwrap();
    let mut fiber = one(&arena);
    for word in [0, 1, 1 << 40, usize::MAX - 1] {
        // SAFETY: `echo` accepts any word.
        assert_eq!(unsafe { fiber.resume(std::ptr::without_provenance_mut(word), None) }, word + 1);
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
fn sizes_are_checked_and_rounded() {
    for asked in [0, MIN_STACK_SIZE - 1, crate::fiber::MAX_STACK_SIZE + 1, usize::MAX] {
        assert_eq!(SlotLayout::new(asked, 1, 0), Err(StackError::Size { asked }));
    }
    for asked in [0, (1 << 30) + 1, usize::MAX] {
        let error = SlotLayout::new(DEFAULT_STACK_SIZE, asked, 0).unwrap_err();
        assert_eq!(error, StackError::GuardSize { asked });
        assert!(error.to_string().contains("ask for 1 to 1073741824"), "{error}");
    }
    let page = page_size();
    for (stack, guard, top) in
        [(0, 1, 0), (1, page, 1), (page, page + 1, 1000), (5 * page, 77, page)]
    {
        let layout = SlotLayout::new(MIN_STACK_SIZE + stack, guard, top).unwrap();
        assert_eq!(layout.stride() % (2 * page), page, "an odd number of pages");
        assert_eq!(layout.guard(), guard.next_multiple_of(page));
        assert!(layout.usable() >= MIN_STACK_SIZE + stack);
        for index in 0..40 {
            let frames = layout.frames(page, index);
            assert_eq!(frames % 64, 0);
            assert!(frames + top <= page + layout.stride(), "{top} bytes at the top");
            assert!(frames - page >= layout.guard() + layout.usable());
        }
    }
    for slots in [0, crate::fiber::MAX_SLOTS + 1, usize::MAX] {
        let error = StackPool::new(SlotLayout::default(), slots, serve).unwrap_err();
        assert_eq!(error, StackError::Slots { asked: slots, allowed: crate::fiber::MAX_SLOTS });
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
        // SAFETY: `suspender` belongs to the fiber that runs this code.
        unsafe { suspender.suspend(PAUSED) };
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
    let arena = StackPool::new(SlotLayout::default(), 64, serve).unwrap();
    let mut fibers: Vec<_> = (0..64).map(|_| one(&arena)).collect();
    for fiber in &mut fibers {
        let why = start(fiber, |suspender| {
            let frames = black_box([1_u8; 2048]);
            // SAFETY: `suspender` belongs to the fiber that runs this code.
            unsafe { suspender.suspend(PAUSED) };
            assert_eq!(frames[black_box(2047)], 1);
        });
        assert_eq!(why, PAUSED);
    }
    for fiber in &mut fibers {
        let pages = resident_pages(arena.low_of(fiber.slot()), arena.layout().stride());
        assert_eq!(go_on(fiber), DONE);
        assert_eq!(pages, 1, "slot {}", fiber.slot());
    }
    arena.give(fibers.into_iter());
}

#[test]
fn trim_returns_memory_and_keeps_guards() {
    for guards in [Guards::Light, Guards::Protected] {
        let arena = arena_with(100, guards);
        let (stride, guard) = (arena.layout().stride(), arena.layout().guard());
        let mut fibers: Vec<_> = (0..100).map(|_| one(&arena)).collect();
        for fiber in &mut fibers {
            assert_eq!(start(fiber, |_| ()), DONE);
        }
        let lows: Vec<_> = fibers.iter().map(|fiber| arena.low_of(fiber.slot())).collect();
        let resident = || lows.iter().map(|&low| resident_pages(low, stride)).sum::<usize>();
        arena.give(fibers.into_iter());
        assert_eq!(resident(), 100, "{guards:?}");
        assert_eq!(arena.trim(3, usize::MAX), 97);
        assert_eq!(arena.trim(3, usize::MAX), 0);
        assert_eq!(resident(), 3, "{guards:?}");
        for &low in &lows {
            assert!(!readable(low) && !readable(low + guard - 1), "{guards:?}: a guard is gone");
            assert!(readable(low + guard));
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
    let page = page_size();
    for guards in [Guards::Light, Guards::Protected] {
        for guard in [page, 64 * 1024, 200 * 1024] {
            let layout = SlotLayout::new(MIN_STACK_SIZE, guard, 0).unwrap();
            let plan = StackPoolPlan {
                layout,
                slots: 1200,
                guards,
                may_lack_guards: false,
                painted: false,
            };
            let arena = StackPool::of(plan, serve).unwrap();
            let fibers: Vec<_> = (0..1200).map(|_| one(&arena)).collect();
            for fiber in &fibers {
                let low = arena.low_of(fiber.slot());
                for at in (0..guard).step_by(page) {
                    assert!(!readable(low + at), "{guards:?}: no guard at {at}");
                }
                assert!(readable(low + guard), "{guards:?}: no stack");
                assert!(readable(low + layout.stride() - 1), "{guards:?}: no stack");
            }
            arena.give(fibers.into_iter());
        }
    }
}

#[test]
fn two_hundred_thousand_fibers_are_alive_at_once() {
    if StackPool::guarded_slots() != usize::MAX || MODELLED {
        return;
    }
    let _alone = alone();
    let arena = arena(1_000_000);
    let mut fibers = Vec::with_capacity(200_000);
    for _ in 0..200_000 {
        let mut fiber = one(&arena);
        let why = start(&mut fiber, |suspender| {
            // SAFETY: `suspender` belongs to the fiber that runs this code.
            unsafe { suspender.suspend(PAUSED) };
        });
        assert_eq!(why, PAUSED);
        fibers.push(fiber);
    }
    assert!(fibers.iter_mut().all(|fiber| go_on(fiber) == DONE));
    arena.give(fibers.into_iter());
    assert_eq!(arena.trim(0, usize::MAX), 200_000);
    assert!(arena.release(0, || 0).segments() > 90);
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
