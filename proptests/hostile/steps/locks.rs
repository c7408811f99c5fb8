//! Locks and their kin, each for a limited time, since a goroutine that its runtime has left behind keeps
//! what it holds.

use crate::acts::perform;
use crate::calm::{calm, drop_calmly};
use crate::ledger::Kind;
use crate::program::{Acts, Limited, On, Value};
use crate::values::Hostile;
use crate::world::World;
use selvedge::sync::{LazyLock, Once, OnceLock};
use std::sync::Arc;
use std::time::Duration;

const SHORT: Duration = Duration::from_micros(500);

/// Performs acts while something is held.
pub fn limited(world: &Arc<World>, what: &Limited, acts: &Acts) {
    match what {
        Limited::Mutex => match world.mutex.lock_timeout(SHORT) {
            Ok(guard) => {
                perform(acts);
                guard.canary().check();
            }
            Err(error) => drop(error),
        },
        Limited::Read => match world.shared.read_timeout(SHORT) {
            Ok(guard) => {
                perform(acts);
                guard.canary().check();
            }
            Err(error) => drop(error),
        },
        Limited::Write => match world.shared.write_timeout(SHORT) {
            Ok(guard) => {
                perform(acts);
                guard.canary().check();
            }
            Err(error) => drop(error),
        },
        Limited::Permits(permits) => {
            let held = world.permits.acquire_timeout(*permits, SHORT);
            perform(acts);
            drop(held);
        }
        Limited::Condvar => {
            // Whoever waits for a condition takes the lock again at last, however long that takes.
            if !world.stays() {
                return perform(acts);
            }
            if let Ok(guard) = world.condition.lock_timeout(SHORT) {
                let mut left = 2;
                let waited = world.condvar.wait_timeout_while(guard, SHORT, |value| {
                    value.canary().check();
                    perform(acts);
                    left -= 1;
                    left > 0
                });
                drop(waited);
            }
        }
        Limited::Barrier => {
            perform(acts);
            let _ = world.barrier.wait_timeout(SHORT);
        }
        Limited::WaitGroup => {
            let guard = world.group.guard();
            perform(acts);
            drop(guard);
            let _ = world.group.wait_timeout(SHORT);
        }
    }
}

/// Of those that want it, one makes the value. If it panics, the others must learn of it, too. A goroutine
/// whose runtime may be ended by others does this alone, since it may never finish.
pub fn once(world: &Arc<World>, acts: &Acts, value: &Value) {
    let once = Arc::new((Once::new(), OnceLock::new()));
    let ledger = Arc::clone(&world.ledger);
    let make = {
        let (ledger, acts, value) = (Arc::clone(&ledger), acts.clone(), value.clone());
        move || {
            perform(&acts);
            Hostile::of(&ledger, Kind::Other, &value)
        }
    };
    let other = Arc::clone(&once);
    let second = make.clone();
    let race = move || {
        let _ = calm(|| {
            other.0.call_once_force(|_| ());
            other.1.get_or_init(second).canary().check();
        });
    };
    let place = if world.stays() { world.runtime(On::Main) } else { None };
    let handle = place.map(|place| place.runtime().try_go(race));
    let made = calm(|| {
        once.0.call_once(|| perform(acts));
        once.1.get_or_init(make.clone()).canary().check();
    });
    if let Some(Ok(handle)) = handle {
        drop_calmly(handle.join());
    }
    drop_calmly(once);
    let lazy = LazyLock::new(make);
    lazy.canary().check();
    assert!(!format!("{lazy:?} {made:?}").is_empty());
}
