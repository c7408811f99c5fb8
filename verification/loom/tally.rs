//! The tally: [T4]. No fence stands beside the counts here, as in the runtime's models one does.
//! Who counts goes before who reads: a count is read by its writer first, and behind that read loom
//! would not see that an earlier one of another thread races.

use crate::harness::{Bound, Scenario, join, spawn};
use selvedge::internals::platform::atomic::{AtomicBool, Ordering};
use selvedge::internals::platform::{Arc, thread};
use selvedge::internals::structures::SpawnCounters;

fn places() -> Arc<[SpawnCounters; 2]> {
    Arc::new([SpawnCounters::new(), SpawnCounters::new()])
}

fn reader(places: &Arc<[SpawnCounters; 2]>) -> thread::JoinHandle {
    let places = Arc::clone(places);
    spawn(move || {
        let (begun, ended) = SpawnCounters::total(places.iter());
        assert!(begun >= ended, "T4: {ended} have ended, and only {begun} have begun");
    })
}

/// 2 threads: begin, end, begin, end | total. Complete. By the owner of the place, and by anybody.
#[test]
fn who_has_ended_has_begun() {
    for shared in [false, true] {
        let name = "tally: who has ended has begun [T4]";
        let operations =
            if shared { "2 (begin, end), shared | total" } else { "2 (begin, end) | total" };
        Scenario { name, threads: 2, operations }.check(Bound::Complete, move || {
            let places = places();
            let reader = reader(&places);
            for _ in 0..2 {
                if shared {
                    places[0].begin_shared();
                    places[0].end_shared();
                } else {
                    places[0].begin();
                    places[0].end();
                }
            }
            join(reader);
        });
    }
}

/// 3 threads: begin, hand on | take over, end in another place | total. Complete.
#[test]
fn who_ends_elsewhere_has_begun() {
    for shared in [false, true] {
        let name = "tally: who ends elsewhere has begun [T4]";
        let operations =
            if shared { "begin, shared | end, shared | total" } else { "begin | end | total" };
        Scenario { name, threads: 3, operations }.check(Bound::Complete, move || {
            let places = places();
            let queued = Arc::new(AtomicBool::new(false));
            let runner = {
                let (places, queued) = (Arc::clone(&places), Arc::clone(&queued));
                spawn(move || {
                    // Acquire: as a queue.
                    if !queued.load(Ordering::Acquire) {
                        return;
                    }
                    if shared { places[0].end_shared() } else { places[0].end() }
                })
            };
            let reader = reader(&places);
            if shared {
                places[1].begin_shared()
            } else {
                places[1].begin()
            }
            // Release: as a queue publishes.
            queued.store(true, Ordering::Release);
            join(runner);
            join(reader);
        });
    }
}
