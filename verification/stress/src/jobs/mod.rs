//! Jobs: what a goroutine of a round does, with children of its own. Each checks what it alone can
//! know: results, borrowed data, its stack.

mod basic;
mod blocking;
mod ends;
mod parking;
mod structure;
mod timing;

use crate::book::{Book, Life};
use crate::outside::Outside;
use crate::rng::Rng;
use selvedge::{JoinHandle, Runtime, Scope, ScopedJoinHandle};
use std::sync::atomic::{AtomicU64, Ordering};

/// What jobs share.
pub struct Ctx<'a> {
    pub runtime: &'a Runtime,
    pub book: &'static Book,
    /// Their errands wait for nobody.
    pub outside: Outside,
    /// These wait for goroutines.
    pub joiners: Outside,
    /// Whether goroutines may block without saying so until another goroutine frees them.
    pub many_threads: bool,
}

#[derive(Clone, Copy)]
pub struct Job {
    pub name: &'static str,
    weight: u64,
    pub run: fn(&Ctx<'_>, &Life, &mut Rng),
}

const fn job(name: &'static str, weight: u64, run: fn(&Ctx<'_>, &Life, &mut Rng)) -> Job {
    Job { name, weight, run }
}

const JOBS: [Job; 23] = [
    job("yields", 3, basic::yields),
    job("tree", 3, basic::tree),
    job("burst", 3, basic::burst),
    job("deep", 2, basic::deep),
    job("values", 2, basic::values),
    job("pairs", 4, parking::pairs),
    job("ring", 3, parking::ring),
    job("crowd", 3, parking::crowd),
    job("strays", 3, parking::strays),
    job("outside", 3, parking::outside),
    job("sleepers", 3, timing::sleepers),
    job("limits", 3, timing::limits),
    job("settings", 2, timing::settings),
    job("announced", 3, blocking::announced),
    job("asleep", 2, blocking::asleep),
    job("pipes", 2, blocking::pipes),
    job("hogs", 2, blocking::cpu_bound_workers),
    job("panics", 2, ends::panics),
    job("unclaimed", 2, ends::unclaimed),
    job("unwinding", 2, ends::unwinding),
    job("scopes", 2, structure::scopes),
    job("nested", 1, structure::nested),
    job("sections", 2, structure::sections),
];

pub fn names() -> Vec<&'static str> {
    JOBS.iter().map(|job| job.name).collect()
}

pub fn is_known(prefix: &str) -> bool {
    JOBS.iter().any(|job| job.name.starts_with(prefix))
}

/// A job at random, by weight; of those whose names begin so, if any are given.
pub fn choose(rng: &mut Rng, prefixes: &[String]) -> Job {
    let wanted = |job: &&Job| {
        prefixes.is_empty() || prefixes.iter().any(|p| job.name.starts_with(p.as_str()))
    };
    let total: u64 = JOBS.iter().filter(wanted).map(|job| job.weight).sum();
    let mut at = rng.below(total);
    for job in JOBS.iter().filter(wanted) {
        if at < job.weight {
            return *job;
        }
        at -= job.weight;
    }
    unreachable!("weights add up to their total")
}

impl Ctx<'_> {
    /// The right to keep a kernel thread until another goroutine has run. There are fewer of these
    /// than threads: at the cap, everybody would wait for everybody.
    pub fn hold_thread(&self) -> Option<ThreadHold> {
        if !self.many_threads {
            return None;
        }
        let hold = ThreadHold;
        (HOLDS.fetch_add(1, Ordering::Relaxed) < MOST_HOLDS).then_some(hold)
    }

    /// A child that may borrow, with a life in the book.
    pub fn go<'s, T, F>(
        &self,
        scope: &'s Scope<'s, '_>,
        kind: &'static str,
        f: F,
    ) -> ScopedJoinHandle<'s, T>
    where
        F: FnOnce(&Life) -> T + Send + 's,
        T: Send + 's,
    {
        let ticket = self.book.ticket(kind);
        self.book.spawned.fetch_add(1, Ordering::Relaxed);
        scope.go(move || f(&ticket.begin()))
    }

    /// A goroutine that may outlive its parent.
    pub fn free<T, F>(&self, kind: &'static str, f: F) -> JoinHandle<T>
    where
        F: FnOnce(&Life) -> T + Send + 'static,
        T: Send + 'static,
    {
        let ticket = self.book.ticket(kind);
        self.book.spawned.fetch_add(1, Ordering::Relaxed);
        selvedge::go(move || f(&ticket.begin()))
    }
}

const MOST_HOLDS: u64 = 40;
static HOLDS: AtomicU64 = AtomicU64::new(0);

/// See [`Ctx::hold_thread`].
pub struct ThreadHold;

impl Drop for ThreadHold {
    fn drop(&mut self) {
        HOLDS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The payload of panics that belong to a test.
pub struct Expected(pub u64);

/// Panics without a word. Outlined: panicking touches thread-locals.
#[inline(never)]
pub fn fail(with: u64) -> ! {
    std::panic::resume_unwind(Box::new(Expected(with)))
}

/// As [`fail`], by way of the panic hook.
#[inline(never)]
pub fn fail_aloud(with: u64) -> ! {
    std::panic::panic_any(Expected(with))
}

/// Any panic but those that belong to a test is a violation.
pub fn silence_expected_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let text = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&'static str>().copied());
        let known = text.is_some_and(|text| {
            text.starts_with("suspension at") || text.starts_with("a scoped goroutine panicked")
        });
        if payload.is::<Expected>() || known {
            return;
        }
        let trace = std::backtrace::Backtrace::force_capture();
        crate::violation(&format!("unexpected panic: {info}\n{trace}"));
    }));
}

/// What a caught panic carried.
pub fn expected(payload: Box<dyn std::any::Any + Send>) -> Option<u64> {
    payload.downcast::<Expected>().ok().map(|expected| expected.0)
}

/// A result must be this.
#[track_caller]
pub fn must_be<T: PartialEq + std::fmt::Debug>(found: T, right: T) {
    if found != right {
        let place = std::panic::Location::caller();
        crate::violation(&format!("{place}: expected {right:?}, found {found:?}"));
    }
}
