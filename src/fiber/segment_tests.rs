//! Tests of segments: which slots each segment has, when it is reserved, when it is given back, and what the
//! kernel is told about it.

use super::overflow_tests::in_child;
use super::segments::Plan;
use super::tests::{DONE, address_space, arena, arena_with, one, readable, resident_pages, start};
use super::{Fiber, Guards, MAX_SLOTS, SlotLayout, StackError, StackPool};
use crate::platform::{Arc, MODELLED, page_size};

/// Checks how a test of the whole process ended.
#[track_caller]
fn assert_done(death: &crate::fiber::overflow_tests::Death) {
    assert_eq!((death.code, death.signal), (Some(0), None), "{}", death.stderr);
}

fn taken(arena: &StackPool, count: usize) -> Vec<Fiber> {
    (0..count).map(|_| one(arena)).collect()
}

#[test]
fn every_slot_number_is_in_one_segment() {
    for stack in [32 * 1024, 320 * 1024, 3 << 20, 100 << 20, 1 << 30] {
        let layout = SlotLayout::new(stack, 96 * 1024, 0).unwrap();
        for slots in [1, 7, 64, 65, 5000, 300_000] {
            let plan = Plan::new(layout, slots);
            let mut next = 0;
            for index in 0.. {
                let range = plan.range(index);
                if range.is_empty() {
                    break;
                }
                assert_eq!(range.start, next);
                assert_eq!(
                    (plan.segment(range.start), plan.segment(range.end - 1)),
                    (index, index)
                );
                assert!((range.end - range.start) as usize * layout.stride() <= (2 << 30));
                next = range.end;
            }
            assert_eq!(next, slots);
        }
    }
}

#[test]
fn an_eighth_of_a_limit_is_left_to_others() {
    use crate::fiber::room::fits;
    assert!(fits(875, 0, 1000) && !fits(876, 0, 1000));
    assert!(fits(1, 874, 1000) && !fits(1, 875, 1000));
    assert!(!fits(usize::MAX, u64::MAX, 1000) && !fits(1, 0, 0));
    assert!(fits(1 << 40, 1 << 40, u64::MAX));
}

#[test]
fn address_space_is_reserved_as_it_is_needed_and_goes_back() {
    let name = "address_space_is_reserved_as_it_is_needed_and_goes_back";
    let death = in_child("segment_tests", name, || {
        if MODELLED {
            return;
        }
        let before = address_space();
        let arena = arena(MAX_SLOTS);
        let slot = arena.layout().stride();
        let reserved = || (address_space() - before) / slot;
        assert!(reserved() <= 128, "{} slots for none", reserved());
        let fibers = taken(&arena, 10_000);
        assert!((10_000..25_000).contains(&reserved()), "{} slots for 10,000", reserved());
        arena.give(fibers.into_iter());
        assert_eq!(arena.trim(100, usize::MAX), 9_900);
        arena.gather(100);
        let released = arena.release(1, || 0);
        assert!(released.segments() >= 8, "{released:?}");
        drop(released);
        assert!(reserved() <= 256, "{} slots for 100", reserved());
        let again = taken(&arena, 3000);
        arena.give(again.into_iter());
        drop(arena);
        assert!(address_space() <= before + 64 * slot, "it leaked");
    });
    assert_done(&death);
}

#[test]
fn a_fiber_that_is_out_keeps_its_segment_alone() {
    let name = "a_fiber_that_is_out_keeps_its_segment_alone";
    let death = in_child("segment_tests", name, || {
        if MODELLED {
            return;
        }
        let before = address_space();
        let lent = arena(MAX_SLOTS);
        let slot = lent.layout().stride();
        let mut fibers = taken(&lent, 10_000);
        let mut last = fibers.swap_remove(70);
        lent.give(fibers.into_iter());
        drop(lent);
        let left = (address_space() - before) / slot;
        assert!((1..200).contains(&left), "{left} slots are left");
        assert_eq!(start(&mut last, |_| ()), DONE);
    });
    assert_done(&death);
}

