//! World: the shared objects of the program that runs. Foreign code reaches them through `world`, since
//! it may run anywhere, also after the program's end: then there is none.

use crate::acts::perform;
use crate::calm::{calm, drop_calmly};
use crate::ledger::{Canary, Kind, Ledger, fault};
use crate::program::{Build, CAPACITIES, HELD, On, Program, TOKENS};
use crate::values::{Hostile, Outcome};
use selvedge::chan::{Receiver, Sender, bounded, unbounded};
use selvedge::sync::{Barrier, Condvar, Mutex as Lock, RwLock as Shared, Semaphore, WaitGroup};
use selvedge::{CancelToken, JoinHandle, PanicPolicy, Runtime};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Foreign code spawns so many goroutines.
const MOST_SPAWNS: usize = 40;

/// A future that somebody may poll again, or drop.
pub type Held = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A runtime, and what is known of it. Whoever lets go of it last ends the runtime.
pub struct Place {
    runtime: Option<Runtime>,
    /// Whether its end has begun.
    pub ended: Arc<AtomicBool>,
    ledger: Arc<Ledger>,
}

impl Place {
    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("only the end takes it")
    }

    /// Ends the runtime: by `drop`, or by `shutdown`. Neither may unwind.
    fn end(&mut self, how: impl FnOnce(Runtime)) {
        if let Some(runtime) = self.runtime.take() {
            self.ended.store(true, SeqCst);
            self.ledger.ending.fetch_add(1, SeqCst);
            let metrics = runtime.metrics();
            if metrics.spawned != metrics.finished {
                self.ledger.left_behind.store(true, SeqCst);
            }
            if calm(|| how(runtime)).is_none() {
                fault("the end of a runtime has panicked");
            }
            self.ledger.ending.fetch_sub(1, SeqCst);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.end(drop);
    }
}

/// A join handle, and what is known of its goroutine.
pub struct Joinable {
    pub handle: JoinHandle<Outcome>,
    pub number: usize,
    /// Whether the end of its runtime has begun; `None` where that is not known.
    pub ended: Option<Arc<AtomicBool>>,
}

impl Joinable {
    pub fn is_left_behind(&self) -> bool {
        self.ended.as_ref().is_some_and(|ended| ended.load(SeqCst))
    }
}

/// See the module.
pub struct World {
    pub program: Arc<Program>,
    pub ledger: Arc<Ledger>,
    pub channels: Vec<(Sender<Hostile>, Receiver<Hostile>)>,
    pub tokens: Vec<CancelToken>,
    pub mutex: Lock<Hostile>,
    /// Of the condition variable: held by nobody that may be left behind.
    pub condition: Lock<Hostile>,
    pub shared: Shared<Hostile>,
    pub permits: Semaphore,
    pub condvar: Condvar,
    pub barrier: Barrier,
    pub group: WaitGroup,
    main: Mutex<Option<Arc<Place>>>,
    second: Mutex<Option<Arc<Place>>>,
    handles: Mutex<Vec<Joinable>>,
    held: Mutex<Vec<Option<Held>>>,
    /// What foreign code has received: dropped by a step, and so not within another drop.
    bin: Mutex<Vec<Hostile>>,
    /// Runtimes built so far.
    runtimes: AtomicUsize,
    /// Goroutines that foreign code has spawned.
    spawns: AtomicUsize,
    /// Whether signals were sent.
    pub raised: AtomicBool,
    /// Whether somebody formats the objects.
    pub printing: AtomicBool,
}

static WORLD: RwLock<Option<Arc<World>>> = RwLock::new(None);

/// That of the program that runs.
#[inline(never)]
pub fn world() -> Option<Arc<World>> {
    WORLD.read().unwrap_or_else(PoisonError::into_inner).clone()
}

