//! Table: docs/kill-table.md, written from the fates of all mutants, and read again for who killed
//! whom the last time.

use crate::checks::Checker;
use crate::plan::{Fate, Killed};
use crate::sites::Key;
use crate::verdicts::{Shipped, Survivors};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What the last table says.
#[derive(Default)]
pub struct Old(BTreeMap<String, OldRow>);

struct OldRow {
    file: String,
    check: String,
    checker: Checker,
    seconds: f64,
}

impl Old {
    pub fn read(text: &str) -> Old {
        let mut rows = BTreeMap::new();
        let mut file = "";
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix("### ") {
                file = heading.trim_matches('`');
            }
            let cells: Vec<_> =
                line.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect();
            let [item, what, check, _, _, seconds, _] = cells[..] else { continue };
            let (Some(test), Ok(seconds)) = (check.strip_prefix('`'), seconds.parse()) else {
                continue;
            };
            let Some((checker, test)) = test.trim_end_matches('`').split_once(' ') else {
                continue;
            };
            let checker = if checker == "loom" { Checker::Loom } else { Checker::Shuttle };
            let key = Key { file: file.to_owned(), item: item.to_owned(), what: what.to_owned() };
            let (file, check) = (file.to_owned(), test.to_owned());
            rows.insert(key.to_string(), OldRow { file, check, checker, seconds });
        }
        Old(rows)
    }

    /// The check that killed it.
    pub fn killer(&self, key: &Key) -> Option<&String> {
        self.0.get(&key.to_string()).map(|row| &row.check)
    }

    /// Up to `most` mutants that loom killed within `seconds`, and who did it: of each file in turn,
    /// so that all files have some.
    pub fn quick(&self, most: usize, seconds: f64) -> Vec<(&String, &String)> {
        let mut files: BTreeMap<&String, Vec<(&String, &OldRow)>> = BTreeMap::new();
        for (key, row) in &self.0 {
            if row.checker == Checker::Loom && row.seconds < seconds {
                files.entry(&row.file).or_default().push((key, row));
            }
        }
        for rows in files.values_mut() {
            // Any order will do that is the same each time and favours nothing.
            rows.sort_by_key(|(key, _)| scramble(key));
        }
        let rounds = files.values().map(Vec::len).max().unwrap_or(0);
        let picked =
            (0..rounds).flat_map(|round| files.values().filter_map(move |rows| rows.get(round)));
        picked.take(most).map(|(key, row)| (*key, &row.check)).collect()
    }
}

/// FNV-1a.
fn scramble(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

const INTRODUCTION: &str = "\
# The kill table

Every ordering and fence of `src/` weakened in every way, every marked step left out or altered, one at
a time; and the check that fails then. Made by

```
cargo run --release -p selvedge-mutants
```

A place is found by `verification/mutants/src/sites.rs`; a step of the algorithm is one that carries a
line `// mutant:` in the source. A check is a test of `verification/loom/` or `verification/shuttle/`,
by its path within. *Permutations* is in which one of them it failed, *how* what it said, *seconds* of
the processor, of the whole process. shuttle knows no weak memory, so it is asked about steps alone. A check
that does not end in time has killed nothing.
";

pub fn write(fates: &[Fate], survivors: &Survivors, corpus: &[Shipped], facts: &str) -> String {
    let mut out = INTRODUCTION.to_owned();
    let _ = write!(out, "\n{facts}\n{}", summary(fates, survivors));
    out += "\n## Survivors\n\n";
    out += "*redundant*: by the argument given. *loom-blind*: the row of the tables in checking.md is \
        named.\n*unmodelled*: no model can show it, for the reason given.\n\n";
    out += "| file | item | mutant | verdict | why |\n|---|---|---|---|---|\n";
    for fate in fates.iter().filter(|fate| fate.killed.is_none()) {
        let Key { file, item, what } = &fate.numbered.mutant.key;
        let (verdict, reason) = survivors.of(fate).unwrap_or(("UNEXPLAINED", ""));
        let _ = writeln!(out, "| `{file}` | {item} | {what} | {verdict} | {reason} |");
    }
    out += &corpus_table(fates, corpus);
    out += "\n## All mutants\n";
    let mut file = "";
    for fate in fates {
        let key = &fate.numbered.mutant.key;
        if key.file != file {
            file = &key.file;
            let _ = write!(out, "\n### `{file}`\n\n{HEADING}");
        }
        out += &row(fate, survivors);
    }
    out
}

const HEADING: &str = "| item | mutant | killed by | bound | permutations | seconds | how |\n\
    |---|---|---|---|---|---|---|\n";

fn row(fate: &Fate, survivors: &Survivors) -> String {
    let Key { item, what, .. } = &fate.numbered.mutant.key;
    match &fate.killed {
        Some(killed) => {
            let Killed { check, checker, seconds, why, .. } = killed;
            let (bound, permutations) = found(killed);
            let checker = checker.name();
            let why = why.replace('`', "'");
            format!(
                "| {item} | {what} | `{checker} {check}` | {bound} | {permutations} | {seconds:.1} | \
                 {why} |\n"
            )
        }
        None => {
            let verdict = survivors.of(fate).map_or("UNEXPLAINED", |(verdict, _)| verdict);
            let green = fate.green;
            format!(
                "| {item} | {what} | *{verdict}*: {green} checks come by, all green | | | | |\n"
            )
        }
    }
}

fn found(killed: &Killed) -> (String, String) {
    let unknown = || ("".to_owned(), "aborted".to_owned());
    killed.row.as_ref().map_or_else(unknown, |row| (row.bound.clone(), row.permutations.clone()))
}

fn summary(fates: &[Fate], survivors: &Survivors) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for fate in fates {
        let end = match &fate.killed {
            Some(killed) => format!("killed by {}", killed.checker.name()),
            None => format!("survived, {}", survivors.of(fate).map_or("UNEXPLAINED", |v| v.0)),
        };
        *counts.entry(end).or_default() += 1;
    }
    let mut out = "| mutants | number |\n|---|---|\n".to_owned();
    for (end, number) in counts {
        let _ = writeln!(out, "| {end} | {number} |");
    }
    let _ = writeln!(out, "| all | {} |", fates.len());
    out
}

fn corpus_table(fates: &[Fate], corpus: &[Shipped]) -> String {
    let mut out = "\n## Bugs that others shipped\n\n".to_owned();
    out += "| bug | what went wrong there | here | as a mutant | found by | permutations |\n\
        |---|---|---|---|---|---|\n";
    for Shipped { name, what, mutants, here } in corpus {
        if mutants.is_empty() {
            let _ = writeln!(out, "| {name} | {what} | {here} | no place for it | | |");
        }
        for key in mutants {
            let fate = fates.iter().find(|fate| fate.numbered.mutant.key.to_string() == *key);
            let killed = fate.and_then(|fate| fate.killed.as_ref());
            let (check, permutations) = match killed {
                Some(killed) => {
                    (format!("`{} {}`", killed.checker.name(), killed.check), found(killed).1)
                }
                None => ("NOT FOUND".to_owned(), String::new()),
            };
            let key = key.replace(" | ", ", ");
            let _ =
                writeln!(out, "| {name} | {what} | {here} | {key} | {check} | {permutations} |");
        }
    }
    out
}
