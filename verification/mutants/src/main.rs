//! Mutants: breaks the code in every way that its checks are there to notice, and sees who notices.
//!
//! ```text
//! cargo run --release -p selvedge-mutants                    every mutant; writes docs/kill-table.md
//! cargo run --release -p selvedge-mutants -- --quick         some that are killed at once; for every run
//! cargo run --release -p selvedge-mutants -- --only TEXT     those whose name contains it; writes nothing
//! cargo run --release -p selvedge-mutants -- --list          names, with --only too
//! ```
//!
//! `--jobs N`: so many checks at a time; as a rule as many as there are cores. `--fresh`: does not try
//! first what killed a mutant the last time. `--limit SECONDS`: without checks that take longer (the
//! table says so).
//!
//! One build serves all mutants: each place is a choice at run time, in a copy of the repository under
//! `target/`. What a place is, and how a step of the algorithm is marked in the source: `sites`. Which
//! checks are tried, and in what order: `plan`. Who survives must be explained in `survivors.txt`; an
//! explanation of who was killed is an error, too. `corpus.txt`: bugs that others shipped.

mod checks;
mod plan;
mod sites;
mod table;
mod text;
mod tree;
mod verdicts;

use checks::{Check, Checker, Programs};
use plan::Plan;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime};
use table::Old;
use tree::{Numbered, Tree};
use verdicts::Survivors;

const TABLE: &str = "docs/kill-table.md";
const OWN: &str = "verification/mutants";
/// How many the quick run tries, and how many of them must still be there.
const QUICK: usize = 60;
const QUICK_AT_LEAST: usize = 40;

#[derive(Default)]
struct Arguments {
    list: bool,
    quick: bool,
    fresh: bool,
    only: Option<String>,
    jobs: Option<usize>,
    limit: Option<f64>,
}