pub fn set_world(world: Option<Arc<World>>) {
    let before =
        std::mem::replace(&mut *WORLD.write().unwrap_or_else(PoisonError::into_inner), world);
    drop(before);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn new(program: Arc<Program>) -> Arc<World> {
        let ledger = Ledger::new();
        let channel = |capacity: &Option<usize>| match capacity {
            Some(capacity) => bounded(*capacity),
            None => unbounded(),
        };
        let root = CancelToken::new();
        let tokens = (0..TOKENS).map(|n| if n == 0 { root.clone() } else { root.child() });
        let guarded = || Hostile::of(&ledger, Kind::Other, &program.thread_local);
        Arc::new(World {
            channels: CAPACITIES.iter().map(channel).collect(),
            tokens: tokens.collect(),
            mutex: Lock::new(guarded()),
            condition: Lock::new(guarded()),
            shared: Shared::new(guarded()),
            permits: Semaphore::new(2),
            condvar: Condvar::new(),
            barrier: Barrier::new(2),
            group: WaitGroup::new(),
            main: Mutex::default(),
            second: Mutex::default(),
            handles: Mutex::default(),
            held: Mutex::new((0..HELD).map(|_| None).collect()),
            bin: Mutex::default(),
            runtimes: AtomicUsize::new(0),
            spawns: AtomicUsize::new(0),
            raised: AtomicBool::new(false),
            printing: AtomicBool::new(false),
            program,
            ledger,
        })
    }

    /// Builds a runtime whose threads' names tell it from others.
    pub fn build(&self, build: &Build) -> Place {
        let number = self.runtimes.fetch_add(1, SeqCst);
        let mut builder = Runtime::builder()
            .processors(build.processors)
            .max_processors(build.processors)
            .max_threads(if build.narrow { build.processors } else { 16 })
            .max_goroutines(build.limit)
            .stack_size(256 * 1024)
            .panic_policy(if build.aborts { PanicPolicy::Abort } else { PanicPolicy::Carry })
            .thread_name(format!("h{}-{number}", self.program.seed % 1000));
        if let Some(hook) = build.watchdog.clone() {
            let owned = Hostile::of(&self.ledger, Kind::Other, &hook.owns);
            builder = builder.watchdog(move |_| {
                owned.canary().check();
                perform(&hook.acts);
            });
        }
        // SAFETY: no program initializes a thread-local by code that suspends, or lends anything by way of one.
        // Anchored, so that a runtime that ends leaves no thread-locals behind with those it abandons.
        let runtime = unsafe { builder.build_anchored() }.expect("a runtime");
        Place { runtime: Some(runtime), ended: Arc::default(), ledger: Arc::clone(&self.ledger) }
    }

    pub fn runtime(&self, on: On) -> Option<Arc<Place>> {
        match on {
            On::Main => locked(&self.main).clone(),
            On::Second => locked(&self.second).clone(),
            On::Thread => None,
        }
    }

    pub fn put_runtime(&self, on: On, place: Option<Arc<Place>>) -> Option<Arc<Place>> {
        let slot = if on == On::Main { &self.main } else { &self.second };
        std::mem::replace(&mut *locked(slot), place)
    }

    /// Whether the caller comes to its end, since nobody ends its runtime before: on the main runtime, and
    /// on a plain thread.
    #[inline(never)]
    pub fn stays(&self) -> bool {
        let of_main = format!("h{}-0-", self.program.seed % 1000);
        let is_main = std::thread::current().name().is_some_and(|name| name.starts_with(&of_main));
        is_main || selvedge::current().id().is_none()
    }

    /// Whether foreign code may spawn another goroutine. What one does at its end might otherwise spawn the
    /// next, and so on without end.
    pub fn may_spawn(&self) -> bool {
        self.spawns.fetch_add(1, SeqCst) < MOST_SPAWNS
    }

    /// Puts a handle where anybody may find it.
    pub fn share(&self, joinable: Joinable) {
        locked(&self.handles).push(joinable);
    }

    /// Some handle: the one that was put there last, or first.
    pub fn some_handle(&self, last: bool) -> Option<Joinable> {
        let mut handles = locked(&self.handles);
        if last || handles.is_empty() { handles.pop() } else { Some(handles.remove(0)) }
    }

    /// The future held in a slot is taken out, to be used or dropped without a lock.
    pub fn take_held(&self, slot: usize) -> Option<Held> {
        locked(&self.held)[slot].take()
    }

    pub fn hold(&self, slot: usize, future: Held) {
        let before = locked(&self.held)[slot].replace(future);
        drop_calmly(before);
    }

    pub fn put_into_bin(&self, message: Hostile) {
        locked(&self.bin).push(message);
    }

    /// Drops what foreign code has received.
    pub fn empty_bin(&self) {
        let bin = std::mem::take(&mut *locked(&self.bin));
        bin.into_iter().for_each(drop_calmly);
    }

    /// A message has come out of a channel.
    pub fn received(&self, message: Hostile) -> Hostile {
        message.canary().note_received();
        message
    }

    /// Sends by `send`, and records it where that was successful.
    pub fn sending<E>(&self, message: Hostile, send: impl FnOnce(Hostile) -> Result<(), E>) {
        let number = message.canary().number();
        match send(message) {
            Ok(()) => Canary::note_sent(&self.ledger, number),
            Err(error) => drop_calmly(error),
        }
    }

    /// Lets go of a runtime: ends it, unless somebody uses it at this time, who then ends it.
    pub fn end(&self, place: Arc<Place>, shut: bool) {
        let Some(mut place) = Arc::into_inner(place) else { return };
        if shut {
            place.end(|runtime| drop(runtime.shutdown(Duration::from_millis(1))));
        }
    }

    pub fn end_second(&self, shut: bool) {
        if let Some(place) = self.put_runtime(On::Second, None) {
            self.end(place, shut);
        }
    }
}
