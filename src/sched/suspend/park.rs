//! Suspend: `park`, `yield_now`, and the sections that change what they may do.
//!
//! While the kernel thread unwinds, nothing switches: its panic count is a thread-local. A park then
//! puts the thread itself to sleep beneath the goroutine, and the monitor may take its processor. So does a park
//! of a goroutine that ends its own runtime, since it would never be resumed. [T1] [T5]
//! Checked by: verification/loom/state.rs, proptests/runtime/lifecycle.rs.

pub(crate) use super::park_until::{park_until, sleep_until};
use crate::observe::specification::Event;
use crate::platform::{fork, panicking, thread, tls};
use crate::sched::core::cell::{Goroutine, Ptr, Ref};
use crate::sched::core::config::Placement;
use crate::sched::core::current::{PARK, YIELD};
use crate::sched::core::current::{RuntimeGuard, current, current_goroutine, current_worker};
use crate::sched::core::forked;
use crate::sched::core::runtime::Shared;
use crate::sched::core::simulation;
use crate::sched::core::wake_handle::{GONE, ParkedRef, Unparker, thread_parker};
use crate::sched::core::worker::Worker;
use crate::sched::goroutine::state::BeginPark;
use std::panic::Location;
use std::ptr;

/// Waits for a permit: parks the goroutine, or blocks a plain thread. `place` is where, for reports.
pub(crate) fn park(place: &'static Location<'static>) {
    park_caller(place, false);
}

/// `surely`: in a `no_suspend` section the kernel thread sleeps; otherwise that is a panic.
#[inline]
fn park_caller(place: &'static Location<'static>, surely: bool) {
    let Some((worker, goroutine)) = current() else { return park_thread(surely) };
    goroutine.note(Event::Parks(place));
    if goroutine.word.take_permit() {
        return goroutine.note(Event::Permit);
    }
    if waits_in_place(worker, goroutine) || surely && goroutine.own.no_suspend.get() > 0 {
        return park_in_place(goroutine);
    }
    suspend(worker, goroutine, PARK, place);
    goroutine.word.end_park();
    goroutine.note(Event::Permit);
}

/// Blocks a plain thread.
fn park_thread(surely: bool) {
    if surely {
        forked::check_wait_without_fail("a wait without a limit");
    } else {
        forked::check_wait("park");
    }
    thread_parker().park();
}

/// Lets others run.
pub(crate) fn yield_now(place: &'static Location<'static>) {
    match current() {
        Some((worker, goroutine)) if !waits_in_place(worker, goroutine) => {
            suspend(worker, goroutine, YIELD, place);
        }
        _ => thread::yield_now(),
    }
}

/// Lets other goroutines run, where the caller is one and may suspend.
pub(crate) fn give_way(place: &'static Location<'static>) {
    if let Some((worker, goroutine)) = current()
        && !unwinds(worker)
        && goroutine.own.no_suspend.get() == 0
    {
        suspend(worker, goroutine, YIELD, place);
    }
}

#[inline]
pub(crate) fn suspend(
    worker: &Worker,
    goroutine: Ptr,
    why: usize,
    place: &'static Location<'static>,
) {
    if goroutine.own.no_suspend.get() > 0 {
        refuse_to_suspend(place);
    }
    goroutine.note(Event::Suspends(place));
    goroutine.set_place(place);
    RuntimeGuard::enter(worker).switch(goroutine, why);
}

/// As [`park`], for a wait that must not be left by unwinding, since others use the caller's stack:
/// where nothing may switch, the kernel thread itself sleeps.
pub(crate) fn park_without_fail(place: &'static Location<'static>) {
    park_caller(place, true);
}

/// Panics where a suspension would, before the caller has done anything that a panic must undo.
pub(crate) fn check_may_suspend(place: &'static Location<'static>) {
    if !may_suspend() {
        refuse_to_suspend(place);
    }
}

/// Whether the caller may wait: outside of `no_suspend`, or where a wait does not suspend.
pub(crate) fn may_suspend() -> bool {
    current().is_none_or(|(worker, goroutine)| may_wait(worker, goroutine))
}

#[inline]
fn may_wait(worker: &Worker, goroutine: Ptr) -> bool {
    goroutine.own.no_suspend.get() == 0 || waits_in_place(worker, goroutine)
}

/// In `no_suspend`, beside the count of sections: a wait puts the kernel thread to sleep.
const IN_PLACE: u32 = 1 << 31;

/// Whether a wait of the running goroutine puts its kernel thread to sleep, instead of suspending: while that
/// unwinds, within [`in_place`], and where a refusal would be a panic while another one unwinds.
#[inline]
pub(crate) fn waits_in_place(worker: &Worker, goroutine: Ptr) -> bool {
    let sections = goroutine.own.no_suspend.get();
    unwinds(worker) || sections > 0 && (sections >= IN_PLACE || panicking())
}

/// Runs `f`, during which a wait of the caller, if it is a goroutine of `shared`, puts its kernel thread to sleep.
/// For what must come to its end though nothing is resumed any more. [T1]
pub(crate) fn in_place<R>(shared: &Shared, f: impl FnOnce() -> R) -> R {
    struct Over(Option<Ptr>);
    impl Drop for Over {
        fn drop(&mut self) {
            if let Some(goroutine) = self.0 {
                goroutine.own.no_suspend.set(goroutine.own.no_suspend.get() & !IN_PLACE);
            }
        }
    }
    let own = current_goroutine().filter(|goroutine| {
        ptr::eq(goroutine.shared, shared) && goroutine.own.no_suspend.get() < IN_PLACE
    });
    if let Some(goroutine) = own {
        goroutine.own.no_suspend.set(goroutine.own.no_suspend.get() | IN_PLACE);
    }
    let _over = Over(own);
    f()
}