fn main() -> ExitCode {
    let start = Instant::now();
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(complaints) if complaints.is_empty() => {
            eprintln!("mutants: all as it should be ({:.0} s)", start.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Ok(complaints) => {
            complaints.iter().for_each(|complaint| eprintln!("mutants: {complaint}"));
            eprintln!("mutants: FAILED: {} complaints", complaints.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("mutants: FAILED: {error}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word}: a value must follow"));
        match &*word {
            "--list" => arguments.list = true,
            "--quick" => arguments.quick = true,
            "--fresh" => arguments.fresh = true,
            "--only" => arguments.only = Some(value()?),
            "--jobs" => {
                let jobs = value()?.parse().ok().filter(|jobs| *jobs > 0);
                arguments.jobs = Some(jobs.ok_or("--jobs: a number from 1 on must follow")?);
            }
            "--limit" => {
                let limit = value()?.parse().ok().filter(|limit| *limit > 0.0);
                arguments.limit = Some(limit.ok_or("--limit: a number of seconds must follow")?);
            }
            _ => {
                let known = "--list --quick --only --fresh --jobs --limit";
                return Err(format!("{word}: not one of {known}"));
            }
        }
    }
    Ok(arguments)
}

/// What there is to complain of.
fn run(arguments: &Arguments) -> Result<Vec<String>, String> {
    let tree = Tree::of_this_repository()?;
    let mutants = tree.mutants();
    let wanted = |numbered: &&Numbered| {
        let key = numbered.mutant.key.to_string();
        arguments.only.as_ref().is_none_or(|only| key.contains(only))
    };
    let chosen: Vec<_> = mutants.iter().filter(wanted).cloned().collect();
    if chosen.is_empty() {
        return Err("there is no such mutant".to_owned());
    }
    if arguments.list {
        chosen.iter().for_each(|numbered| println!("{}", numbered.mutant.key));
        return Ok(Vec::new());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.unwrap_or(cores);
    if arguments.quick {
        quick(&tree, &mutants, jobs)
    } else {
        full(&tree, &chosen, arguments, jobs)
    }
}

fn full(
    tree: &Tree,
    chosen: &[Numbered],
    arguments: &Arguments,
    jobs: usize,
) -> Result<Vec<String>, String> {
    let survivors = Survivors::read(&read(tree, &format!("{OWN}/survivors.txt"))?)?;
    let corpus = verdicts::read_corpus(&read(tree, &format!("{OWN}/corpus.txt"))?)?;
    let old = if arguments.fresh { Old::default() } else { Old::read(&last_table(tree)) };
    let start = Instant::now();
    let (programs, scratch, version) = prepare(tree, &[Checker::Loom, Checker::Shuttle])?;
    let limit = arguments.limit.unwrap_or(f64::INFINITY);
    let version = format!("{version} {limit}");
    let checks = plan::baseline(&programs, jobs, limit, &scratch.join("baseline"), &version)?;
    let left_out = checks.iter().filter(|check| check.seconds >= limit).count();
    let fates = Plan { tree, programs: &programs, checks, jobs, limit }.run(chosen, &old)?;
    let all = arguments.only.is_none();
    let mut complaints = survivors.complaints(&fates, all);
    let strangers = fates.iter().filter_map(|fate| Some((fate, fate.killed.as_ref()?)));
    for (fate, killed) in strangers.filter(|(_, killed)| !killed.own) {
        let key = &fate.numbered.mutant.key;
        eprintln!("note: {key}: killed by {}, which its file does not name", killed.check);
    }
    if all {
        complaints.extend(verdicts::corpus_complaints(&corpus, &fates));
        let mut facts = facts(jobs, start.elapsed().as_secs());
        if left_out > 0 {
            facts += &format!(
                "{left_out} checks that take longer than {limit} s were tried only on what they had \
                 killed before.\n"
            );
        }
        let text = table::write(&fates, &survivors, &corpus, &facts);
        fs::write(tree.root().join(TABLE), text).map_err(|error| format!("{TABLE}: {error}"))?;
    }
    Ok(complaints)
}

/// Some that the last table says were killed at once, each by the check that did it.
fn quick(tree: &Tree, mutants: &[Numbered], jobs: usize) -> Result<Vec<String>, String> {
    let old = Old::read(&last_table(tree));
    let (programs, ..) = prepare(tree, &[Checker::Loom])?;
    let tests: BTreeSet<_> = programs.tests()?.into_iter().map(|(_, test)| test).collect();
    let find = |key: &str| mutants.iter().find(|m| m.mutant.key.to_string() == key);
    let known = old.quick(usize::MAX, 1.0).into_iter().filter_map(|(key, test)| {
        let check = |numbered: &Numbered| Check {
            checker: Checker::Loom,
            test: test.clone(),
            seconds: 1.0,
            comes_by: BTreeSet::from([numbered.id]),
        };
        find(key)
            .filter(|_| tests.contains(test))
            .map(|numbered| (numbered.clone(), check(numbered)))
    });
    let (chosen, checks): (Vec<_>, Vec<_>) = known.take(QUICK).unzip();
    if chosen.len() < QUICK_AT_LEAST {
        return Err(format!(
            "{TABLE} names {} mutants that still exist: make it anew",
            chosen.len()
        ));
    }
    let limit = f64::INFINITY;
    let fates = Plan { tree, programs: &programs, checks, jobs, limit }.run(&chosen, &old)?;
    let survived = fates.iter().filter(|fate| fate.killed.is_none());
    let complain = |fate: &plan::Fate| format!("survived: {}", fate.numbered.mutant.key);
    Ok(survived.map(complain).collect())
}

/// Builds the copy. The programs, where scratch files go, and what tells these programs from others.
fn prepare(tree: &Tree, checkers: &[Checker]) -> Result<(Programs, PathBuf, String), String> {
    let copy = tree.write_copy().map_err(|error| format!("copying the repository: {error}"))?;
    let mut programs = Vec::new();
    let mut version = String::new();
    for checker in checkers {
        eprintln!("building the {} tests of the copy", checker.name());
        let program = tree::build(tree.root(), &copy, *checker)?;
        version += &format!("{} {:?} ", program.display(), modified(&program));
        programs.push((*checker, program));
    }
    let scratch = copy.parent().unwrap_or(&copy).join("runs");
    Ok((Programs::new(programs, &scratch)?, scratch, version))
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|data| data.modified()).ok()
}

fn read(tree: &Tree, path: &str) -> Result<String, String> {
    fs::read_to_string(tree.root().join(path)).map_err(|error| format!("{path}: {error}"))
}

fn last_table(tree: &Tree) -> String {
    read(tree, TABLE).unwrap_or_default()
}

/// When, on what, and for how long.
fn facts(jobs: usize, seconds: u64) -> String {
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        processor.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let model = model.unwrap_or("unknown processor");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let date = date(now.as_secs() / 86400);
    format!(
        "Last made on {date}: {system}, {machine}, {model}, {cores} cores, {jobs} checks at a time, \
         {seconds} s.\n"
    )
}

/// The day so many days after 1970-01-01.
fn date(days: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn days_have_dates() {
        assert_eq!(super::date(0), "1970-01-01");
        assert_eq!(super::date(20_636), "2026-07-02");
        assert_eq!(super::date(11_016), "2000-02-29");
    }
}
