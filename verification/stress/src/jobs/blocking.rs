//! Goroutines that block their kernel thread, or keep it busy.
#![forbid(unsafe_code)]

use super::{Ctx, expected, fail, must_be};
use crate::book::{Life, Phase};
use crate::rng::Rng;
use selvedge::{blocking, scope};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Inside `blocking`: naps, computations, panics, nothing at all.
pub fn announced(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 24) {
            let mut rng = rng.fork();
            ctx.go(s, "announced", move |life| {
                for _ in 0..rng.within(1, 12) {
                    block_once(life, &mut rng);
                    if rng.one_in(3) {
                        life.yields(1);
                    }
                }
            });
        }
        life.yields(rng.below(30));
    });
}

fn block_once(life: &Life, rng: &mut Rng) {
    let seed = rng.next();
    let micros = rng.within(1, 4000);
    life.step(Phase::Blocking);
    match rng.below(5) {
        0 => must_be(blocking(|| seed ^ 1), seed ^ 1),
        1 | 2 => {
            let answer = blocking(|| {
                sleep(Duration::from_micros(micros));
                seed
            });
            must_be(answer, seed);
        }
        3 => {
            let caught = catch_unwind(|| blocking(|| fail(seed)));
            must_be(caught.err().and_then(expected), Some(seed));
        }
        _ => {
            // Within, it is a plain thread or at least its own goroutine.
            let words = blocking(|| vec![seed; 1000]);
            must_be(words.iter().all(|word| *word == seed), true);
        }
    }
    life.step(Phase::Running);
}

/// Sleeps without a word, while others have to get on.
pub fn asleep(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let done = AtomicU64::new(0);
    let others = rng.within(1, 100);
    scope(|s| {
        let done = &done;
        for _ in 0..rng.within(1, 6) {
            let millis = rng.within(1, 20);
            ctx.go(s, "asleep", move |life| {
                life.yields(millis % 2);
                life.step(Phase::Asleep);
                sleep(Duration::from_millis(millis));
                life.step(Phase::Running);
                life.yields(1);
            });
        }
        for _ in 0..others {
            ctx.go(s, "asleep", move |life| {
                life.yields(3);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        life.yields(5);
    });
    must_be(done.load(Ordering::Relaxed), others);
}

/// Reads from a pipe, without a word; a plain thread writes, or a goroutine that has not begun, and
/// so must be run by somebody else.
pub fn pipes(ctx: &Ctx<'_>, _: &Life, rng: &mut Rng) {
    scope(|s| {
        for _ in 0..rng.within(1, 6) {
            let seed = rng.next();
            let by_goroutine = rng.one_in(2);
            let announced = rng.one_in(3);
            ctx.go(s, "pipes", move |life| {
                let Ok((reader, writer)) = std::io::pipe() else { return };
                let hold = if by_goroutine { ctx.hold_thread() } else { None };
                if hold.is_some() {
                    ctx.free("pipes", move |_| write(writer, seed));
                } else {
                    ctx.outside.send(move || {
                        sleep(Duration::from_micros(seed % 3000));
                        write(writer, seed);
                    });
                }
                life.step(if announced { Phase::Blocking } else { Phase::Asleep });
                let got = if announced { blocking(|| read(reader)) } else { read(reader) };
                drop(hold);
                must_be(got, seed);
            });
        }
    });
}

#[inline(never)]
fn write(mut writer: PipeWriter, word: u64) {
    must_be(writer.write_all(&word.to_ne_bytes()).is_ok(), true);
}

#[inline(never)]
fn read(mut reader: PipeReader) -> u64 {
    let mut bytes = [0; 8];
    must_be(reader.read_exact(&mut bytes).is_ok(), true);
    u64::from_ne_bytes(bytes)
}

/// Computes without a word, while others have to get on: some that have not begun, and a pair that
/// wakes each other.
pub fn cpu_bound_workers(ctx: &Ctx<'_>, life: &Life, rng: &mut Rng) {
    let done = AtomicU64::new(0);
    let others = rng.within(1, 60);
    scope(|s| {
        let done = &done;
        for _ in 0..rng.within(1, 4) {
            let micros = rng.within(1000, 30_000);
            ctx.go(s, "hogs", move |life| {
                life.spin(micros);
                life.yields(1);
                // What it calls after its processor is gone must work, too.
                let child = ctx.free("hogs", |life| life.yields(1));
                life.spin(micros / 2);
                drop(child);
            });
        }
        for _ in 0..others {
            ctx.go(s, "hogs", move |life| {
                life.yields(2);
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        life.yields(3);
    });
    must_be(done.load(Ordering::Relaxed), others);
}