#[test]
fn warm_fibers_in_high_segments_do_not_keep_them() {
    let arena = arena(MAX_SLOTS);
    let mut fibers = taken(&arena, 5000);
    // The fibers that were taken last have high slots.
    let high = fibers.split_off(4950);
    arena.give(fibers.into_iter().chain(high));
    assert_eq!(arena.trim(50, usize::MAX), 4950);
    assert_eq!(arena.release(1, || 0).segments(), 6, "the last segment has warm fibers");
    arena.gather(50);
    assert_eq!(arena.warm(), 0);
    assert_eq!(arena.release(1, || 0).segments(), 1);
}

#[test]
fn secured_slots_stay_open() {
    let arena = arena_with(5000, Guards::Protected);
    assert!(arena.is_strained(), "guards by mprotect are scarce");
    arena.secure(3000).unwrap();
    drop(arena.release(1, || 2000));
    let fibers = taken(&arena, 2000);
    arena.give(fibers.into_iter());
    assert_eq!(arena.secure(5001).unwrap_err(), StackError::Exhausted { slots: 5000 });
}

/// Returns the kernel's flags of the mapping at an address.
fn flags_of(address: usize) -> String {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("procfs");
    let mut inside = false;
    for line in maps.lines() {
        if let Some((range, _)) = line.split_once(' ')
            && let Some((low, high)) = range.split_once('-')
            && let (Ok(low), Ok(high)) =
                (usize::from_str_radix(low, 16), usize::from_str_radix(high, 16))
        {
            inside = (low..high).contains(&address);
        }
        if inside && let Some(flags) = line.strip_prefix("VmFlags:") {
            return format!("{flags} ");
        }
    }
    String::from("not mapped")
}

#[test]
fn unused_segments_are_not_in_core_files() {
    let dumped = |address: usize| {
        let flags = flags_of(address);
        assert!(flags.contains(" ac ") || flags.contains(" nr "), "{flags}");
        !flags.contains(" dd ")
    };
    let arena = arena(77_777);
    let fibers = taken(&arena, 64);
    let low = arena.low_of(fibers[0].slot());
    assert!(dumped(low));
    arena.give(fibers.into_iter());
    assert_eq!(arena.trim(0, usize::MAX), 64);
    drop(arena.release(1, || 0));
    assert!(!dumped(low));
    let fiber = one(&arena);
    assert!(dumped(arena.low_of(fiber.slot())));
    arena.give([fiber].into_iter());
}

#[test]
fn a_refused_mark_is_replaced_by_a_mapping() {
    let death = in_child("segment_tests", "a_refused_mark_is_replaced_by_a_mapping", || {
        if StackPool::guarded_slots() != usize::MAX {
            return;
        }
        let arena = arena(1000);
        let mut fibers = taken(&arena, 4);
        // Locked memory takes no marks.
        let (low, guard) = (arena.low_of(fibers[3].slot()), arena.layout().guard());
        let next = std::ptr::without_provenance(low + arena.layout().stride());
        // SAFETY: the call does not change the page's contents, and no fiber uses this slot.
        let rc = unsafe { libc::mlock(next, page_size()) };
        assert_eq!(rc, 0, "mlock: {}", std::io::Error::last_os_error());
        assert!(!arena.is_strained());
        fibers.extend(taken(&arena, 2));
        assert!(arena.is_strained());
        for fiber in &mut fibers {
            let low = arena.low_of(fiber.slot());
            assert!(!readable(low) && !readable(low + guard - 1), "slot {}", fiber.slot());
            assert_eq!(start(fiber, |_| ()), DONE);
        }
        arena.give(fibers.into_iter());
    });
    assert_done(&death);
}

