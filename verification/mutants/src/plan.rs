//! Plan: which checks a mutant is held against, in which order; and doing it.
//!
//! Only checks that come by the mutant's place can see it. Of these first the one that killed it the
//! last time, then those that the file names as its own, then all others; the quick before the slow.
//! shuttle is sequentially consistent, so it is asked about steps alone, never about orderings.

use crate::checks::{Check, Checker, Programs, Row, Verdict};
use crate::sites::Kind;
use crate::table::Old;
use crate::tree::{Numbered, Tree};
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// What became of a mutant.
#[derive(Clone, Debug)]
pub struct Fate {
    pub numbered: Numbered,
    pub killed: Option<Killed>,
    /// Checks that come by it and stayed green; and those of them that did not end in time.
    pub green: usize,
    pub cut: usize,
}

#[derive(Clone, Debug)]
pub struct Killed {
    pub check: String,
    pub checker: Checker,
    /// Whether the file's head names it.
    pub own: bool,
    pub row: Option<Row>,
    pub seconds: f64,
    pub why: String,
}

pub struct Plan<'a> {
    pub tree: &'a Tree,
    pub programs: &'a Programs,
    pub checks: Vec<Check>,
    pub jobs: usize,
    /// Checks that take as many seconds are left out, but for the one that killed it the last time.
    pub limit: f64,
}

impl Plan<'_> {
    /// Holds each mutant against its checks until one of them fails.
    pub fn run(&self, mutants: &[Numbered], old: &Old) -> Result<Vec<Fate>, String> {
        let total = mutants.len();
        let done = Mutex::new(0);
        in_parallel(self.jobs, mutants, |numbered| {
            let fate = self.fate(numbered, old)?;
            let mut done = done.lock().expect("no panic under the lock");
            *done += 1;
            let end = match &fate.killed {
                Some(killed) => format!("killed by {} ({})", killed.check, killed.why),
                None => format!("SURVIVED {} checks, {} of them cut", fate.green, fate.cut),
            };
            eprintln!("{done}/{total} {}: {end}", numbered.mutant.key);
            Ok(fate)
        })
    }

    fn fate(&self, numbered: &Numbered, old: &Old) -> Result<Fate, String> {
        let mut fate = Fate { numbered: numbered.clone(), killed: None, green: 0, cut: 0 };
        for (check, own) in self.order(numbered, old) {
            match self.programs.check(check, numbered.id)? {
                Verdict::Green => fate.green += 1,
                Verdict::Cut => {
                    fate.green += 1;
                    fate.cut += 1;
                }
                Verdict::Red { row, why, seconds } => {
                    let (check, checker) = (check.test.clone(), check.checker);
                    fate.killed = Some(Killed { check, checker, own, row, seconds, why });
                    break;
                }
            }
        }
        Ok(fate)
    }

    /// The checks that can see it, and whether each is the file's own.
    fn order(&self, numbered: &Numbered, old: &Old) -> Vec<(&Check, bool)> {
        let key = &numbered.mutant.key;
        let heads = self.tree.checked_by(&key.file);
        let own = |check: &Check| {
            let mut prefixes = heads.iter().filter_map(|path| check.checker.prefix(path));
            prefixes.any(|prefix| check.test.starts_with(&prefix))
        };
        let last = old.killer(key);
        let sees = |check: &&Check| {
            let may = check.seconds < self.limit && check.comes_by.contains(&numbered.id);
            (may || last == Some(&check.test))
                && (check.checker == Checker::Loom || numbered.mutant.kind == Kind::Step)
        };
        let mut order: Vec<_> =
            self.checks.iter().filter(sees).map(|check| (check, own(check))).collect();
        order.sort_by(|(one, one_own), (two, two_own)| {
            let rank = |check: &Check, own: bool| (last != Some(&check.test), !own, check.checker);
            let by_rank = rank(one, *one_own).cmp(&rank(two, *two_own));
            by_rank.then(one.seconds.total_cmp(&two.seconds))
        });
        order
    }
}

/// Every test on the sound code: each must be green. Kept in `cache` while the programs are the same.
pub fn baseline(
    programs: &Programs,
    jobs: usize,
    limit: f64,
    cache: &Path,
    version: &str,
) -> Result<Vec<Check>, String> {
    if let Some(checks) = fs::read_to_string(cache).ok().and_then(|text| read(&text, version)) {
        return Ok(checks);
    }
    let tests = programs.tests()?;
    eprintln!("{} tests on the sound code", tests.len());
    let found =
        in_parallel(jobs, &tests, |(checker, test)| programs.baseline(*checker, test, limit))?;
    let checks: Vec<Check> = found.into_iter().flatten().collect();
    fs::write(cache, write(&checks, version)).map_err(|error| error.to_string())?;
    Ok(checks)
}

fn write(checks: &[Check], version: &str) -> String {
    let mut text = format!("{version}\n");
    for check in checks {
        let ids: Vec<_> = check.comes_by.iter().map(u32::to_string).collect();
        let (checker, test) = (check.checker.name(), &check.test);
        text += &format!("{checker}\t{test}\t{}\t{}\n", check.seconds, ids.join(" "));
    }
    text
}

fn read(text: &str, version: &str) -> Option<Vec<Check>> {
    let rest = text.strip_prefix(version)?.strip_prefix('\n')?;
    let check = |line: &str| {
        let [checker, test, seconds, ids] = line.split('\t').collect::<Vec<_>>()[..] else {
            return None;
        };
        let checker = if checker == "loom" { Checker::Loom } else { Checker::Shuttle };
        let comes_by = ids.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        Some(Check { checker, test: test.to_owned(), seconds: seconds.parse().ok()?, comes_by })
    };
    rest.lines().map(check).collect()
}

/// Does `work` on each of `items`, so many at a time; the results are in the items' order.
pub fn in_parallel<T: Sync, R: Send>(
    jobs: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R, String> + Sync,
) -> Result<Vec<R>, String> {
    let next = Mutex::new(0);
    let results: Mutex<Vec<(usize, Result<R, String>)>> = Mutex::new(Vec::new());
    let worker = || {
        loop {
            let at = {
                let mut next = next.lock().expect("no panic under the lock");
                *next += 1;
                *next - 1
            };
            let Some(item) = items.get(at) else { return };
            let result = work(item);
            let mut results = results.lock().expect("no panic under the lock");
            let failed = result.is_err();
            results.push((at, result));
            if failed {
                *next.lock().expect("no panic under the lock") = items.len();
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(worker);
        }
    });
    let mut results = results.into_inner().expect("no panic under the lock");
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
