//! Runtimes that end while others use them, and goroutines that keep their kernel thread.

use crate::program::{Build, On, Steps};
use crate::steps::take_one;
use crate::world::World;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Others at home on this kernel thread wait; after some milliseconds the watchdog speaks.
pub fn hog(micros: u32, computes: bool) {
    let length = Duration::from_micros(micros.into());
    if !computes {
        return std::thread::sleep(length);
    }
    let start = Instant::now();
    while start.elapsed() < length {
        std::hint::spin_loop();
    }
}

pub fn build_second(world: &Arc<World>, build: &Build) {
    let place = Arc::new(world.build(build));
    if let Some(before) = world.put_runtime(On::Second, Some(place)) {
        world.end(before, false);
    }
}

/// Nobody else knows this runtime: it, and all its memory, is gone when this returns.
pub fn private(world: &Arc<World>, build: &Build, steps: &Steps, shut: bool) {
    let place = Arc::new(world.build(build));
    place.runtime().run(|| {
        for (step, _) in steps {
            take_one(world, On::Thread, step, false);
        }
    });
    world.end(place, shut);
}
