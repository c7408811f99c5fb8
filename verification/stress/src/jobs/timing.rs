//! Time: sleeping, parking with a limit while others unpark, and timers that are set and stopped.
#![forbid(unsafe_code)]

use super::{Ctx, must_be};
use crate::book::{Life, Phase};
use crate::rng::Rng;
use selvedge::scope;
use selvedge::time::{self, Instant, Timer};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn micros(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_micros(rng.below(most + 1))
}

/// Sleepers, some of which hold up their neighbours: nobody wakes early.
pub fn sleepers(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 300) {
            let mut rng = rng.fork();
            ctx.go(s, "sleepers", move |life| {
                for _ in 0..rng.within(1, 10) {
                    let deadline = Instant::now() + micros(&mut rng, 3000);
                    life.step(Phase::Asleep);
                    time::sleep_until(deadline);
                    life.step(Phase::Running);
                    must_be(deadline.saturating_duration_since(Instant::now()), Duration::ZERO);
                    if rng.one_in(8) {
                        life.spin(rng.below(300));
                    }
                }
                life.note_moved();
            });
        }
    });
}

/// Permits given at about the time at which the wait for them ends: none is lost, none is had twice.
pub fn limits(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 30) {
            let (mut pace, mut patience) = (rng.fork(), rng.fork());
            let turns = rng.within(1, 60);
            ctx.go(s, "limits", move |life| {
                let mine = life.gate();
                scope(|s| {
                    ctx.go(s, "limits", move |_| {
                        for _ in 0..turns {
                            time::sleep(micros(&mut pace, 200));
                            mine.give();
                        }
                    });
                    for turn in 1..=turns {
                        life.wait_in_turns(turn, || micros(&mut patience, 150));
                    }
                });
            });
        }
    });
}

/// A timer set and stopped while several receive from it: each setting is received once, or taken back.
pub fn settings(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    let timer = Timer::after(Duration::from_secs(3600));
    let received = AtomicU64::new(0);
    let turns = rng.within(1, 200);
    let mut taken_back = 0;
    scope(|s| {
        for _ in 0..rng.within(1, 5) {
            let (timer, received) = (&timer, &received);
            ctx.go(s, "settings", move |life| {
                life.step(Phase::Asleep);
                while timer.receiver().recv_timeout(Duration::from_millis(3)).is_ok() {
                    received.fetch_add(1, Ordering::Relaxed);
                }
                life.step(Phase::Running);
            });
        }
        for _ in 0..turns {
            taken_back += u64::from(timer.reset(micros(rng, 50)));
            if rng.one_in(3) {
                time::sleep(micros(rng, 50));
            }
        }
    });
    taken_back += u64::from(timer.stop());
    // The first setting is the hour's.
    must_be(received.load(Ordering::Relaxed) + taken_back, turns + 1);
}
