//! Stage: runs one program, and looks at the end whether all is in order.

use crate::acts::perform;
use crate::calm::{calm, drop_calmly};
use crate::ledger::{Ledger, Life, fault};
use crate::locals::thread_ends;
use crate::program::{Build, HELD, On, Program, Spawn};
use crate::run::HUNG;
use crate::steps::{others, spawns, take_one};
use crate::world::{Place, World, set_world};
use selvedge::time;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After so long, channels are closed and tokens are cancelled, so that each wait ends.
const ENOUGH: Duration = Duration::from_millis(10);
/// What foreign code holds, it lets go of within this time.
const GRACE: Duration = Duration::from_secs(5);
/// What the second runtime has not done within this time, it may leave undone.
const SHORT_GRACE: Duration = Duration::from_millis(100);

/// What is going on, for the report of a hang.
struct Scene {
    began: Instant,
    doing: &'static str,
    ledger: Arc<Ledger>,
}

static SCENE: Mutex<Option<Scene>> = Mutex::new(None);

fn scene() -> std::sync::MutexGuard<'static, Option<Scene>> {
    SCENE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn doing(doing: &'static str) {
    scene().iter_mut().for_each(|scene| scene.doing = doing);
}

/// Ends the process, and says what it was doing, where a program takes longer than `limit`.
pub fn watch(limit: Duration) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let Some(scene) = &*scene() else { continue };
            if scene.began.elapsed() < limit {
                continue;
            }
            eprintln!("hostile: HANGS: no end after {limit:?}: {}", scene.doing);
            for (number, record) in scene.ledger.unfinished() {
                eprintln!(
                    "  goroutine {number} on {}: {:?}: {}",
                    record.on, record.life, record.step
                );
            }
            // SAFETY: ends the process at once, which is what is wanted: other threads may be anywhere.
            unsafe { libc::_exit(HUNG) }
        }
    });
}

/// Runs the program. Returns only if all is in order: whether no goroutine was left behind.
pub fn run(program: Program) -> bool {
    let program = Arc::new(program);
    let world = World::new(Arc::clone(&program));
    let ledger = Arc::clone(&world.ledger);
    *scene() = Some(Scene { began: Instant::now(), doing: "begins", ledger: Arc::clone(&ledger) });
    set_world(Some(Arc::clone(&world)));
    // What is thrown is the program's, and is not to be printed.
    let acts = program.panic_hook.clone();
    std::panic::set_hook(Box::new(move |_| {
        // A thread that ends can't wait, and std aborts where a hook panics.
        if !thread_ends() {
            perform(&acts);
        }
    }));
    let watchdog = program.main_watchdog.clone();
    let aborts = program.second.aborts;
    let main = Build { processors: 2, narrow: false, limit: 4096, aborts, watchdog };
    world.put_runtime(On::Main, Some(Arc::new(world.build(&main))));
    world.put_runtime(On::Second, Some(Arc::new(world.build(&program.second))));
    act(&world);
    end(world);
    doing("waits until each value was dropped");
    let whole = ledger.is_whole();
    settle(GRACE, || ledger.wrongs(whole).is_empty());
    let wrongs = ledger.wrongs(whole);
    if !wrongs.is_empty() {
        fault(&wrongs.join("; "));
    }
    drop(std::panic::take_hook());
    *scene() = None;
    whole
}

/// Waits until something is so, but no longer than `limit`.
fn settle(limit: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() && start.elapsed() < limit {
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Whether all goroutines of a runtime have ended.
fn has_ended(place: &Place) -> bool {
    let metrics = place.runtime().metrics();
    metrics.spawned == metrics.finished
}

/// Lets the actors act, until they have ended or it is enough.
fn act(world: &Arc<World>) {
    doing("acts");
    let start = Instant::now();
    let mut threads = Vec::new();
    for actor in &world.program.actors {
        if actor.on == On::Thread {
            let (own, actor) = (Arc::clone(world), actor.clone());
            threads.push(std::thread::spawn(move || calm(|| on_thread(&own, &actor))));
        } else {
            drop_calmly(calm(|| spawns::spawn(world, actor)));
        }
    }
    let is_over = || threads.iter().all(|thread| thread.is_finished());
    while start.elapsed() < ENOUGH && !(is_over() && world.ledger.unfinished().is_empty()) {
        std::thread::sleep(Duration::from_micros(500));
    }
    doing("cancels tokens and closes channels");
    for token in &world.tokens {
        let _ = calm(|| token.cancel());
    }
    for (sender, _) in &world.channels {
        let _ = calm(|| sender.close());
    }
    doing("waits for plain threads");
    for thread in threads {
        thread.join().expect("its panics are caught");
    }
}

fn on_thread(world: &Arc<World>, actor: &Spawn) {
    let number = world.ledger.spawned("a plain thread");
    world.ledger.lives(number, Life::Running);
    for (step, _) in &actor.steps {
        world.ledger.does(number, format!("{step:?}"));
        take_one(world, On::Thread, step, false);
    }
    world.ledger.lives(number, Life::Returned);
}

/// Ends what the program has left: each joiner must hear, each runtime must end.
fn end(world: Arc<World>) {
    doing("drops the futures that are held");
    (0..HELD).for_each(|slot| drop_calmly(world.take_held(slot)));
    doing("awaits a time");
    selvedge::block_on(time::sleep_async(Duration::from_millis(1)));
    doing("receives a signal");
    if world.raised.load(SeqCst) && !others::hears() {
        fault("signals are not received any more");
    }
    doing("ends the second runtime");
    if let Some(second) = world.runtime(On::Second) {
        settle(SHORT_GRACE, || has_ended(&second));
    }
    world.end_second(world.program.seed.is_multiple_of(2));
    doing("joins");
    while let Some(joinable) = world.some_handle(true) {
        let (number, ended) = (joinable.number, joinable.ended);
        let result = joinable.handle.join();
        spawns::check(&world, number, &ended, result);
    }
    doing("waits until the goroutines of the main runtime have ended");
    let main = world.put_runtime(On::Main, None).expect("nobody else takes it");
    settle(Duration::MAX, || has_ended(&main));
    doing("ends the main runtime");
    world.end(main, true);
    doing("empties the channels");
    (0..HELD).for_each(|slot| drop_calmly(world.take_held(slot)));
    world.empty_bin();
    for (_, receiver) in &world.channels {
        while let Ok(message) = receiver.try_recv() {
            drop_calmly(world.received(message));
        }
    }
    doing("waits until foreign code has let go of the world");
    set_world(None);
    if world.ledger.is_whole() {
        settle(GRACE, || Arc::strong_count(&world) == 1);
    }
    drop_calmly(world);
}