#[test]
fn a_segment_that_is_refused_is_made_smaller() {
    let death = in_child("segment_tests", "a_segment_that_is_refused_is_made_smaller", || {
        if MODELLED {
            return;
        }
        let arena: Arc<StackPool> = arena(MAX_SLOTS);
        let slot = arena.layout().stride();
        let mut fibers = taken(&arena, 64);
        // An eighth of the limit is left for other code.
        let room = ((address_space() + 100 * slot) * 8 / 7) as u64;
        let limit = libc::rlimit { rlim_cur: room, rlim_max: room };
        // SAFETY: `limit` is a local variable. The limit applies to this process, in which only this test runs.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
        let error = loop {
            let mut more = Vec::new();
            match arena.take(&mut more, 1) {
                Ok(()) => fibers.append(&mut more),
                Err(error) => break error,
            }
        };
        assert!(fibers.len() > 64 + 80, "{}", fibers.len());
        assert!(matches!(error, StackError::Reserve { .. }), "{error:?}");
        assert!(error.to_string().contains("ulimit -v"), "{error}");
        assert!(arena.is_strained());
        let left = room - address_space() as u64;
        assert!(left > room / 9, "{left} of {room} bytes are left to others");
        let out = fibers.len();
        arena.give(fibers.into_iter());
        assert_eq!(taken(&arena, out).len(), out);
    });
    assert_done(&death);
}

/// Locks all memory. If locking is forbidden, ends the process, and the test then shows nothing.
fn lock_all_memory() {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: `limit` is a local variable. The limit applies to this process, in which only this test runs.
    unsafe {
        libc::setrlimit(libc::RLIMIT_MEMLOCK, &limit);
        if libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) != 0 {
            eprintln!("this machine lets nobody lock its memory");
            std::process::exit(0);
        }
    }
}

/// Checks that ten stacks work and have guards. Returns the resident pages of the first segment, and the
/// number of pages of the ten stacks.
fn ten_stacks(arena: &StackPool) -> (usize, usize) {
    let mut fibers = taken(arena, 10);
    let (stride, guard) = (arena.layout().stride(), arena.layout().guard());
    for fiber in &mut fibers {
        let low = arena.low_of(fiber.slot());
        assert!(!readable(low) && !readable(low + guard - 1));
        assert_eq!(start(fiber, |_| ()), DONE);
    }
    let resident = resident_pages(arena.low_of(0), 64 * stride);
    arena.give(fibers.into_iter());
    (resident, 10 * (stride - guard) / page_size())
}

#[test]
fn mlockall_makes_the_stacks_in_use_resident_and_no_others() {
    let name = "mlockall_makes_the_stacks_in_use_resident_and_no_others";
    let death = in_child("segment_tests", name, || {
        lock_all_memory();
        let (resident, ten) = ten_stacks(&arena(1000));
        assert!((ten..ten + 8).contains(&resident), "{resident} pages of {ten} that are open");
    });
    assert_done(&death);
}

#[test]
fn mlockall_after_the_start_is_no_obstacle() {
    let death = in_child("segment_tests", "mlockall_after_the_start_is_no_obstacle", || {
        let arena = arena(1000);
        lock_all_memory();
        let (resident, ten) = ten_stacks(&arena);
        assert!(resident <= ten, "{resident} pages of {ten} that are open");
    });
    assert_done(&death);
}

#[test]
fn an_arena_works_whatever_serves_its_guards() {
    for guards in [Guards::Light, Guards::Protected] {
        let arena = arena_with(300, guards);
        let mut fibers = taken(&arena, 300);
        let mut more = Vec::new();
        assert_eq!(arena.take(&mut more, 1).unwrap_err(), StackError::Exhausted { slots: 300 });
        assert!(fibers.iter_mut().all(|fiber| start(fiber, |_| ()) == DONE));
        arena.give(fibers.into_iter());
        assert_eq!(arena.trim(0, usize::MAX), 300);
        drop(arena.release(0, || 0));
        let fiber = one(&arena);
        arena.give([fiber].into_iter());
    }
}
