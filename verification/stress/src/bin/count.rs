//! Count: instructions of hot paths, held against those on record. Wall time on a shared machine says
//! little; the number of instructions is the same each time, and so is that of the locked ones among
//! them, which cost some 5 ns each.
//!
//! `count [FILE]`           compares with FILE, by default verification/stress/instructions.txt
//! `count --write [FILE]`   writes it anew
//!
//! How: the goroutine that measures sets the processor's trap flag. The kernel then sends its thread a
//! SIGTRAP after each instruction, and the handler counts. Held constant: one processor, one worker
//! thread; each figure is the least of 32 operations, so that none is in it that the monitor disturbed.
//!
//! Exit status 1 if one takes over 10 % more instructions than on record, or one locked instruction
//! more. Without `membarrier` the light fences are locked ones, and the record doesn't fit. x86-64 only;
//! elsewhere, or where no trap comes, it says that nothing was checked.

use std::process::ExitCode;

#[cfg(target_arch = "x86_64")]
#[path = "count/trap.rs"]
mod trap;
#[cfg(target_arch = "x86_64")]
#[path = "count/workloads.rs"]
mod workloads;

/// Of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Figures {
    instructions: u64,
    locked: u64,
}

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
const HEAD: &str = "\
# Instructions of an operation, and the locked ones among them, on one processor.
# `cargo run --release -p selvedge-stress --bin count` compares, and with `-- --write` writes anew.
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let write = words.first().is_some_and(|word| word == "--write");
    words.drain(..usize::from(write));
    let path = words.first().map_or(RECORD, String::as_str);
    let Some(found) = measure() else {
        eprintln!("count: no trap after each instruction on this machine: NOTHING CHECKED");
        return ExitCode::SUCCESS;
    };
    if write {
        let text = HEAD.to_owned() + &found.iter().map(line).collect::<String>();
        std::fs::write(path, text).expect("the file can be written");
        return ExitCode::SUCCESS;
    }
    let record = std::fs::read_to_string(path).expect("a record: make one with --write");
    if compare(&record, &found) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn line((name, figures): &(String, Figures)) -> String {
    format!("{name:<40} {:>7} {:>6}\n", figures.instructions, figures.locked)
}

/// Prints each figure beside the one on record; false if one is worse, or missing on either side.
fn compare(record: &str, found: &[(String, Figures)]) -> bool {
    let mut good = true;
    let rows = record.lines().filter(|row| !row.starts_with('#')).count();
    println!("{:<40} {:>7} {:>6}  {:>7} {:>6}", "", "record", "locked", "now", "locked");
    for (name, now) in found {
        let Some(then) = on_record(record, name) else {
            println!("{name:<40} not on record");
            good = false;
            continue;
        };
        let worse = 10 * now.instructions > 11 * then.instructions || now.locked > then.locked;
        good &= !worse;
        println!(
            "{name:<40} {:>7} {:>6}  {:>7} {:>6}{}",
            then.instructions,
            then.locked,
            now.instructions,
            now.locked,
            if worse { "  WORSE" } else { "" }
        );
    }
    if rows != found.len() {
        println!("{rows} on record, {} measured", found.len());
        good = false;
    }
    if !good {
        eprintln!(
            "count: more than on record. Mend it, or, if it is worth its price or another compiler's \
             doing, record it anew with --write and say why in the commit"
        );
    }
    good
}

fn on_record(record: &str, name: &str) -> Option<Figures> {
    let row = record.lines().find_map(|row| row.strip_prefix(name)?.strip_prefix("  "))?;
    let mut numbers = row.split_whitespace().map(|word| word.parse::<u64>());
    let (Some(Ok(instructions)), Some(Ok(locked))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    Some(Figures { instructions, locked })
}

#[cfg(target_arch = "x86_64")]
fn measure() -> Option<Vec<(String, Figures)>> {
    trap::works().then(workloads::all)
}

#[cfg(not(target_arch = "x86_64"))]
fn measure() -> Option<Vec<(String, Figures)>> {
    None
}
