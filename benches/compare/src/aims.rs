//! What was aimed at, held against a table: ratios to peers of the same run, and limits.

use crate::table::{Table, short};
use std::fmt::Write;

enum Aim {
    /// So many times faster than the best of these peers.
    Faster(f64, &'static [&'static str]),
    /// At most so much.
    AtMost(f64),
}

use Aim::{AtMost, Faster};

const GO: &[&str] = &["go"];
const MIMALLOC: &[&str] = &["tokio-mimalloc"];
const TOKIO: &[&str] = &["tokio", "tokio-mimalloc"];
const RAYON: &[&str] = &["threads"];
const TASKS: &[&str] =
    &["go", "tokio", "tokio-mimalloc", "tokio-kanal", "tokio-kanal-mimalloc", "may"];
const ALL: &[&str] =
    &["go", "tokio", "tokio-mimalloc", "tokio-kanal", "tokio-kanal-mimalloc", "may", "threads"];

const AIMS: &[(&str, Aim)] = &[
    ("spawn", Faster(4.0, GO)),
    ("spawn", Faster(2.5, MIMALLOC)),
    ("skynet", Faster(3.0, GO)),
    ("skynet", Faster(2.0, MIMALLOC)),
    ("yield", Faster(3.0, TASKS)),
    ("pingpong", Faster(2.0, TASKS)),
    ("bounded1x1", Faster(1.5, ALL)),
    ("bounded4x4", Faster(1.2, ALL)),
    ("ring", Faster(2.0, GO)),
    ("select4", Faster(2.0, GO)),
    ("sieve", Faster(1.0, TASKS)),
    ("fib", Faster(1.0, RAYON)),
    ("mutex1", Faster(4.0, GO)),
    ("mutex1", AtMost(15.0)),
    ("sleepers-cpu", Faster(1.0, GO)),
    ("lateness", AtMost(500.0)),
    ("parked", Faster(1.0, GO)),
    ("parked-bytes", AtMost(4.6 * 1024.0)),
    ("blocking", Faster(1.0, TOKIO)),
    ("blocking-lost", Faster(1.0, TOKIO)),
    ("hogs", AtMost(10.0)),
    ("echo", Faster(1.0, ALL)),
    ("echo-p99", Faster(1.0, ALL)),
];

/// A line for each aim and number of processors that the table has a row for. On one processor the anchored
/// runtime counts, on two the better of both.
pub fn markdown(table: &Table) -> String {
    let mut text =
        String::from("| what | P | aim | came out | reached |\n|---|---:|---|---|---|\n");
    for (name, aim) in AIMS {
        for row in table.rows.iter().filter(|row| row.workload.name == *name) {
            let Some(ours) = row.ours(&table.peers) else { continue };
            let unit = row.workload.unit;
            let (aim, came_out, reached) = match aim {
                AtMost(most) => (
                    format!("at most {} {unit}", short(*most)),
                    format!("{} {unit}", short(ours)),
                    ours <= *most,
                ),
                Faster(times, peers) => {
                    let Some((best, peer)) = row.best_of(&table.peers, peers) else { continue };
                    let ratio = best / ours;
                    let aim = match *times {
                        1.0 => format!("level with {peer}"),
                        times => format!("{times} times faster than {peer}"),
                    };
                    let figures = format!("{ratio:.2} ({} : {} {unit})", short(best), short(ours));
                    (aim, figures, ratio >= *times)
                }
            };
            let (what, processors) = (row.workload.what, row.processors);
            let reached = if reached { "yes" } else { "no" };
            let _ = writeln!(text, "| {what} | {processors} | {aim} | {came_out} | {reached} |");
        }
    }
    text
}
