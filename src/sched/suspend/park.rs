//! Suspend: `park`, `yield_now`, and the sections that restrict or change suspension (`no_suspend`, `pinned`,
//! `in_place`).
//!
//! A goroutine must not switch while its kernel thread unwinds, because the panic count is a thread-local. During
//! an unwind, a park blocks the kernel thread, with the goroutine still on it, and the monitor may take its
//! processor. A goroutine that ends its own runtime parks in the same way, because a suspended goroutine of a
//! stopping runtime would never be resumed. [T1] [T5]
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

/// Waits for a permit: parks the goroutine, or blocks a plain thread. `place` is the call's location, for reports.
pub(crate) fn park(place: &'static Location<'static>) {
    park_caller(place, false);
}

/// Parks the caller. In a `no_suspend` section, blocks the kernel thread if `surely`, and otherwise panics.
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

/// Lets other goroutines, or other threads, run.
pub(crate) fn yield_now(place: &'static Location<'static>) {
    match current() {
        Some((worker, goroutine)) if !waits_in_place(worker, goroutine) => {
            suspend(worker, goroutine, YIELD, place);
        }
        _ => thread::yield_now(),
    }
}

/// Lets other goroutines run if the caller is a goroutine that may suspend. Otherwise does nothing.
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

/// Like [`park`], for a wait that must not unwind because other goroutines use the caller's stack. Where the
/// goroutine must not switch, blocks the kernel thread.
pub(crate) fn park_without_fail(place: &'static Location<'static>) {
    park_caller(place, true);
}

/// Panics if a suspension would panic. Called before the caller does anything that a panic would have to undo.
pub(crate) fn check_may_suspend(place: &'static Location<'static>) {
    if !may_suspend() {
        refuse_to_suspend(place);
    }
}

/// Returns true if the caller may wait: it is outside `no_suspend`, or its wait blocks the kernel thread instead of
/// suspending.
pub(crate) fn may_suspend() -> bool {
    current().is_none_or(|(worker, goroutine)| may_wait(worker, goroutine))
}

#[inline]
fn may_wait(worker: &Worker, goroutine: Ptr) -> bool {
    goroutine.own.no_suspend.get() == 0 || waits_in_place(worker, goroutine)
}

/// A flag in `no_suspend`, beside the count of sections. While it is set, a wait blocks the kernel thread.
const IN_PLACE: u32 = 1 << 31;

/// Returns true if a wait of the running goroutine must block its kernel thread instead of suspending. This is the
/// case while the thread unwinds, within [`in_place`], and in a `no_suspend` section while a panic unwinds, where a
/// refusal would be a second panic.
#[inline]
pub(crate) fn waits_in_place(worker: &Worker, goroutine: Ptr) -> bool {
    let sections = goroutine.own.no_suspend.get();
    unwinds(worker) || sections > 0 && (sections >= IN_PLACE || panicking())
}

/// Runs `f`. If the caller is a goroutine of `shared`, its waits during `f` block the kernel thread. For operations
/// that must complete although no goroutine is resumed any more. [T1]
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

/// Blocks the kernel thread of a goroutine that must not switch. The monitor may retake the processor meanwhile.
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

/// Returns true if the caller is not a goroutine.
pub(crate) fn is_plain_thread() -> bool {
    current_goroutine().is_none()
}

/// Returns a counted handle by which another goroutine or thread can unpark the caller.
pub(crate) fn waiter() -> Unparker {
    match current_goroutine() {
        Some(goroutine) => Unparker::Goroutine(Ref::new(goroutine)),
        None => Unparker::Thread(thread_parker()),
    }
}

/// Returns an uncounted reference to the caller, valid while the caller waits.
pub(crate) fn sleeper() -> ParkedRef {
    current_goroutine().map_or_else(|| ParkedRef::thread(thread_parker()), ParkedRef::goroutine)
}

/// Like [`sleeper`], for a caller that is about to wait, without a limit if `for_ever`. Returns `None` if the
/// caller must not wait: inside `no_suspend`; on a thread that has lost its thread-locals; or without a limit in
/// the child of a fork, where no thread is left that could wake it. The caller must then release its locks and call
/// [`refuse_to_wait`].
#[inline]
pub(crate) fn sleeper_about_to_wait(for_ever: bool) -> Option<ParkedRef> {
    let Some((worker, goroutine)) = current() else { return thread_about_to_wait(for_ever) };
    may_wait(worker, goroutine).then(|| ParkedRef::goroutine(goroutine))
}

#[cold]
fn thread_about_to_wait(for_ever: bool) -> Option<ParkedRef> {
    tls::parker().filter(|_| !for_ever || !fork::is_bereft()).map(ParkedRef::thread)
}

/// Panics, with the reason why [`sleeper_about_to_wait`] has returned `None`. The panic hook is foreign code, so
/// the caller must hold no lock of ours. [Q3]
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

/// Runs `f` on this kernel thread only, even if `f` suspends.
pub(crate) fn pinned<R>(f: impl FnOnce() -> R) -> R {
    struct Unpin(Option<Ptr>);
    impl Drop for Unpin {
        fn drop(&mut self) {
            let Some(goroutine) = self.0 else { return };
            let pins = goroutine.own.pins.get() - 1;
            goroutine.own.pins.set(pins);
            if pins == 0 && goroutine.own.wired.get() == 0 && may_move(&goroutine) {
                goroutine.bind_to(None);
                // There is no worker in the child of a fork.
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
    // SAFETY: `shared` points to the goroutine's runtime, which stays allocated while the goroutine runs.
    unsafe { &*goroutine.shared }.config.placement != Placement::Anchored
}

/// Returns true if the caller, which is a goroutine on `worker`, unwinds and so must not switch. Without
/// thread-locals of its own, the goroutine shares the panic count with the others on its kernel thread.
#[inline]
pub(crate) fn unwinds(worker: &Worker) -> bool {
    worker.blocks().is_none() && panicking()
}

/// Runs `f`. A suspension within `f` panics and names its location.
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