#[cold]
pub(crate) fn refuse_to_suspend(place: &'static Location<'static>) -> ! {
    panic!("suspension at {place} inside `no_suspend`: move the call out of the section");
}

/// The goroutine unwinds, so its kernel thread sleeps; the processor may be retaken meanwhile.
#[cold]
fn park_in_place(goroutine: Ptr) {
    let worker = current_worker().expect("a goroutine runs on a worker");
    simulation::refuse_in_place(worker, goroutine);
    let home = goroutine.bound_to();
    goroutine.bind_to(Some(worker.id));
    match goroutine.word.begin_park_in_place() {
        BeginPark::Readied => {}
        BeginPark::Parked => {
            worker.show_section(true);
            while !goroutine.word.has_permit() {
                worker.in_place.park();
            }
            worker.show_section(goroutine.own.sections.get() > 0);
        }
    }
    goroutine.word.end_park();
    goroutine.note(Event::Permit);
    goroutine.bind_to(home);
}

/// Whether the caller is no goroutine.
pub(crate) fn is_plain_thread() -> bool {
    current_goroutine().is_none()
}

/// Whoever calls, to be unparked by somebody else.
pub(crate) fn waiter() -> Unparker {
    match current_goroutine() {
        Some(goroutine) => Unparker::Goroutine(Ref::new(goroutine)),
        None => Unparker::Thread(thread_parker()),
    }
}

/// Whoever calls, as long as it waits.
pub(crate) fn sleeper() -> ParkedRef {
    current_goroutine().map_or_else(|| ParkedRef::thread(thread_parker()), ParkedRef::goroutine)
}

/// As [`sleeper`], for one that is about to wait; `for_ever`: without a limit. `None` where it may not: inside
/// `no_suspend`, on a thread whose thread-locals are gone, and for ever in the child of a fork, where nobody is
/// left that could wake it. It then gives up its locks, and calls [`refuse_to_wait`].
#[inline]
pub(crate) fn sleeper_about_to_wait(for_ever: bool) -> Option<ParkedRef> {
    let Some((worker, goroutine)) = current() else { return thread_about_to_wait(for_ever) };
    may_wait(worker, goroutine).then(|| ParkedRef::goroutine(goroutine))
}

#[cold]
fn thread_about_to_wait(for_ever: bool) -> Option<ParkedRef> {
    tls::parker().filter(|_| !for_ever || !fork::is_bereft()).map(ParkedRef::thread)
}

/// Says why [`sleeper_about_to_wait`] has refused. The panic hook is foreign code, so that no lock of ours may be
/// held here. [Q3]
#[cold]
pub(crate) fn refuse_to_wait(place: &'static Location<'static>) -> ! {
    match current_goroutine() {
        Some(_) => refuse_to_suspend(place),
        None => {
            forked::check_wait("a wait without a limit");
            panic!("{GONE}")
        }
    }
}

/// Runs `f` on this kernel thread throughout, suspensions included.
pub(crate) fn pinned<R>(f: impl FnOnce() -> R) -> R {
    struct Unpin(Option<Ptr>);
    impl Drop for Unpin {
        fn drop(&mut self) {
            let Some(goroutine) = self.0 else { return };
            let pins = goroutine.own.pins.get() - 1;
            goroutine.own.pins.set(pins);
            if pins == 0 && goroutine.own.wired.get() == 0 && may_move(&goroutine) {
                goroutine.bind_to(None);
                // None in the child of a fork.
                if let Some(worker) = current_worker() {
                    worker.add_bound(-1);
                }
            }
        }
    }
    let goroutine = current_goroutine();
    if let Some(goroutine) = goroutine {
        let pins = goroutine.own.pins.get();
        goroutine.own.pins.set(pins + 1);
        if pins == 0 && goroutine.own.wired.get() == 0 && may_move(&goroutine) {
            let worker = current_worker().expect("a goroutine runs on a worker");
            goroutine.bind_to(Some(worker.id));
            worker.add_bound(1);
        }
    }
    let _unpin = Unpin(goroutine);
    f()
}

fn may_move(goroutine: &Goroutine) -> bool {
    // SAFETY: the goroutine runs, so its runtime is there.
    unsafe { &*goroutine.shared }.config.placement != Placement::Anchored
}

/// Whether the caller, which is this goroutine on this worker, unwinds, and so must not switch: the count
/// of panics is a thread-local, which it shares with others.
#[inline]
pub(crate) fn unwinds(worker: &Worker) -> bool {
    worker.blocks().is_none() && panicking()
}

/// Runs `f`; a suspension within is a panic that names the place.
pub(crate) fn no_suspend<R>(f: impl FnOnce() -> R) -> R {
    struct Allow(Option<Ptr>);
    impl Drop for Allow {
        fn drop(&mut self) {
            if let Some(goroutine) = self.0 {
                goroutine.own.no_suspend.set(goroutine.own.no_suspend.get() - 1);
            }
        }
    }
    let goroutine = current_goroutine();
    if let Some(goroutine) = goroutine {
        goroutine.own.no_suspend.set(goroutine.own.no_suspend.get() + 1);
    }
    let _allow = Allow(goroutine);
    f()
}
